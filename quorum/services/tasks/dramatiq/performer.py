"""How a worker performs an errand: run, tried again, put among the dead letters."""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

from dramatiq.middleware import Middleware

from quorum.errors import ServiceError
from quorum.services.tasks.base import Job
from quorum.services.tasks.dramatiq.errands import errand_in
from quorum.services.tasks.dramatiq.records import text_of
from quorum.services.tasks.running.runner import call, log_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from dramatiq import Broker
    from dramatiq.broker import MessageProxy

    from quorum.services.tasks.dramatiq.backend import Backend
    from quorum.services.tasks.dramatiq.errands import Errand
    from quorum.services.tasks.dramatiq.records import Records
    from quorum.services.tasks.running.runner import Scope

logger = logging.getLogger("quorum.tasks")

_LONGEST_ERROR = 500
_PAUSE = 1.0


class Performer(Middleware):
    """Performs each message; dramatiq learns only whether to acknowledge it.

    What is acknowledged has ended, waits to be tried again, or is among the dead letters.
    """

    def __init__(
        self, backend: Backend, records: Records, scope: Scope, retries: int, backoff: float
    ) -> None:
        self.running: dict[int, str] = {}
        self.done = self.failed = 0
        self.stopping = threading.Event()
        self._backend = backend
        self._records = records
        self._scope = scope
        self._retries = retries
        self._backoff = backoff
        self._current = threading.local()
        self._lock = threading.Lock()

    def before_process_message(self, _: Broker, message: MessageProxy) -> None:
        self._current.message = message

    def perform(self) -> None:
        """Perform the message of this thread; it raises nothing."""
        message: Any = self._current.message
        try:
            errand = errand_in(message)
        except (KeyError, TypeError, ValueError):
            # Its traceback could hold what it is about.
            logger.error("the message %s is no job: a dead letter now", message.message_id)  # noqa: TRY400
            message.fail()
            return
        ident = threading.get_ident()
        self.running[ident] = errand.name
        kept = False
        try:
            kept = not self._perform(errand)
        except BaseException as error:  # noqa: BLE001 - whatever it was, this message must go
            # Not kept: it would come again at once, and do the same for ever.
            message.fail()
            log_failure(errand, error, of="end of")
            with suppress(Exception):
                self._records.failed(errand, error)
                self._unmarked(errand)
        finally:
            self.running.pop(ident, None)
        if kept:
            # Our consumers look for it.
            message.kept = True

    def _perform(self, errand: Errand) -> bool:
        """Perform an errand; tell whether the broker may forget this message."""
        if not self._records.begin(errand.id):
            return self._unmarked(errand)
        if errand.schedule is not None:
            with suppress(ServiceError):
                self._backend.renew(errand.schedule)
        try:
            job = errand.job()
        except BaseException as missing:  # noqa: BLE001 - a module may raise anything, or exit, as it is imported
            return self._failed(errand, None, missing)
        result, error = Context().run(call, job._replace(callback=None), self._scope)
        if error is not None:
            return self._failed(errand, job, error)
        self._finish(errand, job, None)
        self._records.done(errand, result)
        return self._unmarked(errand)

    def _failed(self, errand: Errand, job: Job | None, error: BaseException) -> bool:
        last = errand.schedule is not None or errand.attempts >= self._retries
        log_failure(errand, error, then="" if last else "; it is tried again")
        text = f"{type(error).__name__}: {text_of(error)}"[:_LONGEST_ERROR]
        after = errand.failed(text, time.time())
        if not last:
            seconds = self._backoff * 2**errand.attempts * random.uniform(0.75, 1.25)  # noqa: S311 - it spreads
            if not self._surely(lambda: self._backend.send(after, seconds)):
                return False
            self._records.again(errand.id)
            return True
        self._finish(errand, job, error)
        if errand.schedule is None and not self._surely(lambda: self._backend.bury(after)):
            return False
        self._records.failed(errand, error)
        return self._unmarked(errand)

    def _finish(self, errand: Errand, job: Job | None, error: BaseException | None) -> None:
        """Call the callback, and count."""
        if job is not None and job.callback is not None:
            callback = Job(job.callback, (), {"error": error})
            _, failure = Context().run(call, callback, self._scope)
            if failure is not None:
                log_failure(errand, failure, of="callback of")
        with self._lock:
            if error is None:
                self.done += 1
            else:
                self.failed += 1

    def _unmarked(self, errand: Errand) -> bool:
        schedule = errand.schedule
        return schedule is None or self._surely(lambda: self._backend.unmark(schedule))

    def _surely(self, work: Callable[[], Any]) -> bool:
        """Do what must be done before a message is forgotten; False where the worker ends first."""
        while True:
            try:
                work()
            except ServiceError as error:
                logger.warning("a job waits for the broker: %s", error.args[1])
                if self.stopping.wait(_PAUSE):
                    return False
            else:
                return True
