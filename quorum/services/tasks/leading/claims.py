"""What a leader holds: the lock of a file, or a lease of Redis."""

from __future__ import annotations

import errno
import logging
import math
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Protocol

from quorum.errors import ServiceError, TimedOut
from quorum.services.tasks.leading.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.redis.base import Lock, Redis
    from quorum.services.tasks.leading.place import Place

logger = logging.getLogger("quorum.tasks")

# Of this process or moment, and not of the folder.
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR}


class Claim(Protocol):
    """What one process of all has; it is used by one thread, but for `held`."""

    @property
    def held(self) -> bool:
        """Whether this process has it now; costs nothing to ask."""
        ...

    def take(self) -> bool:
        """Take it, or keep it, if nobody else has it; tell whether it is known who does.

        Raises OSError or ServiceError where that cannot be asked.
        """
        ...

    def release(self) -> None:
        """Let another have it. A second call is a no-op."""
        ...


class FileClaim:
    """The lock of a file.

    Where the folder cannot be used every process has it, with a warning: work that is done by
    each of them is noticed and mended sooner than work that is never done.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = FileLock(place, ".lock")
        self._alone = False

    @property
    def held(self) -> bool:
        return self._alone or self._lock.held

    def take(self) -> bool:
        try:
            self._lock.take()
        except OSError as error:
            self._lock.release()
            if error.errno in _PASSING:
                self._alone = False
                raise
            if not self._alone:
                logger.warning(
                    "%s cannot hold a lock (%s), so that every process runs the schedules; mend "
                    "it, set TMPDIR to a folder that can be written, or set REDIS_URL",
                    *_described(self._place, error),
                )
            self._alone = True
        else:
            self._alone = False
        return True

    def release(self) -> None:
        self._alone = False
        self._lock.release()


class LeaseClaim:
    """A lease of Redis for so many seconds, renewed by its lock."""

    def __init__(self, redis: Callable[[], Redis], seconds: float) -> None:
        self._redis = redis
        self._seconds = seconds
        self._lock: Lock | None = None
        self._leaving = ExitStack()
        self._begins = math.inf

    @property
    def held(self) -> bool:
        lock = self._lock
        return lock is not None and lock.held and time.monotonic() >= self._begins

    def take(self) -> bool:
        if self._lock is not None and not self._lock.held:
            self.release()
        if self._lock is None:
            redis = self._redis()
            lock = redis.lock("tasks-leader", expires_in=self._seconds, wait=0)
            try:
                self._leaving.enter_context(lock)
            except TimedOut as error:
                if error.__cause__ is None:
                    # Held by another; with a cause it was the server that did not answer.
                    return True
                raise
            self._begins = time.monotonic() + max(0.0, self._seconds - _uptime(redis))
            self._lock = lock
        return self.held

    def release(self) -> None:
        self._lock = None
        # It was lost, or ends by itself.
        with suppress(ServiceError):
            self._leaving.close()


def _uptime(redis: Redis) -> float:
    """Return for how long Redis has been up: if it lost its data, who led before may not know."""
    try:
        return float(redis.client.info("server")["uptime_in_seconds"])
    # The errors are redis-py's, which is imported in its own room; a user may lack the right.
    except Exception:  # noqa: BLE001
        return 0.0


def _described(place: Place, error: OSError) -> tuple[str, str]:
    try:
        folder = str(place.folder)
    except OSError:
        folder = "the folder of temporary files"
    return folder, error.strerror or str(error)
