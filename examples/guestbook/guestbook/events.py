"""What others are told of a new entry: a message on AMQP, and an event for open pages."""

import logging
from collections.abc import Callable
from typing import Any

from guestbook.entries import Entry
from guestbook.pictures import Pictures
from quorum import Broker, Consumer, Delivery, Pusher, ServiceError
from quorum.forks import PerProcess
from quorum.services.amqp.memory import MemoryBroker

logger = logging.getLogger(__name__)

EXCHANGE = "guestbook"
SIGNED = "entry.signed"
"""The routing key of a message that tells of a new entry."""
SUMMARY = "guestbook.summary"
"""The queue of whoever writes the summary of the day."""

CHANNEL = "guestbook"
EVENT = "entry"


def declare(broker: Broker) -> None:
    """Make sure that a message has where to go; a no-op where all is there already."""
    broker.declare_exchange(EXCHANGE, "topic")
    broker.declare_queue(SUMMARY)
    broker.bind(SUMMARY, EXCHANGE, SIGNED)


class Events:
    """Tells of new entries. Whom it cannot reach is in the log: an entry stands either way."""

    def __init__(self, broker: Broker, pusher: Pusher, pictures: Pictures) -> None:
        self._broker = broker
        self._pusher = pusher
        self._pictures = pictures
        self._declared = False

    def signed(self, entry: Entry) -> None:
        """Tell of a new entry, once it is in the book."""
        try:
            self._publish(entry)
        except ServiceError as error:
            # Whoever removed the queue is why, maybe: the next one declares it again.
            self._declared = False
            logger.warning("the summary of the day may lack an entry: %s", error)
        try:
            self._pusher.trigger(CHANNEL, EVENT, self.shown(entry))
        except ServiceError as error:
            logger.warning("open pages do not see an entry yet: %s", error)

    def shown(self, entry: Entry) -> dict[str, Any]:
        """Return what an open page shows of an entry."""
        picture = self._pictures.url(entry.picture) if entry.picture else None
        shown = {"id": entry.id, "name": entry.name, "message": entry.message}
        return shown | {"at": entry.at.isoformat(), "when": entry.when, "picture": picture}

    def _publish(self, entry: Entry) -> None:
        # At first use: a constructor must not wait for a server. Twice does no harm.
        if not self._declared:
            declare(self._broker)
            self._declared = True
        body = {"id": entry.id, "name": entry.name, "at": entry.at.isoformat()}
        # The id of the entry: by it a consumer knows the message when it comes again.
        self._broker.publish(body, exchange=EXCHANGE, routing_key=SIGNED, message_id=entry.id)


class EmbeddedConsumer:
    """Takes the messages of the embedded twin to a handler, in the process that published them.

    Those of a server are taken by `quorum consume`, in a process of its own.
    """

    def __init__(self, broker: Broker, handler: Callable[[Delivery], object]) -> None:
        self._broker = broker
        self._handler = handler
        # The threads that call the handler do not live on in a forked child.
        self._consumer = PerProcess(self._consume)

    def start(self) -> None:
        """Begin to take messages; a no-op where that began already, and where a server has them."""
        if not isinstance(self._broker, MemoryBroker):
            return
        try:
            self._consumer.get()
        except ServiceError as error:
            logger.warning("nobody writes the summary of the day: %s", error)

    def close(self) -> None:
        """Take no more, once the handler that runs has ended."""
        if self._consumer.built is not None:
            self._consumer.built.stop()

    def _consume(self) -> Consumer:
        declare(self._broker)
        return self._broker.consume(SUMMARY, self._handler)
