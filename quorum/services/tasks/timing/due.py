"""The work of a twin: what waits until somebody runs it, on the thread that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorum.services.tasks.running.handles import JobHandle
from quorum.services.tasks.timing.agenda import Agenda
from quorum.services.tasks.timing.repeated import Repeated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quorum.services.tasks.running.runner import Runner
    from quorum.services.tasks.timing.agenda import Clock


class DueWork:
    """The jobs and the schedules of one process, by what a clock says is due."""

    def __init__(self, runner: Runner, clock: Clock, schedules: Iterable[Repeated] = ()) -> None:
        self.runner = runner
        self._backlog = runner.backlog
        self._agenda = Agenda(clock)
        for schedule in schedules:
            # A run of the parent is none of this process.
            schedule.runs = False
            self.repeat(schedule)

    def add(self, handle: JobHandle, moment: float | None) -> None:
        """Take a job, for a moment of Unix seconds or for the next run."""
        with self._backlog.lock:
            self._backlog.add(handle, scheduled=moment is not None)
            if moment is not None:
                self._agenda.put(handle, moment, calendar=True)

    def repeat(self, schedule: Repeated) -> None:
        """Have a schedule be due from now on."""
        with self._backlog.lock:
            schedule.first()
            self._put(schedule)

    def remove(self, thing: JobHandle | Repeated) -> None:
        """Have a thing not be due."""
        with self._backlog.lock:
            self._agenda.remove(thing)

    def run(self, most: int) -> int:
        """Run what is queued or due, each schedule once, up to so many jobs; return how many."""
        ran = 0
        had: dict[Repeated, None] = {}
        while ran < most:
            self._queue_due(had)
            queued = list(self._backlog.queued)[: most - ran]
            if not queued:
                break
            ran += sum(self.runner.run(handle) for handle in queued)
        with self._backlog.lock:
            for schedule in had:
                self._put(schedule)
        return ran

    def _queue_due(self, had: dict[Repeated, None]) -> None:
        with self._backlog.lock:
            for thing, due in self._agenda.take():
                if not isinstance(thing, Repeated):
                    self._backlog.due(thing)
                elif thing not in had:
                    had[thing] = None
                    self._queue_run(thing, due)

    def _queue_run(self, schedule: Repeated, due: float) -> None:
        schedule.begin()
        handle = JobHandle(schedule.job, self.runner, lambda _: schedule.end(due), schedule.name)
        self._backlog.add(handle, bounded=False)

    def _put(self, schedule: Repeated) -> None:
        if schedule.due is None:
            self._agenda.remove(schedule)
        else:
            # Its two clocks are one, so that all is in the order of its times.
            self._agenda.put(schedule, schedule.due, calendar=True)
