"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUDGET = 6.0
"""Seconds that no call of a service outlives at its defaults."""

RECOVERY = 15.0
"""Seconds within which a service works again."""

PAUSE = 0.5
"""Seconds that a busy machine may add to what is shorter than the budget."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Assert that a block takes at most some seconds, and a pause of the machine's."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start <= seconds + (PAUSE if seconds < BUDGET else 0)


def wait_until(condition: Callable[[], Any], seconds: float = RECOVERY) -> Any:
    """Wait until something is true, and return it; fail if it is not in time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)
    return found
