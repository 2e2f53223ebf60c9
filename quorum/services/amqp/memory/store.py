"""What a broker in memory holds: exchanges, queues, and what was taken from them."""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from copy import deepcopy
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from quorum.errors import Rejected, Unavailable
from quorum.services.amqp.deliveries import OneAnswer
from quorum.services.amqp.memory.deaths import dead_letter
from quorum.services.amqp.memory.exchanges import Exchanges
from quorum.services.amqp.memory.queues import MessageQueue, Stored, Taken

if TYPE_CHECKING:
    from quorum.services.amqp.base import ExchangeType
    from quorum.services.amqp.checked import Queue
    from quorum.services.amqp.deliveries import Answer
    from quorum.services.amqp.memory.deaths import Reason
    from quorum.services.amqp.memory.published import Published
    from quorum.services.amqp.memory.queues import Taker


class Store:
    """The state of one broker. `changed` is its lock, and tells who waits that it changed."""

    def __init__(self) -> None:
        self.closed = False
        self.queues: dict[str, MessageQueue] = {}
        self._exchanges = Exchanges()
        self._taken: dict[Taken, None] = {}
        self._numbers = itertools.count()
        self._clock: threading.Thread | None = None
        self.changed = threading.Condition()
        _stores.add(self)

    def find(self, name: str) -> MessageQueue:
        """Return a queue. Raises Rejected where there is none of that name."""
        try:
            return self.queues[name]
        except KeyError:
            raise Rejected("amqp", f"there is no queue {name[:40]!a}; declare it first") from None

    def put(self, message: Published) -> None:
        """Put a message into each queue that its exchange finds; Rejected if there is none."""
        with self.changed:
            queues = self._route(message.exchange, message.routing_key)
            for queue in queues:
                self._put(queue, message)
            if not queues:
                where = f"the exchange {message.exchange[:40]!a}"
                where = where if message.exchange else "the default exchange"
                raise Rejected(
                    "amqp",
                    f"no queue takes the routing key {message.routing_key[:40]!a} of {where}; "
                    "declare one and bind it",
                )

    def declare(self, properties: Queue) -> None:
        """Add a queue, unless there is such a one. Raises Rejected for one that is different."""
        with self.changed:
            known = self.queues.setdefault(properties.name, MessageQueue(properties))
            if known.properties != properties:
                raise Rejected(
                    "amqp",
                    f"queue {properties.name[:40]!a} is there with other properties; take them, "
                    "or another name",
                )

    def declare_exchange(self, name: str, kind: ExchangeType) -> None:
        """Add an exchange, unless there is such a one. Raises Rejected for another type."""
        with self.changed:
            self._exchanges.declare(name, kind)

    def bind(self, queue: str, exchange: str, pattern: str) -> None:
        """Bind a queue to an exchange. Raises Rejected where one of them is not there."""
        with self.changed:
            self.find(queue)
            self._exchanges.find(exchange).bind(queue, pattern)

    def get(self, name: str, timeout: float) -> OneAnswer | None:
        """Take the next message of a queue, waiting for one for up to `timeout` seconds."""
        end = time.monotonic() + timeout
        with self.changed:
            while not self.closed:
                queue = self.find(name)
                if (stored := self._next(queue)) is not None:
                    delivery = self._take(queue, stored)[1]
                    self._watch_clock(queue)
                    return delivery
                if (left := end - time.monotonic()) <= 0:
                    return None
                self.changed.wait(left)
        raise Unavailable("amqp", "it was closed while a message was waited for")

    def serve(self, queue: MessageQueue) -> None:
        """Hand what is ready to the consumers that are free, and wake who waits."""
        with self.changed:
            while (consumer := queue.next_consumer()) and (stored := self._next(queue)):
                taken, delivery = self._take(queue, stored, consumer)
                consumer.put(taken, delivery)
            self._watch_clock(queue)
            self.changed.notify_all()

    def give_back(self, taken: Taken, *, asked: bool = False) -> None:
        """Put what was taken back; among the dead letters if that was too often."""
        self._let_go(taken)
        stored, properties = taken.stored, taken.queue.properties
        stored.given_back += 1
        # A queue that is not durable does not count: only who gives back may give up instead.
        counted = properties.durable or asked
        if counted and stored.given_back > properties.delivery_limit:
            reason: Reason = "delivery_limit" if properties.durable else "rejected"
            self._bury(taken.queue, stored, reason)
        else:
            if properties.durable:
                # A quorum queue appends it to what was given back; a classic one knows its place.
                stored.place = (False, next(self._numbers))
            taken.queue.put(stored)

    def shut(self) -> list[Taker]:
        """Have who waits for a message wait no more, and return the consumers to be stopped."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
            clock = self._clock
            consumers = [each for queue in self.queues.values() for each in queue.consumers]
        if clock is not None:
            clock.join()
        return consumers

    def give_all_back(self) -> None:
        """Give back all that was taken and not answered."""
        with self.changed:
            for taken in list(self._taken):
                self.give_back(taken)

    def leave(self) -> None:
        """Open the lock in a child that was just forked, where no consumer runs."""
        self.changed = threading.Condition()
        self._clock = None
        for queue in self.queues.values():
            queue.consumers.clear()

    def _route(self, exchange: str, routing_key: str) -> list[MessageQueue]:
        if exchange == "":
            return [self.queues[routing_key]] if routing_key in self.queues else []
        return [self.queues[name] for name in self._exchanges.find(exchange).route(routing_key)]

    def _put(self, queue: MessageQueue, message: Published) -> None:
        expires = None
        if message.expires_in is not None:
            expires = time.monotonic() + message.expires_in / 1000
        queue.put(Stored((True, next(self._numbers)), message, expires))
        self.serve(queue)

    def _next(self, queue: MessageQueue) -> Stored | None:
        for stored in queue.take_expired():
            self._bury(queue, stored, "expired")
        return queue.take()

    def _take(
        self, queue: MessageQueue, stored: Stored, consumer: Taker | None = None
    ) -> tuple[Taken, OneAnswer]:
        taken = Taken(queue, stored, consumer)
        self._taken[taken] = None
        message = stored.published
        headers = deepcopy(dict(message.headers))
        if queue.properties.durable:
            headers["x-delivery-count"] = stored.given_back
        return taken, OneAnswer(
            message.body,
            message.routing_key,
            message.exchange,
            stored.given_back > 0,
            partial(self._answer, taken),
            message.message_id,
            message.content_type,
            MappingProxyType(headers),
        )

    def _answer(self, taken: Taken, answer: Answer) -> None:
        with self.changed:
            if taken not in self._taken:
                raise Unavailable(
                    "amqp",
                    f"message {taken.stored.published.message_id} was given back as the broker "
                    "closed; it is delivered again",
                )
            if answer.requeue:
                self.give_back(taken, asked=True)
            else:
                self._let_go(taken)
                if not answer.ack:
                    self._bury(taken.queue, taken.stored, "rejected")
            self.serve(taken.queue)

    def _let_go(self, taken: Taken) -> None:
        del self._taken[taken]
        if taken.consumer is not None:
            taken.consumer.let_go(taken)

    def _bury(self, queue: MessageQueue, stored: Stored, reason: Reason) -> None:
        name, dead = queue.properties.name, queue.properties.dead
        if dead is not None:
            self._put(self.queues[dead], dead_letter(stored.published, name, dead, reason))

    def _next_expiry(self) -> float | None:
        moments = [queue.next_expiry for queue in self.queues.values()]
        return min((each for each in moments if each is not None), default=None)

    def _watch_clock(self, queue: MessageQueue) -> None:
        if self._clock is None and not self.closed and queue.next_expiry is not None:
            self._clock = threading.Thread(
                target=self._watch, name="quorum-amqp-expiry", daemon=True
            )
            self._clock.start()

    def _watch(self) -> None:
        """Let go of what expires, as long as there is anything that does."""
        with self.changed:
            while not self.closed and (moment := self._next_expiry()) is not None:
                self.changed.wait(max(0.0, moment - time.monotonic()))
                for queue in list(self.queues.values()):
                    for stored in queue.take_expired():
                        self._bury(queue, stored, "expired")
            self._clock = None


_stores: weakref.WeakSet[Store] = weakref.WeakSet()


def _leave_all() -> None:
    for store in list(_stores):
        store.leave()


os.register_at_fork(after_in_child=_leave_all)
