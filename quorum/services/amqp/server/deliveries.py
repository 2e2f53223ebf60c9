"""Deliveries of the broker, and how their answers travel."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from quorum.errors import Unavailable
from quorum.services.amqp.deliveries import OneAnswer
from quorum.services.amqp.server.calls import Call

if TYPE_CHECKING:
    from pika import BasicProperties
    from pika.channel import Channel

    from quorum.services.amqp.checked import Queue
    from quorum.services.amqp.deliveries import Answer
    from quorum.services.amqp.server.link import Link


class Inlet:
    """A channel that messages come by; `unanswered` counts those that it waits for.

    `queue` is as it was declared here, None if it was not.
    """

    def __init__(self, link: Link, channel: Channel, queue: Queue | None) -> None:
        self.channel = channel
        self.unanswered = 0
        self._link = link
        self._once = queue is not None and not queue.durable and queue.delivery_limit == 1

    @property
    def open(self) -> bool:
        """Whether an answer can still be given."""
        return bool(self.channel.is_open)

    def delivery(self, method: Any, properties: BasicProperties, body: bytes) -> OneAnswer:
        """Return the delivery of what pika gave."""
        self.unanswered += 1
        return OneAnswer(
            body,
            method.routing_key,
            method.exchange,
            method.redelivered,
            lambda answer: self._answer(method, answer),
            properties.message_id,
            properties.content_type,
            MappingProxyType(_plain(properties.headers or {})),
        )

    def give_back(self, tag: int) -> None:
        """Give back a message that nobody looked at; on the link's thread."""
        if self.open:
            self.channel.basic_nack(tag, requeue=True)

    def _answer(self, method: Any, answer: Answer) -> None:
        call = Call(self._link.seconds)
        self._link.answer(call, lambda: self._send(call, method, answer))

    def _send(self, call: Call, method: Any, answer: Answer) -> None:
        self.unanswered -= 1
        if not self.open:
            call.fail(
                Unavailable(
                    "amqp", "the connection it came by is gone: the message is delivered again"
                )
            )
            return
        if answer.ack:
            self.channel.basic_ack(method.delivery_tag)
        else:
            # A classic queue counts no deliveries: what fails twice would come for ever.
            requeue = answer.requeue and not (self._once and method.redelivered)
            self.channel.basic_nack(method.delivery_tag, requeue=requeue)
        # The loop writes before it comes to this: a process that then ends has answered.
        self._link.loop.call_later(0, call.finish)


def _plain(value: Any) -> Any:
    """Return a value of a header as Python's own: pika has a class for numbers of 64 bits."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
