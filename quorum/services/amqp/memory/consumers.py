"""What takes the messages of a queue in memory to a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorum.services.amqp.handlers import Handlers

if TYPE_CHECKING:
    from quorum.services.amqp.base import Handler
    from quorum.services.amqp.checked import Scope
    from quorum.services.amqp.deliveries import OneAnswer
    from quorum.services.amqp.memory.queues import MessageQueue, Taken
    from quorum.services.amqp.memory.store import Store


class MemoryConsumer:
    """Takes up to `prefetch` messages; `patience` is what `stop` waits unless it is told."""

    def __init__(
        self,
        store: Store,
        source: MessageQueue,
        handler: Handler,
        scope: Scope,
        *,
        prefetch: int,
        threads: int,
        patience: float,
    ) -> None:
        self.queue = source.properties.name
        self._store = store
        self._source = source
        self._prefetch = prefetch
        self._patience = patience
        self._held: set[Taken] = set()
        self._not_begun: dict[OneAnswer, Taken] = {}
        self._begun: set[OneAnswer] = set()
        self._handlers = _Handlers(self, handler, scope, threads)
        self.counts = self._handlers.counts

    @property
    def running(self) -> bool:
        return self in self._source.consumers

    @property
    def free(self) -> bool:
        """Whether it takes one more now."""
        return len(self._held) < self._prefetch

    @property
    def idle(self) -> bool:
        """Whether no handler runs or is about to."""
        return not self._begun and not self._not_begun

    def stop(self, timeout: float | None = None) -> bool:
        with self._store.changed:
            if self.running:
                self._source.consumers.remove(self)
            left = list(self._not_begun.values())
            self._not_begun.clear()
            for taken in left:
                self._store.give_back(taken)
            self._store.serve(self._source)
        self._handlers.stop()
        return self._handlers.join(self._patience if timeout is None else timeout)

    def put(self, taken: Taken, delivery: OneAnswer) -> None:
        """Have a message handled that was taken."""
        self._held.add(taken)
        self._not_begun[delivery] = taken
        self._handlers.put(delivery)

    def let_go(self, taken: Taken) -> None:
        """Note that a message is held no more: it was answered, or given back."""
        self._held.discard(taken)

    def begin(self, delivery: OneAnswer) -> bool:
        """Tell whether a delivery is to be handled: not if it was given back meanwhile."""
        with self._store.changed:
            if self._not_begun.pop(delivery, None) is None:
                return False
            self._begun.add(delivery)
            return True

    def end(self, delivery: OneAnswer) -> None:
        """Note that the handler of a delivery has ended."""
        with self._store.changed:
            self._begun.discard(delivery)
            self._store.changed.notify_all()


class _Handlers(Handlers):
    """Handlers that ask their consumer before they begin, and tell it once they are done."""

    def __init__(
        self, consumer: MemoryConsumer, handler: Handler, scope: Scope, threads: int
    ) -> None:
        self._consumer = consumer
        super().__init__(consumer.queue, handler, scope, threads)

    def _handle(self, delivery: OneAnswer) -> None:
        if self._consumer.begin(delivery):
            try:
                super()._handle(delivery)
            finally:
                self._consumer.end(delivery)
