"""The thread that speaks with the broker, and the work that other threads hand it."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pika.adapters.select_connection import IOLoop

from quorum.errors import Rejected, ServiceError, TimedOut, Unavailable
from quorum.services.amqp.server.connector import Connector
from quorum.services.amqp.server.failures import UNKNOWN, UNSENT
from quorum.services.amqp.server.quiet import hushed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika import ConnectionParameters

    from quorum.services.amqp.server.calls import Call
    from quorum.services.amqp.server.consumer import ServerConsumer
    from quorum.services.amqp.server.session import Session

logger = logging.getLogger("quorum.amqp")

THREAD = "quorum-amqp"


class Link:
    """Does calls on the session there is, or on the next one.

    `post`, `run`, `answer` and `close` are for any thread; all else happens on the link's own.
    """

    def __init__(self, parameters: ConnectionParameters, place: str, seconds: float) -> None:
        self.place = place
        self.seconds = seconds
        self.loop = IOLoop()
        self.consumers: list[ServerConsumer] = []
        self.connector = Connector(self, parameters)
        self._process = os.getpid()
        self._waiting: deque[Call] = deque()
        self._posted: deque[Callable[[], object]] = deque()
        self._woken = False
        self._closed = False
        self._over = False
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    @property
    def foreign(self) -> bool:
        """Whether it is the parent's, in a child that was forked."""
        return self._process != os.getpid()

    @property
    def wanted(self) -> bool:
        """Whether there is something to do, so that a connection is worth it."""
        while self._waiting and self._waiting[0].over:
            self._waiting.popleft()
        return not self._closed and bool(self._waiting or self.consumers)

    def post(self, work: Callable[[], object]) -> None:
        """Have something done on the link's thread; what was posted first is done first."""
        if self.foreign:
            raise Unavailable("amqp", "it belongs to the process that this one was forked from")
        self._posted.append(work)
        if self._over:
            self._work_left()
            return
        # It is set back before the work is taken, so that one wake-up serves many threads.
        if not self._woken:
            self._woken = True
            self.loop.add_callback_threadsafe(self._work)

    def run(self, call: Call) -> Any:
        """Do a call; return its result, or raise its error, by its deadline."""
        self.post(partial(self._take, call))
        if call.wait() or not call.give_up():
            return call.outcome()
        raise self._late(call)

    def answer(self, call: Call, work: Callable[[], object]) -> None:
        """Do work that ends a call, whether or not there is a session."""
        self.post(work)
        if not call.wait() and call.give_up():
            raise TimedOut("amqp", f"the thread that speaks with {self.place} is busy")
        call.outcome()

    def close(self, seconds: float) -> None:
        """End the connection and the thread, with a word to the broker if it listens."""
        self.post(partial(self._close, seconds / 2))
        self._thread.join(seconds)

    def opened(self, session: Session) -> None:
        """Begin what waited, on a new session."""
        for consumer in list(self.consumers):
            consumer.restore(session)
        self.flush(session)

    def flush(self, session: Session) -> None:
        """Begin what waited."""
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            if not call.over:
                self._begin(call, session)

    def lost(self, session: Session) -> None:
        """Take back what may be done again, and tell the others."""
        for consumer in list(self.consumers):
            consumer.lost()
        again = []
        for call in list(session.calls):
            call.session = None
            if call.repeatable or not call.sent:
                again.append(call)
            else:
                call.fail(call.lost(self.place))
        self._waiting.extendleft(reversed(again))

    def refused(self, error: ServiceError) -> None:
        """Tell whoever waits that the broker wants none of it."""
        while self._waiting:
            self._waiting.popleft().fail(type(error)(*error.args))

    def ended(self) -> None:
        """End the thread: the last connection is gone."""
        self.loop.stop()

    def _run(self) -> None:
        with hushed():
            while True:
                try:
                    self.loop.start()
                except Exception:
                    logger.exception("the thread that speaks with %s goes on", self.place)
                else:
                    break
            self.loop.close()
        self._over = True
        self._work_left()

    def _work_left(self) -> None:
        """Let what was posted too late find that there is no connection."""
        with suppress(IndexError):
            while True:
                self._posted.popleft()()

    def _work(self) -> None:
        self._woken = False
        self.connector.look()
        with self.connector.together():
            while self._posted:
                self._posted.popleft()()

    def _take(self, call: Call) -> None:
        session = self.connector.session
        if self._closed:
            call.fail(Unavailable("amqp", "it is closed; load the application again to use it"))
        elif session is not None and not session.blocked:
            self._begin(call, session)
        else:
            self._waiting.append(call)
            self.connector.connect_if_needed()

    @staticmethod
    def _begin(call: Call, session: Session) -> None:
        call.session, call.begun_at = session, session.now()
        session.calls[call] = None
        try:
            call.begin(session)
        except Exception as error:
            logger.exception("a call could not be sent")
            call.fail(Rejected("amqp", f"it cannot be sent ({error})"))

    def _late(self, call: Call) -> ServiceError:
        """Return the error for a call that had no outcome by its deadline."""
        session = call.session
        if session is not None:
            self.post(partial(self.connector.doubt, session, call.begun_at))
        if call.sent and not call.repeatable:
            return TimedOut("amqp", f"{self.place} did not confirm in time; {UNKNOWN}")
        return self.connector.excuse(f"; {UNSENT}" if not call.sent else "")

    def _close(self, seconds: float) -> None:
        self._closed = True
        session = self.connector.session
        under_way = list(session.calls) if session else []
        for call in [*self._waiting, *under_way]:
            if call.sent and not call.repeatable:
                call.fail(call.lost(self.place))
            else:
                call.fail(Unavailable("amqp", "it was closed meanwhile"))
        self._waiting.clear()
        self.connector.close(seconds)
