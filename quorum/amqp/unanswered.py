"""The messages that a channel gave and that wait for an answer, by their tags."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

from quorum.amqp.values import Method, properties_of
from quorum.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pika import BasicProperties

    from quorum.services.amqp.base import Delivery


class Unanswered:
    """The deliveries of a channel, numbered from 1 as they are given."""

    def __init__(self) -> None:
        self._tags = itertools.count(1)
        self._deliveries: dict[int, Delivery] = {}
        self._answered = threading.Event()

    def __len__(self) -> int:
        return len(self._deliveries)

    def give(
        self, delivery: Delivery, consumer_tag: str | None = None, *, auto_ack: bool
    ) -> tuple[Method, BasicProperties, bytes]:
        """Return method, properties and body of a delivery, which is to be answered from now on.

        With `auto_ack` it is acknowledged already; raises as `Delivery.ack` does.
        """
        tag = next(self._tags)
        if auto_ack:
            delivery.ack()
        else:
            self._deliveries[tag] = delivery
        method = Method(
            tag, delivery.redelivered, delivery.exchange, delivery.routing_key, consumer_tag
        )
        return method, properties_of(delivery), delivery.body

    def take(self, tag: int, *, multiple: bool) -> Iterator[Delivery]:
        """Give what is answered by a tag; with `multiple` all up to it, or all for 0.

        Raises Rejected where there is none.
        """
        up_to = [each for each in list(self._deliveries) if each <= tag or not tag]
        for each in up_to if multiple and (up_to or not tag) else [tag]:
            delivery = self._deliveries.pop(each, None)
            if delivery is None:
                raise Rejected("amqp", f"no message with delivery tag {tag} waits for an answer")
            self._answered.set()
            yield delivery

    def wait(self, seconds: float) -> None:
        """Wait until one more is answered, for up to so many seconds."""
        self._answered.wait(seconds)
        self._answered.clear()
