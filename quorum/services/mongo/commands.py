"""Counting what the client sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo.monitoring import CommandListener

from quorum.services.counts import Counts

if TYPE_CHECKING:
    from pymongo.monitoring import (
        CommandFailedEvent,
        CommandStartedEvent,
        CommandSucceededEvent,
    )


class CommandCounts(Counts, CommandListener):
    """Counts each command that was sent, repetitions too: the driver tells of every one."""

    def started(self, event: CommandStartedEvent) -> None:
        """Wait for its end."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Count a call."""
        self._count(event.duration_micros, 0)

    def failed(self, event: CommandFailedEvent) -> None:
        """Count a call and a failure."""
        self._count(event.duration_micros, 1)

    def _count(self, micros: int, failures: int) -> None:
        with self._lock:
            self.calls += 1
            self.failures += failures
            self.seconds += micros / 1_000_000
