"""The threads that perform errands in this process: dramatiq's worker, with an end in time."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from dramatiq import Actor, DecodeError, Worker
from dramatiq.middleware import Middleware

from quorum.services.tasks.dramatiq.errands import ACTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dramatiq import Broker

    from quorum.services.tasks.dramatiq.backend import Backend
    from quorum.services.tasks.dramatiq.performer import Performer

_IDLE = 0.25
"""Seconds after which idle threads look around; by that a delayed job may be late."""
_DELAYED = 60_000
"""Jobs that a worker keeps for their moment; of AMQP 65,535 are the most. Others wait behind."""
_CLOSING = 2.0


class Workers:
    """Takes jobs from the broker and performs them, on `threads` threads, until it is stopped.

    It holds two jobs a thread, so that a worker that dies costs others little.
    """

    def __init__(self, backend: Backend, queue: str, performer: Performer, threads: int) -> None:
        self.performer = performer
        self._broker = backend.broker([performer, _Quiet()])
        Actor(
            performer.perform,
            broker=self._broker,
            actor_name=ACTOR,
            queue_name=queue,
            priority=0,
            options={},
        )
        self._worker = Worker(
            self._broker, worker_threads=threads, worker_timeout=int(_IDLE * 1000)
        )
        # Those that run count too.
        self._worker.queue_prefetch = 2 * threads
        self._worker.delay_prefetch = _DELAYED
        self._worker.logger = logger
        self._stopped = False
        self._process = os.getpid()
        self._worker.start()

    @property
    def foreign(self) -> bool:
        """Whether they are the parent's, in a child that was forked."""
        return self._process != os.getpid()

    def stop(self, timeout: float) -> Sequence[str]:
        """Begin no other job, and wait for those that run, for up to `timeout` seconds.

        Return the names of those that did not end. What was taken and not begun is the broker's
        again. A second call is a no-op.
        """
        if self._stopped or self.foreign:
            return []
        self._stopped = True
        end = time.monotonic() + timeout
        for thread in self._worker.workers:
            thread.stop()
        # A job that calls this does not wait for itself.
        others = [each for each in self._worker.workers if each is not threading.current_thread()]
        for thread in others:
            thread.join(max(0.0, min(threading.TIMEOUT_MAX, end - time.monotonic())))
        own = threading.get_ident()
        running = self.performer.running
        left = [name for ident, name in list(running.items()) if ident != own]
        self.performer.stopping.set()
        # A connection that is half-open would take longer to be closed.
        closing = threading.Thread(target=self._close, name="quorum-tasks-closing", daemon=True)
        closing.start()
        closing.join(_CLOSING)
        return left

    def _close(self) -> None:
        try:
            # Of what still runs, nobody waits for more than this.
            self._worker.stop(timeout=int(2 * _IDLE * 1000))
            self._broker.close()
        except Exception:
            logger.exception("the workers were stopped, and the broker was not told so")


class _Quiet(Middleware):
    """Has dramatiq's threads write into a log of ours, what we do not say better ourselves."""

    def after_consumer_thread_boot(self, _: Broker, thread: Any) -> None:
        thread.logger = logger

    def after_worker_thread_boot(self, _: Broker, thread: Any) -> None:
        thread.logger = logger


def _passes(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, DecodeError):
        # It repeats what it could not read.
        record.msg, record.args, record.exc_info = (
            "a message is no job: a dead letter now",
            (),
            None,
        )
    return record.levelno >= logging.ERROR and error is not None


logger = logging.getLogger("quorum.tasks.dramatiq")
logger.addFilter(_passes)
