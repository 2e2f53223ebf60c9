"""One connection after another, for as long as there is something to do."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected, ServiceError, TimedOut
from quorum.services.amqp.server.backoff import Backoff
from quorum.services.amqp.server.connection import Connection, Services
from quorum.services.amqp.server.failures import lost
from quorum.services.amqp.server.session import Session

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pika import ConnectionParameters

    from quorum.services.amqp.server.link import Link

logger = logging.getLogger("quorum.amqp")

_LOOKS = 4


class Connector:
    """Keeps the link connected; `session` is there while calls can begin on it."""

    def __init__(self, link: Link, parameters: ConnectionParameters) -> None:
        self.session: Session | None = None
        self._link = link
        self._loop = link.loop
        self._services = Services(link.loop)
        self._parameters = parameters
        self._current: Session | None = None
        self._connection: Connection | None = None
        self._retry: Any = None
        self._backoff = Backoff()
        self._failure: ServiceError | None = None
        self._told = False
        self._closing = False

    def connect_if_needed(self) -> None:
        """Begin to connect, unless that is under way."""
        if self._connection is None and self._retry is None and not self._closing:
            self._connection = Connection(
                self._parameters,
                on_open_callback=self._opened,
                on_open_error_callback=self._failed,
                on_close_callback=self._failed,
                custom_ioloop=self._services,
            )

    def look(self) -> None:
        """Begin nothing on a session whose other side is gone, which pika tells a moment later."""
        if self.session is not None and self._services.hung_up():
            self.session = None

    def together(self) -> AbstractContextManager[None]:
        """Send at once what is written in the block."""
        return nullcontext() if self.session is None else self.session.connection.together()

    def excuse(self, ending: str) -> ServiceError:
        """Return the error for a call that waited in vain; for any thread."""
        session, failure = self._current, self._failure
        if session is not None and session.blocked:
            return TimedOut(
                "amqp",
                f"{self._link.place} is short of memory or disk, and takes nothing now{ending}",
            )
        if failure is not None:
            return type(failure)("amqp", f"{failure.args[1]}{ending}")
        return TimedOut("amqp", f"{self._link.place} did not answer in time{ending}")

    def doubt(self, session: Session, since: float) -> None:
        """Drop a connection on which the broker answered nothing since then."""
        if session is not self._current or session.blocked or session.answered_at >= since:
            return
        # A call whose time was nearly over when the connection came says nothing about it.
        if session.now() - since >= self._link.seconds / 2:
            self._drop(session)

    def close(self, seconds: float) -> None:
        """End the connection for good, within so many seconds."""
        self._closing = True
        connection = self._connection
        if connection is None:
            self._link.ended()
            return
        if connection.is_open:
            connection.close()
            self._loop.call_later(seconds, lambda: connection.drop(ConnectionError("closed")))
        else:
            connection.drop(ConnectionError("closed"))

    def _opened(self, connection: Any) -> None:
        session = Session(connection, self._link.place, lambda: self._ready(session))
        connection.add_on_connection_blocked_callback(lambda *_: self._blocked(session))
        connection.add_on_connection_unblocked_callback(lambda *_: self._unblocked(session))
        self._loop.call_later(self._link.seconds, lambda: self._check_ready(session))

    def _check_ready(self, session: Session) -> None:
        if self._connection is session.connection and self._current is not session:
            self._drop(session)

    def _ready(self, session: Session) -> None:
        self.session = self._current = session
        self._backoff.reset()
        self._failure = None
        if self._told:
            self._told = False
            logger.info("the connection to %s is restored", self._link.place)
        self._listen(session)
        self._link.opened(session)

    def _listen(self, session: Session) -> None:
        """Drop a connection on which nothing comes, not even heartbeats.

        pika looks too, but later: up to twice the heartbeat and ten seconds.
        """
        if self._current is not session:
            return
        heartbeat = session.connection.params.heartbeat
        if session.silent_for() > heartbeat:
            self._drop(session)
        else:
            self._loop.call_later(heartbeat / _LOOKS, lambda: self._listen(session))

    def _drop(self, session: Session) -> None:
        error = TimeoutError("nothing came in time")
        # At once: what is asked now must not be sent on it.
        self._end(error)
        session.connection.drop(error)

    def _blocked(self, session: Session) -> None:
        session.blocked = True
        logger.warning("%s is short of memory or disk, and takes no messages now", self._link.place)

    def _unblocked(self, session: Session) -> None:
        session.blocked = False
        logger.info("%s takes messages again", self._link.place)
        if self.session is session:
            self._link.flush(session)

    def _failed(self, connection: Any, error: BaseException) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        if self._closing:
            self._link.ended()
            return
        self._end(error)
        if self._link.wanted:
            self._retry = self._loop.call_later(self._backoff.next(), self._connect_again)

    def _end(self, error: BaseException) -> None:
        session, self.session, self._current = self._current, None, None
        failure = self._failure = lost(error, self._link.place)
        failure.__cause__ = error
        if session is not None:
            if not self._told:
                self._told = True
                logger.warning("the connection is lost: %s", failure)
            self._link.lost(session)
        if isinstance(failure, Rejected):
            self._link.refused(failure)

    def _connect_again(self) -> None:
        self._retry = None
        if self._link.wanted:
            self.connect_if_needed()
