"""What tasks do as a process ends, and in a child that was forked."""

from __future__ import annotations

import atexit

# Imported so that its end at exit, which refuses new work, comes after ours: jobs may need it.
import concurrent.futures.thread  # noqa: F401
import logging
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    class Closing(Protocol):
        """What is closed at exit, and goes on in a forked child."""

        def close(self) -> Sequence[str]: ...

        def forked(self) -> bool: ...

        def restart(self) -> None: ...


logger = logging.getLogger("quorum.tasks")

_GRACE = 1.0
"""Seconds until a child is taken for one that stays: it may be about to run another program."""

_open: weakref.WeakSet[Closing] = weakref.WeakSet()


def close_at_exit(tasks: Closing) -> None:
    """Close tasks as the interpreter exits, while other threads may still do all that they do."""
    _open.add(tasks)


def runs_schedules() -> bool:
    """Tell whether this process may run schedules: one that multiprocessing made may not."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing is None or multiprocessing.parent_process() is None


def _close_all() -> None:
    for tasks in list(_open):
        try:
            tasks.close()
        except Exception:
            logger.exception("the tasks could not be closed")


def _restart_later() -> None:
    # All of them are told, not only those before the first that has schedules.
    schedules = [tasks.forked() for tasks in _open]
    if any(schedules):
        restart = threading.Timer(_GRACE, _restart_all)
        restart.daemon = True
        restart.start()


def _restart_all() -> None:
    for tasks in list(_open):
        try:
            tasks.restart()
        except Exception:
            logger.exception("the schedules could not go on in this forked process")


# What atexit calls comes after the end of all executors. Children of multiprocessing call this too.
getattr(threading, "_register_atexit", atexit.register)(_close_all)
os.register_at_fork(after_in_child=_restart_later)
