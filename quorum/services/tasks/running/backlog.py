"""The jobs that a process has taken: which wait, which run, and how many ended."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from quorum.errors import Unavailable
from quorum.services.tasks.base import TaskCounts

if TYPE_CHECKING:
    from quorum.services.tasks.running.handles import JobHandle

_MISSING: Any = object()


class Backlog:
    """Tells each job's place; a job is in one at a time, whichever threads ask.

    `limit` bounds those that wait, for their moment or for their turn. The lock may be taken again
    by its thread: a signal's handler, or a finalizer, may submit a job in the midst of another.

    A thread that runs jobs takes no lock that one which submits them holds, or the two would wait
    for each other at every job. Whoever takes a job out of its place, which `dict.pop` does in one
    piece, alone has it.
    """

    def __init__(self, limit: int) -> None:
        self.lock = threading.RLock()
        self.scheduled: dict[JobHandle, None] = {}
        self.queued: dict[JobHandle, None] = {}
        self.running: dict[int, JobHandle] = {}
        self.closed = False
        self._limit = limit
        self._done = self._failed = self._dropped = 0
        self._counting = threading.Lock()

    @property
    def counts(self) -> TaskCounts:
        with self.lock:
            waiting = len(self.queued) + len(self.scheduled)
            return TaskCounts(waiting, len(self.running), self._done, self._failed, self._dropped)

    def add(self, handle: JobHandle, *, scheduled: bool = False, bounded: bool = True) -> None:
        """Take a job. Raises Unavailable where it is closed, or full unless not `bounded`."""
        with self.lock:
            if self.closed:
                raise closed()
            if bounded and len(self.queued) + len(self.scheduled) >= self._limit:
                self._dropped += 1
                raise self._full(f"{handle.name} was")
            if scheduled:
                handle.now("scheduled")
                self.scheduled[handle] = None
            else:
                self.queued[handle] = None

    def check(self) -> None:
        """Raise Unavailable where one more job would be refused."""
        with self.lock:
            if len(self.queued) + len(self.scheduled) >= self._limit:
                raise self._full("the next job would be")

    def due(self, handle: JobHandle) -> bool:
        """Queue a job whose moment has come; tell whether it still was to run."""
        with self.lock:
            if not _taken(self.scheduled, handle):
                return False
            self.queued[handle] = None
            handle.now("queued")
            return True

    def begin(self, handle: JobHandle) -> bool:
        """Note that a job runs now, on this thread; tell whether it is still to."""
        ident = threading.get_ident()
        before = self.running.get(ident)
        # First, so that whoever looks at both places never misses it.
        self.running[ident] = handle
        if _taken(self.queued, handle):
            handle.now("running")
            return True
        if before is None:
            del self.running[ident]
        else:
            self.running[ident] = before
        return False

    def ended(self, *, well: bool) -> None:
        """Note that the job of this thread ended."""
        self.running.pop(threading.get_ident(), None)
        with self._counting:
            if well:
                self._done += 1
            else:
                self._failed += 1

    def withdraw(self, handle: JobHandle) -> bool:
        """Take a job out that waits; tell whether it did."""
        with self.lock:
            return _taken(self.queued, handle) or _taken(self.scheduled, handle)

    def drop(self, handle: JobHandle) -> None:
        """Take a job out that waits and cannot run."""
        with self.lock:
            self._dropped += self.withdraw(handle)

    def drop_all(self, *, queued: bool) -> list[JobHandle]:
        """Take out all that wait for their moment, or for their turn; return them."""
        with self.lock:
            waiting = self.queued if queued else self.scheduled
            left = [each for each in list(waiting) if _taken(waiting, each)]
            self._dropped += len(left)
            return left

    def _full(self, what: str) -> Unavailable:
        return Unavailable(
            "tasks",
            f"{what} refused, since {self._limit} jobs wait already; try again later, or raise "
            "TASKS_LIMIT",
        )


def _taken(waiting: dict[JobHandle, None], handle: JobHandle) -> bool:
    return waiting.pop(handle, _MISSING) is not _MISSING


def closed() -> Unavailable:
    """Return the error of a call after the end."""
    return Unavailable("tasks", "they are closed; load the application again to use them")
