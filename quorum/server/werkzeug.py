"""Werkzeug: the server of development, with its debugger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from werkzeug.serving import run_simple

from quorum.errors import ConfigurationError
from quorum.profiles.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

_WORDS = {"true": True, "false": False}


def serve(
    app: Flask,
    host: str,
    port: int,
    options: dict[str, Any],
    ready: Callable[[str, int], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C, with the debugger.

    Calls `ready` with the address. `options` are arguments of `run_simple`. Raises
    ConfigurationError for a host that others can reach: the debugger runs what is typed into it.
    """
    if not is_loopback(host):
        raise ConfigurationError(
            f"Werkzeug's debugger must not listen on {host}; set HOST=127.0.0.1, or "
            "SERVER=waitress and LEVEL=INFO"
        )
    app.debug = True
    given = {"threaded": True, "use_debugger": True} | {
        name: _typed(value) for name, value in options.items()
    }
    ready(host, port)
    run_simple(host, port, app, **given)


def _typed(value: str) -> Any:
    lower = value.lower()
    return _WORDS.get(lower, int(value) if lower.isdecimal() else value)
