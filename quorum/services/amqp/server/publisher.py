"""The channel on which messages are published, and confirmed by the broker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pika import BasicProperties, spec

from quorum.errors import Rejected, ServiceError, Unavailable
from quorum.services.amqp.server.calls import Call
from quorum.services.amqp.server.failures import UNKNOWN, said

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.channel import Channel

    from quorum.services.amqp.messages import Message
    from quorum.services.amqp.server.session import Session

_PERSISTENT = 2


class Publish(Call):
    """A message to be published; once sent, never again."""

    repeatable = False

    def __init__(self, seconds: float, exchange: str, routing_key: str, message: Message) -> None:
        super().__init__(seconds)
        self.exchange = exchange
        self.routing_key = routing_key
        self.body = message.body
        self.properties = BasicProperties(
            content_type=message.content_type,
            headers=dict(message.headers),
            delivery_mode=_PERSISTENT,
            priority=message.priority,
            expiration=None if message.expires_in is None else str(message.expires_in),
            message_id=message.message_id,
        )
        self.returned = False

    def begin(self, session: Session) -> None:
        session.exchanges.take(self)

    def lost(self, place: str) -> ServiceError:
        if self.returned:
            return self.unroutable()
        return Unavailable("amqp", f"the connection to {place} was lost; {UNKNOWN}")

    def unroutable(self) -> Rejected:
        """Return the error for a message that no queue took."""
        where = f"the exchange {self.exchange!r}" if self.exchange else "the default exchange"
        return Rejected(
            "amqp",
            f"no queue takes the routing key {self.routing_key!r} of {where}; declare one and "
            "bind it",
        )


class Exchanges:
    """Those that were seen on this connection: publishing to an unknown one closes the channel."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen = {""}
        self._asking: dict[str, list[Publish]] = {}

    def take(self, call: Publish) -> None:
        """Publish, once the exchange is seen."""
        name = call.exchange
        if name in self._seen:
            self._session.publisher.send(call)
        elif name in self._asking:
            self._asking[name].append(call)
        else:
            self._asking[name] = [call]
            self._session.errand(
                lambda channel, done: channel.exchange_declare(name, passive=True, callback=done),
                lambda _: self._found(name),
                lambda reason: self._missing(name, reason),
            )

    def forget(self, name: str) -> None:
        """Look it up again before the next message; the default one is always there."""
        if name:
            self._seen.discard(name)

    def _found(self, name: str) -> None:
        self._seen.add(name)
        for call in self._asking.pop(name):
            self._session.publisher.send(call)

    def _missing(self, name: str, reason: Exception) -> None:
        for call in self._asking.pop(name):
            call.fail(_refused(call, reason))


class Publisher:
    """Publishes, and ends each call when the broker confirms, returns or refuses its message."""

    def __init__(self, session: Session, ready: Callable[[], object]) -> None:
        self._session = session
        self._ready = ready
        self._tag = 0
        self._pending: dict[int, Publish] = {}
        self._early: list[Publish] | None = []
        self._channel = session.connection.channel(on_open_callback=self._opened)
        self._channel.add_on_close_callback(self._closed)

    def send(self, call: Publish) -> None:
        """Send a message, unless its caller has gone."""
        if self._early is not None:
            self._early.append(call)
        elif call.claim():
            self._channel.basic_publish(
                call.exchange, call.routing_key, call.body, call.properties, mandatory=True
            )
            self._tag += 1
            self._pending[self._tag] = call

    def _opened(self, channel: Channel) -> None:
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._confirmed, callback=self._confirming)

    def _confirming(self, _: object) -> None:
        early, self._early = self._early or [], None
        for call in early:
            self.send(call)
        self._ready()

    def _returned(self, _: Channel, method: Any, properties: BasicProperties, __: bytes) -> None:
        # It comes before the confirmation of the same message.
        found = (method.exchange, method.routing_key, properties.message_id)
        for call in self._pending.values():
            sent = (call.exchange, call.routing_key, call.properties.message_id)
            if sent == found and not call.returned:
                call.returned = True
                return

    def _confirmed(self, frame: Any) -> None:
        self._session.answered_at = time.monotonic()
        method = frame.method
        stored = isinstance(method, spec.Basic.Ack)
        if not method.multiple:
            self._end(self._pending.pop(method.delivery_tag), stored=stored)
            return
        while self._pending and (tag := next(iter(self._pending))) <= method.delivery_tag:
            self._end(self._pending.pop(tag), stored=stored)

    @staticmethod
    def _end(call: Publish, *, stored: bool) -> None:
        if call.returned:
            call.fail(call.unroutable())
        elif stored:
            call.finish()
        else:
            # Behind an exchange there may be others, which have it.
            others = "; another queue of the exchange may have it" if call.exchange else ""
            call.fail(
                Rejected(
                    "amqp",
                    f"a queue of the routing key {call.routing_key!r} takes no more: it is full"
                    f"{others}",
                )
            )

    def _closed(self, _: Channel, reason: Exception) -> None:
        session = self._session
        if not session.connection.is_open:
            return
        pending, self._pending = list(self._pending.values()), {}
        again = self._early or []
        # What came after the culprit was not looked at; what came before may be stored.
        culprits = [place for place, call in enumerate(pending) if _is_about(reason, call)]
        for place, call in enumerate(pending):
            if culprits and place > culprits[-1]:
                call.take_back()
                again.append(call)
            elif culprits and place == culprits[-1]:
                session.exchanges.forget(call.exchange)
                call.fail(_refused(call, reason))
            else:
                call.fail(call.lost(session.place))
        session.renew_publisher()
        for call in again:
            session.exchanges.take(call)


def _is_about(reason: Exception, call: Publish) -> bool:
    """Tell whether the channel may have been closed over this message."""
    text = said(reason)
    name = call.exchange or "amq.default"
    return f"exchange '{name}'" in text or f"message size {len(call.body)} " in text


def _refused(call: Publish, reason: Exception) -> Rejected:
    text = said(reason)
    if text.startswith("404"):
        return Rejected("amqp", f"there is no exchange {call.exchange!r}; declare it ({text})")
    return Rejected("amqp", f"the broker refuses the message ({text})")
