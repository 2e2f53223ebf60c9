"""Log levels and handlers of an application: set by `load`, and put back by `unload`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TRACE = 5
SILENT = logging.CRITICAL + 1

_FORMAT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"


class LogSetup:
    """The level of some loggers, and one handler where nobody has set up logging yet."""

    _active: list[LogSetup] = []  # noqa: RUF012 - logging is one for the process
    _before: dict[str, int] = {}  # noqa: RUF012

    def __init__(self, names: Iterable[str], level: str) -> None:
        logging.addLevelName(TRACE, "TRACE")
        logging.addLevelName(SILENT, "SILENT")
        self.names = tuple(dict.fromkeys(names))
        self.level = logging.getLevelName(level)
        self._handled: list[tuple[logging.Logger, logging.Handler]] = []
        for name in self.names:
            self._before.setdefault(name, logging.getLogger(name).level)
        self._active.append(self)
        self._apply()
        for name in self.names:
            self._add_handler(logging.getLogger(name))

    def _add_handler(self, logger: logging.Logger) -> None:
        if logger.hasHandlers():
            return
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(_FORMAT))
        logger.addHandler(handler)
        self._handled.append((logger, handler))

    @classmethod
    def _apply(cls) -> None:
        for name, level in cls._before.items():
            logging.getLogger(name).setLevel(level)
        for setup in cls._active:
            for name in setup.names:
                logging.getLogger(name).setLevel(setup.level)

    def undo(self) -> None:
        """Put levels and handlers back as they were before. A second call is a no-op."""
        if self not in self._active:
            return
        self._active.remove(self)
        self._apply()
        for logger, handler in self._handled:
            logger.removeHandler(handler)
        remaining = {name for setup in self._active for name in setup.names}
        for name in self._before.keys() - remaining:
            del self._before[name]
