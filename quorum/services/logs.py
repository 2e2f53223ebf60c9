"""Log levels and the handler of an application: set by `load`, and put back by `unload`."""

from __future__ import annotations

import itertools
import logging
import weakref
from typing import TYPE_CHECKING

from quorum.forks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Iterable

TRACE = 5
SILENT = logging.CRITICAL + 1

_FORMAT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"

# Loggers are one for the process, and so is what was done to them.
_active: dict[int, tuple[tuple[str, ...], int]] = {}
_levels: dict[str, int] = {}
_handlers: dict[str, logging.Handler] = {}
_keys = itertools.count()
_lock = ForkSafeLock()


class LogSetup:
    """The level of some loggers, and one handler each where nobody has set up logging yet.

    Of several applications that share a logger, the last loaded sets its level, and the last
    unloaded puts it back. An application that is dropped without `unload` counts as unloaded.
    """

    def __init__(self, names: Iterable[str], level: str) -> None:
        logging.addLevelName(TRACE, "TRACE")
        logging.addLevelName(SILENT, "SILENT")
        key, ours = next(_keys), tuple(dict.fromkeys(names))
        with _lock:
            for name in ours:
                logger = logging.getLogger(name)
                _levels.setdefault(name, logger.level)
                if not logger.hasHandlers():
                    _handlers[name] = logging.StreamHandler()
                    _handlers[name].setFormatter(logging.Formatter(_FORMAT))
                    logger.addHandler(_handlers[name])
            _active[key] = (ours, logging.getLevelName(level))
            _apply()
        self._undo = weakref.finalize(self, _forget, key)
        self._undo.atexit = False

    def undo(self) -> None:
        """Put levels and handlers back as they were before. A second call is a no-op."""
        self._undo()


def _apply() -> None:
    # A copy: an application may be dropped, and so forgotten, by the garbage collector in here.
    for names, level in list(_active.values()):
        for name in names:
            logging.getLogger(name).setLevel(level)


def _forget(key: int) -> None:
    with _lock:
        del _active[key]
        used = {name for names, _ in list(_active.values()) for name in names}
        for name in _levels.keys() - used:
            logger = logging.getLogger(name)
            logger.setLevel(_levels.pop(name))
            handler = _handlers.pop(name, None)
            if handler is not None:
                logger.removeHandler(handler)
        _apply()
