"""Subscriptions that outlive their connection: at most once, and what is missed is told of."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any

from redis.client import PubSub
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import TimeoutError as Late

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.redis.connections import TimedConnection

logger = logging.getLogger("quorum.redis")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


class LastingPubSub(PubSub):
    """Comes back on another connection when its own is lost, half-open ones included.

    While it waits it asks the server each `seconds` whether it is there; what is not answered in
    that time again is lost. `listen` tries to come back for as long as it takes, `get_message` for
    `seconds`.
    """

    connection: Any

    def __init__(self, *args: Any, seconds: float, **options: Any) -> None:
        self._seconds = seconds
        self._heard = 0.0
        self._asked: float | None = None
        self._returning: int | None = None
        super().__init__(*args, **options)

    def parse_response(self, block: bool = True, timeout: float = 0) -> Any:
        """Return the next message, or None if there is none after `timeout` seconds."""
        connection = self.connection
        if connection is None:
            raise RuntimeError("subscribe to something first")
        end = math.inf if block else time.monotonic() + timeout
        patience = math.inf if block else self._seconds
        while True:
            wait = max(0.0, min(end - time.monotonic(), self._seconds))
            response = self._lasting(patience, connection, self._read, connection, wait)
            if response is not None and not self.is_health_check_response(response):
                return response
            if time.monotonic() >= end:
                return None

    def _read(self, connection: TimedConnection, wait: float) -> Any:
        self._check(connection)
        if not connection.can_read(timeout=wait):
            return None
        connection.clock.start(self._seconds)
        response = connection.read_response(disconnect_on_error=False, push_request=True)
        self._heard, self._asked = time.monotonic(), None
        return response

    def _check(self, connection: TimedConnection) -> None:
        now = time.monotonic()
        if not connection.is_connected or now - self._heard < self._seconds:
            return
        if self._asked is None:
            connection.clock.start(self._seconds)
            connection.send_command("PING", self.HEALTH_CHECK_MESSAGE, check_health=False)
            self._asked = now
        elif now - self._asked > self._seconds:
            raise Lost("the server did not answer a subscription in time")

    def _execute(self, conn: Any, command: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return self._lasting(self._seconds, conn, command, *args, **options)

    def _lasting(
        self,
        patience: float,
        connection: TimedConnection,
        command: Callable[..., Any],
        *args: Any,
        **options: Any,
    ) -> Any:
        """Do it, and again on a new connection if need be: nothing here does harm when repeated."""
        connection.clock.start(self._seconds)
        used = connection.socket
        try:
            return command(*args, **options)
        except AuthenticationError:
            raise
        except (Lost, Late, OSError):
            if self._returning == threading.get_ident():
                raise
        self._come_back(connection, used, time.monotonic() + patience)
        connection.clock.start(self._seconds)
        return command(*args, **options)

    def _check_wanted(self, connection: TimedConnection) -> None:
        self.connection_pool.check_open()
        if self.connection is not connection:
            raise Lost("the subscription was closed")

    def on_connect(self, connection: TimedConnection) -> None:
        self._heard, self._asked = time.monotonic(), None
        super().on_connect(connection)

    def _come_back(self, connection: TimedConnection, lost: Any, end: float) -> None:
        """Connect again, unless another thread of this subscription has done so."""
        self._check_wanted(connection)
        logger.warning(
            "the connection of a subscription was lost; what is published until it is back is lost"
        )
        pause = _FIRST_PAUSE
        while True:
            self._check_wanted(connection)
            with self._lock:
                if connection.is_connected and connection.socket is not lost:
                    return
                try:
                    self._connect_again(connection, end)
                except AuthenticationError:
                    raise
                except (Lost, Late):
                    if time.monotonic() + pause >= end:
                        raise
                else:
                    return
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _connect_again(self, connection: TimedConnection, end: float) -> None:
        self._returning = threading.get_ident()
        try:
            connection.disconnect()
            connection.clock.start(max(0.0, min(end - time.monotonic(), self._seconds)))
            connection.connect()
        finally:
            self._returning = None
