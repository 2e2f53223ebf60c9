"""RabbitMQ as the broker of the tasks: what is sent, and what is among the dead letters."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from dramatiq import DecodeError, Message
from dramatiq.common import dq_name, xq_name

from quorum.services.amqp.server.options import parameters_of
from quorum.services.tasks.dramatiq.backend import MARK_SECONDS, RUN_SECONDS
from quorum.services.tasks.dramatiq.errands import delayed, errand_in
from quorum.services.tasks.dramatiq.failures import told
from quorum.services.tasks.dramatiq.publisher import Publisher
from quorum.services.tasks.dramatiq.rabbit_workers import RabbitWorkers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dramatiq import Broker
    from dramatiq.middleware import Middleware

    from quorum.services.amqp.base import Delivery
    from quorum.services.tasks.dramatiq.errands import Errand
    from quorum.settings import AmqpSettings

_DEAD_MILLISECONDS = 7 * 24 * 3600 * 1000
_ONE_MESSAGE = {
    "x-max-length": 1,
    "x-overflow": "reject-publish",
    # Once nobody has such a schedule any more.
    "x-expires": int(2 * RUN_SECONDS * 1000),
}
# From RabbitMQ 3.12 on; else what is not answered for 30 minutes goes to another worker as well.
_LONG = {"x-consumer-timeout": int(RUN_SECONDS * 1000)}
_DELIVERIES = 20
"""Workers that one job may take along with it before it is a dead letter."""


class RabbitBackend:
    """The queues of dramatiq: `<queue>`, `.DQ` for what is delayed, `.XQ` for dead letters."""

    def __init__(self, settings: AmqpSettings, queue: str) -> None:
        self._settings = settings
        self._queue = queue
        self._amqp = Publisher(settings, scope=nullcontext)
        self._declared: set[str] = set()

    def send(self, errand: Errand, delay: float | None = None) -> None:
        message = errand.message(self._queue)
        self.publish(message if delay is None else delayed(message, delay))

    def bury(self, errand: Errand) -> None:
        self.publish(errand.message(self._queue), xq_name(self._queue))

    def publish(self, message: Message[Any], queue: str | None = None) -> None:
        """Publish a message to its queue, or to another of ours."""
        name, body = queue or message.queue_name, message.encode()
        with told():
            end = self._amqp.deadline()
            self._ensure(end)
            while not self._amqp.put(name, body, message.message_id, end):
                # Somebody deleted it.
                self._declared.clear()
                self._ensure(end)

    def ensure(self) -> None:
        """Make sure that the queues are there, even if they were before."""
        with told():
            self._declared.clear()
            self._ensure(self._amqp.deadline())

    def dead(self) -> Sequence[Errand]:
        with told():
            self._ensure(self._amqp.deadline())
            return [errand for _, errand in self._dead_letters()]

    def revive(self, job: str) -> Errand | None:
        with told():
            self._ensure(self._amqp.deadline())
            for delivery, errand in self._dead_letters():
                if errand.id == job:
                    self.send(errand.anew())
                    delivery.ack()
                    return errand
        return None

    def mark(self, schedule: str) -> bool:
        name = self._mark_of(schedule)
        with told():
            end = self._amqp.deadline()
            # A second message is refused, which no two processes can get past.
            self._amqp.declare_as(name, _ONE_MESSAGE, end)
            return self._amqp.put_one(name, MARK_SECONDS, end)

    def renew(self, schedule: str) -> None:
        name = self._mark_of(schedule)
        with told():
            end = self._amqp.deadline()
            self._amqp.purge(name, end)
            self._amqp.put_one(name, RUN_SECONDS, end)

    def unmark(self, schedule: str) -> None:
        with told():
            self._amqp.purge(self._mark_of(schedule), self._amqp.deadline())

    def broker(self, middleware: Sequence[Middleware]) -> Broker:
        return RabbitWorkers(self, parameters_of(self._settings), middleware)

    def ping(self) -> None:
        with told():
            self._amqp.ping()

    def close(self) -> None:
        self._amqp.close()

    def _ensure(self, end: float) -> None:
        if self._queue not in self._declared:
            for name, arguments in self._queues().items():
                self._amqp.declare_as(name, arguments, end)
            self._declared.add(self._queue)

    def _queues(self) -> dict[str, dict[str, Any]]:
        dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": xq_name(self._queue)}
        return {
            xq_name(self._queue): {"x-message-ttl": _DEAD_MILLISECONDS},
            # A worker holds what is delayed without an answer, and may give it back often.
            dq_name(self._queue): dead | _LONG,
            # Acknowledgements that a classic queue was given outlive no kill of the broker.
            self._queue: dead
            | {
                "x-queue-type": "quorum",
                "x-delivery-limit": _DELIVERIES,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            }
            | _LONG,
        }

    def _mark_of(self, schedule: str) -> str:
        # Its name may be of any length, and of any characters.
        digest = hashlib.blake2b(schedule.encode(), digest_size=8).hexdigest()
        return f"{self._queue}.schedule.{digest}"

    def _dead_letters(self) -> Iterator[tuple[Delivery, Errand]]:
        """Take them one by one; those that were not answered are given back at the end."""
        taken: list[Any] = []
        try:
            while (delivery := self._amqp.get(xq_name(self._queue))) is not None:
                taken.append(delivery)
                try:
                    errand = errand_in(Message.decode(delivery.body))
                except (DecodeError, KeyError, TypeError, ValueError):
                    # Of somebody else, who may look after it.
                    continue
                yield delivery, errand
        finally:
            for each in taken:
                if not each.answered:
                    each.reject(requeue=True)
