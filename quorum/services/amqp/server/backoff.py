"""How long to wait before the next try."""

from __future__ import annotations

import random

_FIRST, _LONGEST = 0.05, 2.0


class Backoff:
    """Seconds that double from one failure to the next, up to 2, spread so that many differ."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._seconds = _FIRST

    def next(self) -> float:
        """Return the seconds to wait now."""
        seconds, self._seconds = self._seconds, min(_LONGEST, self._seconds * 2)
        return seconds * random.uniform(0.5, 1)  # noqa: S311 - it spreads, it guards nothing
