"""Queues, exchanges and bindings: how they are asked for, and which were asked for here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected
from quorum.services.amqp.server.calls import Call
from quorum.services.amqp.server.failures import said

if TYPE_CHECKING:
    from quorum.services.amqp.base import ExchangeType
    from quorum.services.amqp.checked import Queue
    from quorum.services.amqp.server.channels import Ask
    from quorum.services.amqp.server.session import Session


class Question(Call):
    """Something that is asked on a channel of its own; `what` begins the sentence of a refusal."""

    def __init__(self, seconds: float, ask: Ask, what: str) -> None:
        super().__init__(seconds)
        self._ask = ask
        self._what = what

    def begin(self, session: Session) -> None:
        if self.claim():
            session.errand(self._ask, lambda _: self.finish(), self._refused)

    def _refused(self, reason: Exception) -> None:
        self.fail(Rejected("amqp", f"{self._what} ({said(reason)})"))


class Declared:
    """What was declared here, to be declared again where it is gone."""

    def __init__(self) -> None:
        self.queues: dict[str, Queue] = {}
        self.exchanges: dict[str, ExchangeType] = {}
        self.bindings: dict[tuple[str, str, str], None] = {}

    def again(self, queue: str) -> list[Ask]:
        """Return what declares a queue, its dead letters and bindings again, in that order."""
        known = self.queues.get(queue)
        if known is None:
            return []
        dead = None if known.dead is None else self.queues.get(known.dead)
        asks = [queue_ask(each) for each in (dead, known) if each is not None]
        for bound, exchange, key in list(self.bindings):
            if bound == queue:
                if exchange in self.exchanges:
                    asks.append(exchange_ask(exchange, self.exchanges[exchange]))
                asks.append(binding_ask(queue, exchange, key))
        return asks


def queue_ask(queue: Queue) -> Ask:
    """Return what asks for a queue."""
    return lambda channel, done: channel.queue_declare(
        queue.name, durable=queue.durable, arguments=_arguments(queue), callback=done
    )


def exchange_ask(name: str, kind: ExchangeType) -> Ask:
    """Return what asks for an exchange."""
    return lambda channel, done: channel.exchange_declare(
        name, exchange_type=kind, durable=True, callback=done
    )


def binding_ask(queue: str, exchange: str, routing_key: str) -> Ask:
    """Return what asks for a binding."""
    return lambda channel, done: channel.queue_bind(
        queue, exchange, routing_key=routing_key, callback=done
    )


def _arguments(queue: Queue) -> dict[str, Any]:
    # https://www.rabbitmq.com/docs/quorum-queues
    arguments: dict[str, Any] = {}
    if queue.dead is not None:
        arguments |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue.dead}
    if queue.durable:
        arguments |= {"x-queue-type": "quorum", "x-delivery-limit": queue.delivery_limit}
    if queue.durable and queue.dead is not None:
        # Which asks that a full queue refuses messages, and drops none.
        arguments |= {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
    return arguments
