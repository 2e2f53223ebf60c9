"""The moment by which a call is over, whatever it waits for."""

from __future__ import annotations

import time


class Deadline:
    """A time limit, in seconds from now, that all waits of one call share."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Begin again; only progress of a long transfer is a reason to."""
        self._end = time.monotonic() + self.seconds

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        # The system's timers may end a wait a moment before the clock says so.
        return time.monotonic() >= self._end - 0.01

    def remaining(self) -> float:
        """Return the seconds left. Raises TimeoutError if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        return left

    def share(self, part: float) -> Deadline:
        """Return a deadline after a part of what is left, such as 1/3."""
        return Deadline(self.remaining() * part)
