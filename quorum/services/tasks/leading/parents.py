"""Which processes start others that go before them."""

from __future__ import annotations

import os
import sys

# A script that is about to start Werkzeug's reloader; a server that is about to fork.
_PATIENCE, _PATIENCE_OF_SERVER = 0.5, 3.0


def starts_another() -> bool:
    """Tell whether this is the parent of Werkzeug's reloader, whose child serves."""
    return "werkzeug._reloader" in sys.modules and not _is_reloaded()


def patience() -> float:
    """Return for how many seconds a process waits for children that would go before it."""
    if _forked or _is_reloaded():
        return 0.0
    command = os.environ.get("FLASK_RUN_FROM_CLI") == "true"
    forks = not sys.modules.keys().isdisjoint({"gunicorn.arbiter", "uwsgi"})
    return _PATIENCE_OF_SERVER if command or forks else _PATIENCE


def _is_reloaded() -> bool:
    return os.environ.get("WERKZEUG_RUN_MAIN") == "true"


_forked: list[int] = []
os.register_at_fork(after_in_child=lambda: _forked.append(os.getpid()))
