"""One subscription to a queue, on a channel of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from quorum.services.amqp.server.deliveries import Inlet

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika import BasicProperties
    from pika.channel import Channel

    from quorum.services.amqp.checked import Queue
    from quorum.services.amqp.deliveries import OneAnswer
    from quorum.services.amqp.server.link import Link
    from quorum.services.amqp.server.session import Session


class Subscription:
    """Takes messages until it is cancelled, here or by the broker; all on the link's thread.

    `began` is called once messages come, `ended` with the reason when none come any more, or
    when none ever did; not when the connection breaks, which the link tells.
    """

    def __init__(
        self,
        session: Session,
        link: Link,
        name: str,
        queue: Queue | None,
        prefetch: int,
        *,
        deliver: Callable[[Inlet, int, OneAnswer], object],
        began: Callable[[Subscription], object],
        ended: Callable[[Exception], object],
    ) -> None:
        self._session = session
        self._name = name
        self._prefetch = prefetch
        self._deliver = deliver
        self._began = began
        self._ended = ended
        self._tag = ""
        self._channel = session.connection.channel(on_open_callback=self._opened)
        self._channel.add_on_close_callback(self._closed)
        self._inlet = Inlet(link, self._channel, queue)

    def cancel(self) -> None:
        """Take no more; what was taken can still be answered."""
        if self._inlet.open and self._tag:
            self._channel.basic_cancel(self._tag, callback=lambda _: None)

    def close(self) -> None:
        """End it; what was taken and not answered is the queue's again."""
        if self._inlet.open:
            self._channel.close()

    def _opened(self, channel: Channel) -> None:
        channel.add_on_cancel_callback(lambda _: self.close())
        channel.basic_qos(prefetch_count=self._prefetch, callback=self._consume)

    def _consume(self, _: object) -> None:
        self._tag = self._channel.basic_consume(self._name, self._take, callback=self._subscribed)

    def _subscribed(self, _: object) -> None:
        self._session.answered_at = time.monotonic()
        self._began(self)

    def _take(self, _: Channel, method: Any, properties: BasicProperties, body: bytes) -> None:
        self._session.answered_at = time.monotonic()
        delivery = self._inlet.delivery(method, properties, body)
        self._deliver(self._inlet, method.delivery_tag, delivery)

    def _closed(self, _: Channel, reason: Exception) -> None:
        if self._session.connection.is_open:
            self._session.answered_at = time.monotonic()
            self._ended(reason)
