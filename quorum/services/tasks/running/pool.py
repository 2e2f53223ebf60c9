"""The threads that run what was submitted, started as there is work for them."""

from __future__ import annotations

import logging
import queue
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from quorum.errors import Unavailable
from quorum.services.tasks.running.runner import Runner

if TYPE_CHECKING:
    from quorum.services.tasks.running.handles import JobHandle
    from quorum.services.tasks.running.runner import Scope

    Turns = queue.SimpleQueue[JobHandle | None]

logger = logging.getLogger("quorum.tasks")


_MOST_CANCELLED = 1000


class Pool(Runner):
    """Up to `threads` threads, each of which runs one job after the other.

    A thread that waits holds the queue alone, so that a pool that nobody uses any more, and all
    that its scope holds, is collected; its threads end then.
    """

    def __init__(
        self, scope: Scope, limit: int, *, threads: int, name: str, owner: object = None
    ) -> None:
        super().__init__(scope, limit)
        # While a job waits or runs, that which took it is not collected.
        self.owner = owner
        self._most = threads
        self._name = name
        self._threads = 0
        self._turns: Turns = queue.SimpleQueue()
        self._end = weakref.finalize(self, _end, self._turns, threads)
        self._end.atexit = False

    def submit(self, handle: JobHandle, *, bounded: bool = True) -> None:
        """Run a job as soon as a thread is free. Raises Unavailable as `Backlog.add`."""
        with self.backlog.lock:
            self.backlog.add(handle, bounded=bounded)
            self._start_for(handle)
        # Out here: the thread that it wakes needs no lock that this one holds.
        self._turns.put(handle)

    def due(self, handle: JobHandle) -> None:
        """Run a scheduled job as soon as a thread is free; a no-op for one that was cancelled.

        Raises Unavailable, and drops it, where there is no thread at all.
        """
        with self.backlog.lock:
            if not self.backlog.due(handle):
                return
            try:
                self._start_for(handle)
            except Unavailable:
                handle.end("dropped")
                raise
        self._turns.put(handle)

    def cancel(self, handle: JobHandle) -> bool:
        cancelled = super().cancel(handle)
        if self._turns.qsize() > 2 * len(self.backlog.queued) + _MOST_CANCELLED:
            self._sweep()
        return cancelled

    def drain(self, timeout: float) -> list[str]:
        """Take no other job, wait for those taken for up to `timeout` seconds, drop the rest.

        Return the names of what did not end. A job that calls this does not wait for itself.
        """
        end = time.monotonic() + timeout
        backlog, own = self.backlog, threading.get_ident()
        with backlog.lock:
            backlog.closed = True
            left = backlog.drop_all(queued=False)
            # A job goes from here to the running ones: looked at in this order, none is missed.
            taken = list(backlog.queued)
            # The one thread there is cannot run what waits while it waits here.
            if own in backlog.running and self._most == 1:
                taken = []
            taken += self._running_but(own)
        try:
            for handle in taken:
                handle.wait(end - time.monotonic())
        except KeyboardInterrupt:
            # Whoever interrupts the end wants it now; what is left is told all the same.
            logger.warning("interrupted: no job is waited for any longer")
        with backlog.lock:
            left = backlog.drop_all(queued=True) + left
            running = [each.name for each in self._running_but(own)]
        for handle in left:
            handle.end("dropped")
        self._end()
        return running + [each.name for each in left]

    def _running_but(self, own: int) -> list[JobHandle]:
        return [each for ident, each in list(self.backlog.running.items()) if ident != own]

    def _start_for(self, handle: JobHandle) -> None:
        backlog = self.backlog
        wanted = len(backlog.queued) + len(backlog.running)
        if self._threads < wanted and self._threads < self._most:
            self._start(handle)

    def _sweep(self) -> None:
        # A queue that is always long would keep what was cancelled, which nobody counts.
        with self.backlog.lock:
            turns = []
            with suppress(queue.Empty):
                while True:
                    turns.append(self._turns.get_nowait())
            for turn in turns:
                if turn is None or turn in self.backlog.queued:
                    self._turns.put(turn)

    def _start(self, handle: JobHandle) -> None:
        name = f"quorum-tasks-{self._name}-{self._threads}"
        try:
            threading.Thread(target=_work, args=(self._turns,), name=name, daemon=True).start()
        except RuntimeError as error:
            if self._threads:
                # The system gives no more threads now; those there are will come to it.
                return
            self.backlog.drop(handle)
            raise Unavailable(
                "tasks", f"{handle.name} cannot run, since no thread can be started ({error})"
            ) from error
        self._threads += 1


def _work(turns: Turns) -> None:
    """Run the jobs of a queue until its end."""
    while True:
        # While it waits, it keeps nobody's arguments, results and application alive.
        handle: JobHandle | None = None
        try:
            handle = turns.get()
            if handle is None:
                return
            handle.runner.run(handle)
            # A job may fork, and come back here in the child: what waits is the parent's.
            if handle.runner.left:
                return
        except BaseException:
            # One that another thread sets may come at any place; the next job runs.
            with suppress(Exception):
                logger.exception("a thread of the tasks was disturbed")


def _end(turns: Turns, threads: int) -> None:
    # A thread that runs ends after its job.
    for _ in range(threads):
        turns.put(None)
