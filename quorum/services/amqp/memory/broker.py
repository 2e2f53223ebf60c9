"""The embedded twin of RabbitMQ, in memory, and what tests ask of it."""

from __future__ import annotations

import time
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from quorum.errors import TimedOut
from quorum.services.amqp.checked import CheckedBroker
from quorum.services.amqp.memory import published as records
from quorum.services.amqp.memory.consumers import MemoryConsumer
from quorum.services.amqp.memory.published import ANY, Published
from quorum.services.amqp.memory.store import Store

if TYPE_CHECKING:
    from quorum.services.amqp.base import Consumer, Delivery, ExchangeType, Handler
    from quorum.services.amqp.checked import Queue, Scope
    from quorum.services.amqp.messages import Message
    from quorum.settings import AmqpSettings

_KEPT = 10_000


class MemoryBroker(CheckedBroker):
    """A broker in memory, whose messages end with the process.

    As a quorum queue does, it ignores priorities, has what is given back before all that was
    never given, and lets go of what has expired once that is the next. A forked child has a copy
    of what was there at the fork, with no consumer: what the two do then, neither sees of the
    other.
    """

    def __init__(self, settings: AmqpSettings, *, scope: Scope = nullcontext) -> None:
        super().__init__(settings, scope=scope)
        self._store = Store()
        self._published: deque[Published] = deque(maxlen=_KEPT)

    @property
    def published(self) -> list[Published]:
        """What was published, the oldest first; the last 10,000 messages, if there were more."""
        return list(self._published)

    def messages(self, queue: str) -> list[Published]:
        """Return what is ready in a queue, the next first; what was taken is not. No call.

        Dead letters tell by their header `x-death` why they are. Raises Rejected where there is
        no such queue.
        """
        with self._store.changed:
            return [stored.published for stored in self._store.find(queue).ready]

    def clear(self) -> None:
        """Forget what was published; what the queues hold stays."""
        self._published.clear()

    def drain(self, timeout: float = 5.0) -> None:
        """Wait until the consumers have dealt with all that is in their queues.

        `timeout` is in seconds. Raises TimedOut if they have not by then, as where a handler
        itself calls it.
        """
        with self._store.changed:
            if not self._store.changed.wait_for(self._idle, timeout):
                raise TimedOut(
                    "amqp", f"the consumers are still at work after {timeout:g} s; wait for longer"
                )

    def assert_published(
        self,
        *,
        routing_key: str | None = None,
        exchange: str | None = None,
        json: Any = ANY,
        body: Any = ANY,
        times: int | None = None,
    ) -> None:
        """Assert that a message of that kind was published: at least one, or just `times`.

        What is not given matches any; `json` is what the body says, whatever its spaces and the
        order of its keys, `body` its bytes or text. Raises AssertionError that lists what was
        published.
        """
        records.assert_published(
            self.published,
            routing_key=routing_key,
            exchange=exchange,
            says=json,
            body=body,
            times=times,
        )

    def assert_nothing_published(self) -> None:
        """Assert that no message was published. Raises AssertionError that lists what was."""
        if self._published:
            raise AssertionError(f"expected no message. {records.listing(self.published)}")

    def send(self, exchange: str, routing_key: str, message: Message) -> None:
        published = Published.of(message, exchange, routing_key)
        with self._store.changed:
            self._store.put(published)
            self._published.append(published)

    def make_queues(self, *queues: Queue) -> None:
        for queue in queues:
            self._store.declare(queue)

    def make_exchange(self, name: str, kind: ExchangeType) -> None:
        self._store.declare_exchange(name, kind)

    def join(self, queue: str, exchange: str, routing_key: str) -> None:
        self._store.bind(queue, exchange, routing_key)

    def fetch(self, queue: str, timeout: float) -> Delivery | None:
        return self._store.get(queue, timeout)

    def start(self, queue: str, handler: Handler, prefetch: int, threads: int) -> Consumer:
        with self._store.changed:
            # It may have been closed since it was looked at.
            self._check_open()
            source = self._store.find(queue)
            consumer = MemoryConsumer(
                self._store,
                source,
                handler,
                self._scope,
                prefetch=prefetch,
                threads=threads,
                patience=self._settings.timeout,
            )
            source.consumers.append(consumer)
            self._store.serve(source)
            return consumer

    def reach(self) -> None:
        """Return: there is no server to reach."""

    def release(self) -> None:
        end = time.monotonic() + self._settings.timeout
        consumers = self._store.shut()
        # All begin to stop before one is waited for.
        for consumer in consumers:
            consumer.stop(0)
        for consumer in consumers:
            consumer.stop(max(0.0, end - time.monotonic()))
        self._store.give_all_back()

    def _idle(self) -> bool:
        return all(
            consumer.idle and not len(queue)
            for queue in self._store.queues.values()
            for consumer in queue.consumers
        )
