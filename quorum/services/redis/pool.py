"""The pool: a limited wait for a connection, and none that is dead, or another process's."""

from __future__ import annotations

import os
import threading
import time
import weakref
from queue import Empty, Full
from typing import Any

from redis import BlockingConnectionPool, Connection
from redis.exceptions import MaxConnectionsError
from redis.exceptions import TimeoutError as Late
from redis.maint_notifications import MaintNotificationsConfig

from quorum.errors import Unavailable
from quorum.services.redis.connections import KINDS, TimedConnection
from quorum.services.redis.stack import FairStack

# A connection that was idle for longer is asked before it is used: it may be half-open.
IDLE_SECONDS = 15.0
# Of the time of a call; the rest is for the command, which would else be sent too late.
_WAIT_PART = 0.8


class Pool(BlockingConnectionPool):
    """Hands out connections that are alive as far as can be known without sending the command."""

    _connections: list[TimedConnection]

    def __init__(self, *, seconds: float, **options: Any) -> None:
        options["connection_class"] = KINDS[options.get("connection_class", Connection)]
        self.closed = False
        self._seconds = seconds
        self._doubted = 0.0
        super().__init__(
            seconds=seconds,
            timeout=seconds * _WAIT_PART,
            queue_class=FairStack,
            # They lengthen time limits, and send a client elsewhere.
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            **options,
        )
        _pools.add(self)

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """Return a connection that is ready; the arguments of redis-py are of no use."""
        return self.take(self._seconds)

    def take(self, seconds: float, blocks: float = 0.0) -> TimedConnection:
        """Return a connection that is ready, its clock started when this was called.

        Raises redis-py's ConnectionError or TimeoutError, the latter also if less time is left
        than the command `blocks`; and Unavailable once it is closed.
        """
        start = time.monotonic()
        try:
            connection: Any = self.pool.get(timeout=seconds * _WAIT_PART)
        except Empty:
            raise MaxConnectionsError(
                f"all {self.max_connections} connections were in use for "
                f"{seconds * _WAIT_PART:g} s; set max_connections in REDIS_URL, or release them "
                "sooner"
            ) from None
        try:
            self.check_open()
            if connection is None:
                connection = self.make_connection()
            connection.clock.start(seconds, start)
            self._make_ready(connection, start)
            _check_time(connection, blocks)
        except BaseException:
            self._put_back(connection)
            raise
        ready: TimedConnection = connection
        return ready

    def release(self, connection: Any) -> None:
        if connection.pid != self.pid:
            return
        if self.closed:
            connection.disconnect()
        connection.last_used = time.monotonic()
        self._put_back(connection)

    def doubt(self) -> None:
        """Ask each idle connection before it is used again, since another was lost."""
        self._doubted = time.monotonic()

    def close(self) -> None:
        """Close those that are idle, and end the waits of the others."""
        self.closed = True
        idle = set()
        while True:
            try:
                connection = self.pool.get_nowait()
            except Empty:
                break
            if connection is not None:
                idle.add(connection)
                connection.disconnect()
        for connection in list(self._connections):
            if connection not in idle:
                connection.hang_up()
        # Whoever waits for one is told.
        for _ in range(self.max_connections):
            self._put_back(None)

    def leave(self) -> None:
        """Begin anew in a child that was just forked; nothing of the parent's is spoken on."""
        self._lock = threading.RLock()
        self._fork_lock = threading.RLock()
        for connection in self._connections:
            connection.abandon()
        self.reset()

    def check_open(self) -> None:
        """Raise Unavailable once it is closed."""
        if self.closed:
            raise Unavailable("redis", "it is closed; load the application again to use it")

    def _make_ready(self, connection: TimedConnection, now: float) -> None:
        if connection.is_connected:
            trusted = connection.last_used > max(now - IDLE_SECONDS, self._doubted)
            if connection.is_spoilt():
                connection.disconnect()
            elif not trusted and not connection.answers():
                self.doubt()
        if not connection.is_connected:
            connection.connect()

    def _put_back(self, connection: TimedConnection | None) -> None:
        try:
            self.pool.put_nowait(connection)
        except Full:
            return


def _check_time(connection: TimedConnection, blocks: float) -> None:
    if blocks and connection.clock.end - time.monotonic() < blocks:
        raise Late("no time is left to block in, so nothing was sent")


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _leave_all() -> None:
    for pool in list(_pools):
        pool.leave()


os.register_at_fork(after_in_child=_leave_all)
