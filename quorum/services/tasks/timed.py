"""Tasks whose schedules a timer of this process wakes for, where it leads."""

from __future__ import annotations

import logging
import weakref
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from quorum.forks import PerProcess
from quorum.services.tasks.checked import CheckedTasks
from quorum.services.tasks.leading import leader
from quorum.services.tasks.running.processes import close_at_exit, runs_schedules
from quorum.services.tasks.timing.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.redis.base import Redis
    from quorum.services.tasks.leading.leader import Leading
    from quorum.services.tasks.running.handles import JobHandle
    from quorum.services.tasks.timing.repeated import Repeated

logger = logging.getLogger("quorum.tasks")

_NOTED_EVERY = 10.0


class TimedTasks(CheckedTasks):
    """Checked tasks with a timer in each process: started when it is needed, again after a fork."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer = PerProcess(self._build_timer)
        close_at_exit(self)

    @abstractmethod
    def begin(self, schedule: Repeated, due: float) -> None:
        """Run a schedule that is due, on another thread; `ended` is called after the run."""

    def due(self, handle: JobHandle) -> None:
        """Run a job whose moment has come."""
        raise NotImplementedError

    def start(self) -> None:
        if not self.execution:
            super().start()
            self.restart()

    def watch(self, schedule: Repeated) -> None:
        if not self.execution:
            schedule.first()
        elif runs_schedules():
            self._timer.get().repeat(schedule)

    def forget(self, schedule: Repeated) -> None:
        timer = self._timer.built
        if timer is not None:
            timer.remove(schedule)

    def ended(self, schedule: Repeated, due: float) -> None:
        """Have a schedule be due again after a run that was due at `due`."""
        self._timer.get().ended(schedule, due)

    def note(self, schedule: Repeated, due: float) -> bool:
        """Tell the cluster of a run that begins, often enough for who leads next.

        False where it could not be told, and another leads by now: the run is that one's.
        """
        at = schedule.to_note(due, _NOTED_EVERY)
        if at is None:
            return True
        leader = self._timer.get().leader
        try:
            leader.note_run(schedule.id, at)
        except Exception:
            logger.exception("the run of %s could not be noted for who leads next", schedule.id)
            return leader.leads
        return True

    def forked(self) -> bool:
        """Take no run of the parent for one of this child; tell whether there are schedules."""
        for schedule in self._schedules.values():
            schedule.runs = False
        return bool(self._schedules)

    def restart(self) -> None:
        """Go on with the schedules, in a child that was forked from the process that made them."""
        with self._lock:
            for schedule in self._schedules.values():
                if not schedule.paused:
                    self.watch(schedule)

    def _build_timer(self) -> Timer:
        return Timer(
            self.clock, self.build_leader(), due=self.due, begin=self.begin, name=self.name
        )

    def build_leader(self) -> Leading:
        """Return who says whether this process runs the schedules."""
        return leader.Leader(self.name, redis=self.redis, lease=_weakly(self))


def _weakly(tasks: CheckedTasks) -> Callable[[], Redis]:
    """Return what builds the lease, and keeps no application alive for its leader's sake."""
    reference = weakref.ref(tasks)

    def lease() -> Redis:
        found = reference()
        if found is None:
            raise LookupError("the tasks are gone")
        return found.lease()

    return lease
