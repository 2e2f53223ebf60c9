"""The client of a server: each command has one deadline, and is sent at most once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import DataError, ResponseError, WatchError
from redis.exceptions import TimeoutError as Late

from quorum.services.redis.blocking import block_time
from quorum.services.redis.commands import CheckedClient, CheckedPipeline, CommandCounts
from quorum.services.redis.pubsub import LastingPubSub

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.client import PubSub

    from quorum.services.redis.connections import TimedConnection
    from quorum.services.redis.pool import Pool

# After these the connection has no answer left to read.
_IN_STEP = (ResponseError, DataError, WatchError)


class Client(CheckedClient):
    """A `redis.Redis` that neither retries nor waits beyond its limit."""

    connection_pool: Pool

    def __init__(self, pool: Pool, limit: float, counts: CommandCounts) -> None:
        super().__init__(connection_pool=pool)
        self.limit = limit
        self.counts = counts

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return self._run(self.limit, args, options)

    def within(self, seconds: float, /, *args: Any) -> Any:
        return self._run(min(seconds, self.limit), args, {})

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> BoundedPipeline:
        return BoundedPipeline(
            self.connection_pool,
            self.response_callbacks,
            transaction,
            shard_hint,
            limit=self.limit,
            counts=self.counts,
        )

    def pubsub(self, **options: Any) -> PubSub:
        return LastingPubSub(self.connection_pool, seconds=self.limit, **options)

    def _run(self, limit: float, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        blocks = block_time(args, limit)
        pool = self.connection_pool
        start = time.monotonic()
        failed = True
        try:
            connection = pool.take(limit, blocks)
            try:
                result = self._send_command_parse_response(connection, args[0], *args, **options)
                failed = False
            except _IN_STEP:
                raise
            except BaseException:
                connection.disconnect()
                pool.doubt()
                raise
            finally:
                pool.release(connection)
        finally:
            self.counts.add(time.monotonic() - start, failed=failed)
        return result


class BoundedPipeline(CheckedPipeline):
    """A pipeline that has one deadline, and says so when the outcome is unknown.

    redis-py would raise WatchError when the answer to EXEC is lost, and `transaction()` would
    then run it again though it may have been done.
    """

    connection: Any
    connection_pool: Pool
    _executing = False

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        self._start_clock()
        self._executing = True
        try:
            return super().execute(raise_on_error)
        finally:
            self._executing = False

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        if not self._executing:
            self._start_clock()
        return super().immediate_execute_command(*args, **options)

    def reset(self) -> Any:
        if self.watching and self.connection is not None:
            self.connection.clock.start(min(1.0, self.limit))
        try:
            super().reset()
        except (Late, OSError):
            if self.connection is not None:
                self._drop(self.connection)
            super().reset()

    def _start_clock(self) -> None:
        if self.connection is None:
            return
        if self.watching and not self.connection.is_connected:
            self.reset()
            raise WatchError("the connection was lost while keys were watched")
        self.connection.clock.start(self.limit)

    def _send_command_parse_response(
        self, conn: Any, command_name: Any, *args: Any, **options: Any
    ) -> Any:
        ask = super()._send_command_parse_response
        return self._in_step(conn, ask, conn, command_name, *args, **options)

    def _execute_transaction(self, connection: Any, commands: Any, raise_on_error: Any) -> Any:
        execute = super()._execute_transaction
        return self._in_step(connection, execute, connection, commands, raise_on_error)

    def _execute_pipeline(self, connection: Any, commands: Any, raise_on_error: Any) -> Any:
        execute = super()._execute_pipeline
        return self._in_step(connection, execute, connection, commands, raise_on_error)

    def _disconnect_raise_on_watching(self, conn: Any, *_: Any, **__: Any) -> None:
        self._drop(conn)

    def _disconnect_reset_raise_on_watching(self, conn: Any, *_: Any, **__: Any) -> None:
        self._drop(conn)
        self.reset()

    def _in_step(
        self, connection: TimedConnection, ask: Callable[..., Any], *args: Any, **options: Any
    ) -> Any:
        """Ask, and keep the connection only if nothing is left to be read from it."""
        try:
            return ask(*args, **options)
        except _IN_STEP:
            raise
        except BaseException:
            self._drop(connection)
            raise

    def _drop(self, connection: TimedConnection) -> None:
        # With its connection the watch is gone; redis-py would still try to end it.
        self.watching = False
        connection.disconnect()
        self.connection_pool.doubt()
