"""What the clients of the server and of the twin share: refusals, and counts of calls."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from redis.client import Pipeline, Redis

from quorum.errors import Rejected
from quorum.services.counts import Counts
from quorum.services.redis.blocking import block_time, longest_block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis.connection import ConnectionPool


class CommandCounts(Counts):
    """Counts that cost a command next to nothing."""

    def add(self, seconds: float, *, failed: bool) -> None:
        """Count a call that took so many seconds."""
        with self._lock:
            self.calls += 1
            self.failures += failed
            self.seconds += seconds

    @contextmanager
    def call(self) -> Iterator[None]:
        start = time.monotonic()
        failed = True
        try:
            yield
            failed = False
        finally:
            self.add(time.monotonic() - start, failed=failed)


class CheckedPipeline(Pipeline):
    """A pipeline that refuses to block for too long, and is counted as one call."""

    def __init__(
        self,
        pool: ConnectionPool,
        callbacks: Any,
        transaction: bool,
        shard_hint: Any,
        *,
        limit: float,
        counts: CommandCounts,
    ) -> None:
        super().__init__(pool, callbacks, transaction, shard_hint)
        self._atomic = transaction
        self.limit = limit
        self._counts = counts
        self._blocks = 0.0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if not self.explicit_transaction:
            at_once = self.watching or args[0] == "WATCH"
            # In a transaction nothing blocks; without one, they block one after the other.
            blocks = block_time(args, self.limit) if at_once or not self._atomic else 0.0
            if at_once:
                return self.immediate_execute_command(*args, **options)
            if blocks:
                self._add_block(blocks)
        return self.pipeline_execute_command(*args, **options)

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        with self._counts.call():
            return super().immediate_execute_command(*args, **options)

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        start = time.monotonic()
        failed = True
        try:
            answers = super().execute(raise_on_error)
            failed = False
        finally:
            self._counts.add(time.monotonic() - start, failed=failed)
        return answers

    def reset(self) -> Any:
        self._blocks = 0.0
        super().reset()

    def _add_block(self, seconds: float) -> None:
        if self._blocks + seconds > longest_block(self.limit):
            raise Rejected(
                "redis",
                f"the commands of this pipeline would block for up to {self._blocks + seconds:g} s "
                f"in all, and it has {self.limit:g} s; execute it sooner",
            )
        self._blocks += seconds


class CheckedClient(Redis):
    """Refuses what would hold a connection of the pool, or take one out of it."""

    limit: float
    counts: CommandCounts

    def within(self, seconds: float, /, *args: Any) -> Any:
        """Run a command that has another time limit than the client's."""
        raise NotImplementedError

    def client(self) -> NoReturn:
        """Refuse it: threads and forked children would mix each other's answers."""
        raise Rejected(
            "redis",
            "a client of a single connection mixes the answers of threads and forked processes; "
            "use the client itself, or a pipeline",
        )

    def monitor(self) -> NoReturn:
        """Refuse it: it would wait for ever on a connection of the pool."""
        raise Rejected("redis", "MONITOR would take its connection out of the pool; use redis-cli")
