"""What a service counts: calls, failures and the seconds they took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from quorum.forks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Iterator


class Counts:
    """The calls of one service since it was built; any thread may count."""

    def __init__(self) -> None:
        self.calls = 0
        self.failures = 0
        self.seconds = 0.0
        self._lock = ForkSafeLock()

    def __repr__(self) -> str:
        return f"Counts(calls={self.calls}, failures={self.failures}, seconds={self.seconds:.3f})"

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call, its seconds, and a failure if the block raises."""
        start = time.perf_counter()
        failed = True
        try:
            yield
            failed = False
        finally:
            with self._lock:
                self.calls += 1
                self.failures += failed
                self.seconds += time.perf_counter() - start
