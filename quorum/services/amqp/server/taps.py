"""Messages that are taken one by one, those of each queue on a channel of its own."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from pika import spec

from quorum.errors import Rejected
from quorum.services.amqp.server.calls import Call
from quorum.services.amqp.server.deliveries import Inlet
from quorum.services.amqp.server.failures import said

if TYPE_CHECKING:
    from pika import BasicProperties
    from pika.channel import Channel

    from quorum.services.amqp.checked import Queue
    from quorum.services.amqp.server.link import Link
    from quorum.services.amqp.server.session import Session


class Get(Call):
    """Takes the next message of a queue, if there is one now."""

    def __init__(self, link: Link, name: str, queue: Queue | None) -> None:
        super().__init__(link.seconds)
        self._link = link
        self._name = name
        self._queue = queue

    def begin(self, session: Session) -> None:
        tap = session.taps.get(self._name)
        if tap is None:
            session.make_room()
            tap = session.taps[self._name] = Tap(session, self._link, self._name, self._queue)
        tap.take(self)


class Tap:
    """The channel by which messages of one queue are taken: pika has one get at a time on each."""

    def __init__(self, session: Session, link: Link, name: str, queue: Queue | None) -> None:
        self._session = session
        self._name = name
        self._waiting: deque[Get] = deque()
        self._current: Get | None = None
        self._channel = session.connection.channel(on_open_callback=self._opened)
        self._channel.add_on_close_callback(self._closed)
        self._inlet = Inlet(link, self._channel, queue)

    @property
    def idle(self) -> bool:
        """Whether nobody waits for a message or for the end of one."""
        return not (self._waiting or self._current or self._inlet.unanswered)

    def take(self, call: Get) -> None:
        """Ask for a message, after those who asked before."""
        self._waiting.append(call)
        self._next()

    def close(self) -> None:
        """Close the channel, which is idle."""
        if self._inlet.open:
            self._channel.close()

    def _opened(self, channel: Channel) -> None:
        channel.add_callback(self._empty, [spec.Basic.GetEmpty], one_shot=False)
        self._next()

    def _next(self) -> None:
        while self._waiting and self._current is None and self._inlet.open:
            call = self._waiting.popleft()
            if call.claim():
                self._current = call
                self._channel.basic_get(self._name, self._got)

    def _got(self, _: Channel, method: Any, properties: BasicProperties, body: bytes) -> None:
        if not self._end(self._inlet.delivery(method, properties, body)):
            self._inlet.unanswered -= 1
            self._inlet.give_back(method.delivery_tag)
        self._next()

    def _empty(self, _: object) -> None:
        self._end(None)
        self._next()

    def _end(self, result: object) -> bool:
        call, self._current = self._current, None
        self._session.answered_at = time.monotonic()
        return call is not None and call.finish(result)

    def _closed(self, _: Channel, reason: Exception) -> None:
        session = self._session
        if not session.connection.is_open:
            return
        if session.taps.get(self._name) is self:
            del session.taps[self._name]
        session.answered_at = time.monotonic()
        for call in (self._current, *self._waiting):
            if call is not None:
                call.fail(
                    Rejected(
                        "amqp",
                        f"there is no queue {self._name!r} to take from "
                        f"({said(reason)}); declare it",
                    )
                )
