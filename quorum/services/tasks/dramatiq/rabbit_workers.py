"""What takes jobs from RabbitMQ for the workers: dramatiq's consumers, on bounded connections."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import BrokerConnectionError, ConnectionClosed

from quorum.errors import ServiceError
from quorum.services.amqp.server.failures import lost
from quorum.services.amqp.server.quiet import hushed
from quorum.services.tasks.dramatiq.errands import delayed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dramatiq import Message
    from dramatiq.broker import Consumer, MessageProxy
    from dramatiq.middleware import Middleware
    from pika import ConnectionParameters

    from quorum.services.tasks.dramatiq.rabbit import RabbitBackend

logger = logging.getLogger("quorum.tasks")


class RabbitWorkers(RabbitmqBroker):
    """Dramatiq's broker of the workers, which publishes as the tasks do.

    Its own way would wait for a confirmation for as long as the connection seems to live.
    """

    def __init__(
        self,
        backend: RabbitBackend,
        parameters: ConnectionParameters,
        middleware: Sequence[Middleware],
    ) -> None:
        super().__init__(confirm_delivery=True, middleware=list(middleware))
        self.parameters = parameters
        self.backend = backend
        self.place = f"{parameters.host}:{parameters.port}"
        self.lost = False

    @property
    def consumer_class(self) -> type[Consumer]:
        return RabbitConsumer

    def _ensure_queue(self, _: str) -> None:
        with closed_connections():
            self.backend.ensure()

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Publish what had to wait."""
        sent = message if delay is None else delayed(message, delay / 1000)
        with closed_connections():
            self.backend.publish(sent)
        return sent


class RabbitConsumer(_RabbitmqConsumer):
    """Takes the messages of one queue; says once that it cannot, and once that it can again."""

    def __init__(self, broker: RabbitWorkers, *args: Any) -> None:
        try:
            with hushed():
                super().__init__(broker, *args)
        except BrokerConnectionError as error:
            tell_lost(broker, error)
            raise
        # What it would say of connections is said here.
        self.logger = logging.getLogger("quorum.tasks.dramatiq")
        if broker.lost:
            broker.lost = False
            logger.info("jobs come from %s again", broker.place)

    def __next__(self) -> MessageProxy | None:
        try:
            with hushed():
                message: MessageProxy | None = super().__next__()
        except BrokerConnectionError as error:
            tell_lost(self.broker, error)
            raise
        if message is not None:
            message.taken_by = self  # type: ignore[attr-defined]  # kept beside it
        return message

    def ack(self, message: MessageProxy) -> None:
        # What is kept is the broker's again as the connection ends.
        if self._has(message) and not getattr(message, "kept", False):
            super().ack(message)

    def nack(self, message: MessageProxy) -> None:
        if self._has(message):
            super().nack(message)

    def _has(self, message: Any) -> bool:
        # One that came over an earlier connection went back to the broker with it, and its tag is
        # another's here by now, which an answer would take from the queue.
        return getattr(message, "taken_by", self) is self

    def close(self) -> None:
        with hushed():
            super().close()


@contextmanager
def closed_connections() -> Iterator[None]:
    """Raise what dramatiq takes for a reason to connect again."""
    try:
        yield
    except ServiceError as error:
        raise ConnectionClosed(error) from error


def tell_lost(broker: Any, error: BrokerConnectionError) -> None:
    """Write that jobs do not come, once until they do."""
    if not broker.lost:
        broker.lost = True
        cause: Any = error.args[0]
        if not isinstance(cause, ServiceError):
            cause = lost(cause, broker.place)
        logger.warning("no jobs come, which is tried again: %s", cause.args[1])
