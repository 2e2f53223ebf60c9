"""A consumer that subscribes again whenever its subscription ends."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from quorum.errors import Rejected
from quorum.services.amqp.handlers import Handlers
from quorum.services.amqp.server.backoff import Backoff
from quorum.services.amqp.server.calls import Call
from quorum.services.amqp.server.failures import said
from quorum.services.amqp.server.subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.amqp.base import Handler
    from quorum.services.amqp.checked import Scope
    from quorum.services.amqp.deliveries import OneAnswer
    from quorum.services.amqp.server.channels import Ask
    from quorum.services.amqp.server.declared import Declared
    from quorum.services.amqp.server.deliveries import Inlet
    from quorum.services.amqp.server.link import Link
    from quorum.services.amqp.server.session import Session
    from quorum.services.counts import Counts

logger = logging.getLogger("quorum.amqp")


class ServerConsumer:
    """Takes the messages of a queue to a handler, for as long as it is not stopped."""

    def __init__(self, link: Link, queue: str, declared: Declared, prefetch: int) -> None:
        self.queue = queue
        self.stopped = False
        self._link = link
        self._declared = declared
        self._prefetch = prefetch
        self._subscription: Subscription | None = None
        self._backoff = Backoff()
        self._told = False

    @property
    def counts(self) -> Counts:
        """The calls of the handler."""
        return self._handlers.counts

    @property
    def running(self) -> bool:
        return self._subscription is not None and not self.stopped and not self._link.foreign

    def start(self, handler: Handler, scope: Scope, threads: int) -> None:
        """Subscribe, and begin to handle what comes. Raises Rejected where there is no queue."""
        self._handlers = _LastOut(
            self.queue, handler, scope, threads, lambda: self._link.post(self._leave)
        )
        try:
            self._link.run(_Subscribe(self._link.seconds, self))
        except BaseException:
            self.cancel()
            raise

    def stop(self, timeout: float | None = None) -> bool:
        if self._link.foreign:
            return True
        self.cancel()
        return self._handlers.join(self._link.seconds if timeout is None else timeout)

    def cancel(self) -> None:
        """Take no more, without waiting for the handlers that run."""
        self.stopped = True
        self._link.post(self._cancel)
        self._handlers.stop()

    def subscribe(
        self,
        session: Session,
        began: Callable[[], object],
        ended: Callable[[Exception], object],
    ) -> None:
        """Subscribe on a session; `began` and `ended` are told what becomes of it at first."""
        Subscription(
            session,
            self._link,
            self.queue,
            self._declared.queues.get(self.queue),
            self._prefetch,
            deliver=self._deliver,
            began=partial(self._began, began),
            ended=partial(self._ended, session, ended),
        )

    def lost(self) -> None:
        """Note that the connection is gone."""
        self._subscription = None

    def restore(self, session: Session) -> None:
        """Declare again what was declared here, and subscribe."""
        self._link.loop.call_later(self._link.seconds, partial(self._check_restored, session))
        self._redeclare(session, self._declared.again(self.queue))

    def _check_restored(self, session: Session) -> None:
        """Tell of a queue that answers nothing, as one whose replicas are gone."""
        waits = self._subscription is None and not self.stopped and not self._told
        if waits and session is self._link.connector.session:
            self._told = True
            logger.warning("no messages come from %s: the queue does not answer", self.queue)

    def _redeclare(self, session: Session, asks: list[Ask]) -> None:
        if self.stopped or session is not self._link.connector.session:
            return
        if not asks:
            later = partial(self._restore_later, session)
            self.subscribe(session, self._backoff.reset, later)
            return
        rest = partial(self._redeclare, session, asks[1:])
        # One that is there with other properties can be taken from as well.
        session.errand(asks[0], lambda _: rest(), lambda _: rest())

    def _restore_later(self, session: Session, reason: Exception) -> None:
        if not self._told:
            self._told = True
            logger.warning("no messages come from %s: %s", self.queue, said(reason))
        self._link.loop.call_later(self._backoff.next(), partial(self.restore, session))

    def _began(self, began: Callable[[], object], subscription: Subscription) -> None:
        if self.stopped:
            subscription.close()
            return
        self._subscription = subscription
        if self not in self._link.consumers:
            self._link.consumers.append(self)
        if self._told:
            self._told = False
            logger.info("messages come from %s again", self.queue)
        began()

    def _ended(
        self, session: Session, ended: Callable[[Exception], object], reason: Exception
    ) -> None:
        was, self._subscription = self._subscription, None
        if self.stopped:
            return
        if was is None:
            ended(reason)
        else:
            self.restore(session)

    def _deliver(self, inlet: Inlet, tag: int, delivery: OneAnswer) -> None:
        if self.stopped:
            inlet.give_back(tag)
        else:
            self._handlers.take(inlet, tag, delivery)

    def _cancel(self) -> None:
        if self in self._link.consumers:
            self._link.consumers.remove(self)
        if self._subscription is not None:
            self._subscription.cancel()
        for inlet, tag in self._handlers.not_begun():
            inlet.give_back(tag)

    def _leave(self) -> None:
        if self._subscription is not None:
            self._subscription.close()


class _Subscribe(Call):
    """The first subscription of a consumer."""

    def __init__(self, seconds: float, consumer: ServerConsumer) -> None:
        super().__init__(seconds)
        self._consumer = consumer

    def begin(self, session: Session) -> None:
        if self.claim():
            self._consumer.subscribe(session, self.finish, self._refused)

    def _refused(self, reason: Exception) -> None:
        queue = self._consumer.queue
        self.fail(
            Rejected(
                "amqp", f"there is no queue {queue!r} to take from ({said(reason)}); declare it"
            )
        )


class _LastOut(Handlers):
    """Handlers that begin nothing whose channel is gone, and tell when the last has ended."""

    def __init__(
        self,
        name: str,
        handler: Handler,
        scope: Scope,
        threads: int,
        last_out: Callable[[], object],
    ) -> None:
        # Taken out by whoever begins one, or gives it back.
        self._not_begun: dict[OneAnswer, tuple[Inlet, int]] = {}
        self._left = threads
        self._lock = threading.Lock()
        self._last_out = last_out
        super().__init__(name, handler, scope, threads)

    def take(self, inlet: Inlet, tag: int, delivery: OneAnswer) -> None:
        """Have a delivery handled."""
        self._not_begun[delivery] = (inlet, tag)
        self.put(delivery)

    def not_begun(self) -> list[tuple[Inlet, int]]:
        """Return where those came by that no handler has begun; none of them will be."""
        found = []
        with suppress(KeyError):
            while True:
                found.append(self._not_begun.popitem()[1])
        return found

    def _run(self) -> None:
        super()._run()
        with self._lock:
            self._left -= 1
            last = not self._left
        if last:
            self._last_out()

    def _handle(self, delivery: OneAnswer) -> None:
        inlet, _ = self._not_begun.pop(delivery, (None, 0))
        if inlet is not None and inlet.open:
            super()._handle(delivery)
