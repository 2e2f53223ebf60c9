"""The threads that call a handler, apart from the one that speaks with the broker."""

from __future__ import annotations

import inspect
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from quorum.errors import ServiceError
from quorum.services.counts import Counts

if TYPE_CHECKING:
    from quorum.services.amqp.base import Handler
    from quorum.services.amqp.checked import Scope
    from quorum.services.amqp.deliveries import OneAnswer

logger = logging.getLogger("quorum.amqp")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Handlers:
    """Threads that take deliveries one by one to a handler, and answer them by how it ends.

    `counts` counts the calls of the handler. Whoever fills them keeps to a prefetch, so that
    what waits here is bounded.
    """

    def __init__(self, name: str, handler: Handler, scope: Scope, threads: int) -> None:
        self.counts = Counts()
        self._name = name
        self._handler = handler
        self._scope = scope
        self._waiting: queue.SimpleQueue[OneAnswer | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"quorum-amqp-{name}-{each}", daemon=True)
            for each in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, delivery: OneAnswer) -> None:
        """Have a delivery handled by the next thread that is free."""
        self._waiting.put(delivery)

    def stop(self) -> None:
        """Begin no other delivery; what waits is given up, and is the broker's again."""
        self._stopped.set()
        for _ in self._threads:
            self._waiting.put(None)

    def join(self, timeout: float) -> bool:
        """Wait for the handlers that run, for up to `timeout` seconds; tell whether all ended.

        A handler that stops its own consumer does not wait for itself.
        """
        end = time.monotonic() + timeout
        others = [each for each in self._threads if each is not threading.current_thread()]
        for thread in others:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(each.is_alive() for each in others)

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            if not self._stopped.is_set():
                self._handle(delivery)

    def _handle(self, delivery: OneAnswer) -> None:
        try:
            with self.counts.call(), self._scope():
                self._call(delivery)
        except BaseException:
            # One that exits must not take the consumer along.
            logger.exception(
                "a handler of %s failed with message %s", self._name, delivery.message_id
            )
            self._answer(delivery, well=False)
        else:
            self._answer(delivery, well=True)

    def _call(self, delivery: OneAnswer) -> None:
        result = self._handler(delivery)
        if inspect.iscoroutine(result):
            # It did not run: to acknowledge the message would lose it.
            result.close()
            raise TypeError("the handler is a coroutine function; give a plain one")

    def _answer(self, delivery: OneAnswer, *, well: bool) -> None:
        if delivery.answered:
            return
        try:
            if well:
                delivery.ack()
            else:
                self._stopped.wait(_pause(delivery))
                delivery.reject(requeue=True)
        except ServiceError as error:
            # The broker gives it to another; who must bear that is told by the contract.
            logger.warning("message %s is delivered again: %s", delivery.message_id, error)
        except Exception:
            # Nor may an answer that failed.
            logger.exception("message %s was not answered", delivery.message_id)


def _pause(delivery: OneAnswer) -> float:
    """Return the seconds until a message is given back: what made it fail may pass."""
    count = delivery.headers.get("x-delivery-count", 0)
    if not isinstance(count, int) or (delivery.redelivered and count == 0):
        # Its queue counts nothing, so that it might come for ever.
        return _LONGEST_PAUSE
    return float(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(count, 16)))
