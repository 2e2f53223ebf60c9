"""The time that a call may take: the sockets ask here before each wait.

botocore's own time-outs are ones of each read and of each attempt, so that they add up.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from quorum.services.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = 16 * 1024
"""Bytes of a body that count as progress."""

# A wait goes on in pieces, between which a call sees that it was cancelled.
_PIECE_SECONDS = 0.2


class Limit:
    """Seconds that all waits of one call share; with a `step`, each so many bytes begin them anew.

    The parts of one upload share `cancelled`: when it is set, their waits end too.
    """

    def __init__(
        self, seconds: float, step: int | None = None, cancelled: threading.Event | None = None
    ) -> None:
        self._deadline = Deadline(seconds)
        self._step = step
        self._cancelled = cancelled
        self._moved = 0

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return self._deadline.passed

    @property
    def left(self) -> float:
        """The seconds left, 0 where there are none."""
        cancelled = self._cancelled is not None and self._cancelled.is_set()
        return 0.0 if cancelled or self.passed else self._deadline.remaining()

    def piece(self) -> float:
        """Return how long to wait before asking again. Raises TimeoutError past the limit."""
        left = self.left
        if not left:
            raise TimeoutError("the time limit passed, or the call was cancelled")
        return min(left, _PIECE_SECONDS)

    def moved(self, count: int) -> None:
        """Count bytes that came through."""
        if self._step is None:
            return
        self._moved += count
        if self._moved >= self._step:
            self._moved = 0
            self._deadline.restart()


_running = threading.local()


def running() -> Limit | None:
    """Return the limit of the call that this thread is making, if it makes one."""
    return getattr(_running, "limit", None)


@contextmanager
def within(limit: Limit) -> Iterator[Limit]:
    """Hold the block to a limit."""
    before = running()
    _running.limit = limit
    try:
        yield limit
    finally:
        _running.limit = before
