"""The driver on threads of this process: what waits is lost with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorum.forks import PerProcess
from quorum.services.tasks.base import Job, TaskCounts
from quorum.services.tasks.running.backlog import closed
from quorum.services.tasks.running.handles import JobHandle
from quorum.services.tasks.running.pool import Pool
from quorum.services.tasks.timed import TimedTasks

if TYPE_CHECKING:
    from quorum.services.tasks.base import Tasks
    from quorum.services.tasks.timing.repeated import Repeated


class ThreadTasks(TimedTasks):
    """Up to TASKS_THREADS jobs at once; the threads are started as there is work for them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pool = PerProcess(self._build_pool)

    def send(self, id: str, name: str, job: Job, moment: float | None) -> JobHandle:  # noqa: A002, ARG002 - the handle makes both when it is asked for them
        return self._send(job, moment)

    def _send(self, job: Job, moment: float | None) -> JobHandle:
        if self._closed:
            raise closed()
        pool = self._pool.get()
        if moment is None or moment <= self.clock.wall():
            handle = JobHandle(job, pool)
            pool.submit(handle)
            return handle
        timer = self._timer.get()
        handle = JobHandle(job, pool, timer.remove)
        pool.backlog.add(handle, scheduled=True)
        try:
            timer.at(moment, handle)
        except BaseException:
            pool.backlog.drop(handle)
            raise
        if pool.backlog.closed:
            # Just now, on another thread, which may not have seen the timer.
            timer.stop()
        return handle

    def due(self, handle: JobHandle) -> None:
        self._pool.get().due(handle)

    def begin(self, schedule: Repeated, due: float) -> None:
        pool = self._pool.get()
        function, args, kwargs, callback, description = schedule.job
        job = Job(self._noted, (schedule, due, function, args, kwargs), {}, callback, description)
        # It was let in when it was made, and there is one at a time: it needs no place.
        pool.submit(
            JobHandle(job, pool, lambda _: self.ended(schedule, due), schedule.name),
            bounded=False,
        )

    def finish(self, timeout: float) -> list[str]:
        timer = self._timer.built
        if timer is not None:
            timer.stop()
        # Built even now: it refuses the job that another thread is submitting.
        return self._pool.get().drain(timeout)

    def reach(self) -> None:
        self._pool.get().backlog.check()

    @property
    def counts(self) -> TaskCounts:
        pool = self._pool.built
        return pool.backlog.counts if pool is not None else TaskCounts()

    def _noted(
        self, schedule: Repeated, due: float, function: Any, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        # It may have waited for a thread.
        if schedule.paused or schedule.cancelled or not self.note(schedule, due):
            return None
        return function(*args, **kwargs)

    def _build_pool(self) -> Pool:
        settings = self.settings
        return Pool(
            self.scope, settings.limit, threads=settings.threads, name=self.name, owner=self
        )


if TYPE_CHECKING:
    # A type error here tells that it keeps the contract no more.
    _KEEPS: type[Tasks] = ThreadTasks
