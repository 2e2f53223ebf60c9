"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

RECOVERY = 15.0
"""Seconds within which a service works again."""


def wait_until(condition: Callable[[], Any], seconds: float = RECOVERY) -> Any:
    """Wait until something is true, and return it; fail if it is not in time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)
    return found
