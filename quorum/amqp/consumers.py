"""The functions that `start_consuming` calls, each with the messages of its queue."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

from quorum.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika import BasicProperties

    from quorum.amqp.channel import Channel
    from quorum.amqp.unanswered import Unanswered
    from quorum.amqp.values import Method
    from quorum.services.amqp.base import Broker

    Callback = Callable[[Channel, Method, BasicProperties, bytes], object]

_WAIT = 0.5
"""Seconds after which one that was cancelled is let go of."""


class _Consumer(NamedTuple):
    tag: str
    queue: str
    callback: Callback
    auto_ack: bool


class Consumers:
    """The consumers of a channel, by their tags; `prefetch` is how many may be unanswered."""

    def __init__(self, broker: Broker, unanswered: Unanswered) -> None:
        self.prefetch = 0
        self._broker = broker
        self._unanswered = unanswered
        self._consumers: dict[str, _Consumer] = {}

    @property
    def tags(self) -> list[str]:
        """The tags of those that are served."""
        return list(self._consumers)

    def add(self, queue: str, callback: Callback, tag: str | None, *, auto_ack: bool) -> str:
        """Serve one more, and return its tag. Raises Rejected for a tag that is taken."""
        tag = tag or f"ctag.{uuid.uuid4().hex}"
        if tag in self._consumers:
            raise Rejected("amqp", f"there is a consumer {tag!r} already; give it another tag")
        self._consumers[tag] = _Consumer(tag, queue, callback, auto_ack)
        return tag

    def cancel(self, tag: str) -> None:
        """Serve one no longer; a no-op for an unknown tag."""
        self._consumers.pop(tag, None)

    def run(self, channel: Channel) -> None:
        """Call the functions, on this thread, until all are cancelled."""
        while each := list(self._consumers.values()):
            # In turns, so that a full queue leaves no other waiting; all empty, wait at each.
            if not sum(self._serve(channel, consumer, 0) for consumer in each):
                any(self._serve(channel, consumer, _WAIT / len(each)) for consumer in each)

    def _serve(self, channel: Channel, consumer: _Consumer, wait: float) -> bool:
        """Tell whether a message came, and was handed on."""
        if self.prefetch and len(self._unanswered) >= self.prefetch:
            self._unanswered.wait(wait)
            return False
        delivery = self._broker.get(consumer.queue, wait)
        if delivery is None:
            return False
        if consumer.tag not in self._consumers:
            delivery.reject(requeue=True)
            return False
        given = self._unanswered.give(delivery, consumer.tag, auto_ack=consumer.auto_ack)
        consumer.callback(channel, *given)
        return True
