"""The one thread that waits for what is due: it sleeps until then, and wakes at once."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from quorum.errors import Unavailable
from quorum.services.tasks.timing.agenda import Agenda
from quorum.services.tasks.timing.repeated import Repeated

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.tasks.leading.leader import Leading
    from quorum.services.tasks.running.handles import JobHandle
    from quorum.services.tasks.timing.agenda import Clock

logger = logging.getLogger("quorum.tasks")

_PAUSE = 1.0


class Timer:
    """Hands on what is due: to `due` a job, to `begin` a schedule, where this process leads.

    Its thread starts with the first entry. While a job waits for its moment, the thread keeps all
    of it alive; schedules alone do not: they end with the application that has them.
    """

    def __init__(
        self,
        clock: Clock,
        leader: Leading,
        *,
        due: Callable[[JobHandle], None],
        begin: Callable[[Repeated, float], None],
        name: str,
    ) -> None:
        self.leader = leader
        self._due = due
        self._begin = begin
        self._name = name
        self._agenda = Agenda(clock)
        self._condition = threading.Condition()
        self._jobs: set[JobHandle] = set()
        self._schedules: dict[Repeated, None] = {}
        self._undecided: dict[Repeated, float] = {}
        self._thread: threading.Thread | None = None
        self._stands = self._leads = self._woken = self._stopped = False
        self._end = weakref.finalize(self, _end, os.getpid(), self._condition, leader)
        self._end.atexit = False

    def at(self, moment: float, handle: JobHandle) -> None:
        """Hand a job on at a moment of Unix seconds."""
        with self._condition:
            self._jobs.add(handle)
            self._put(handle, moment, calendar=True)

    def repeat(self, schedule: Repeated) -> None:
        """Hand a schedule on whenever it is due from now on, if it is not told already."""
        with self._condition:
            if schedule in self._schedules:
                return
            self._schedules[schedule] = None
            stands, self._stands = self._stands, True
        try:
            if not stands:
                self.leader.start(_waking(self))
            with self._condition:
                schedule.first()
                self._put_due(schedule)
        except BaseException:
            with self._condition:
                self._schedules.pop(schedule, None)
                # A leader that stands already does not begin again.
                self._stands = stands
            raise

    def ended(self, schedule: Repeated, due: float) -> None:
        """Have a schedule be due again: its run, due at `due`, has ended."""
        with self._condition:
            schedule.end(due)
            if schedule in self._schedules:
                self._put_due(schedule)

    def remove(self, thing: JobHandle | Repeated) -> None:
        """Have a job, or a schedule, not be due; a no-op for one that is not here."""
        with self._condition:
            self._agenda.remove(thing)
            if isinstance(thing, Repeated):
                self._schedules.pop(thing, None)
                self._undecided.pop(thing, None)
            else:
                self._jobs.discard(thing)

    def wake(self) -> None:
        """Have the thread look at what is due, and at who leads."""
        with self._condition:
            # It may be at work, and then sleep through what it was told meanwhile.
            self._woken = True
            self._condition.notify()

    def stop(self) -> None:
        """Hand nothing on any more."""
        with self._condition:
            self._stopped = True
        self._end()

    def turn(self) -> None:
        """Hand on all that is due now."""
        self._woken = False
        self._look_who_leads()
        with self._condition:
            found = [] if self._stopped else self._agenda.take()
            for thing, due in found:
                self._taken(thing, due)
        for thing, due in found:
            self._hand_on(thing, due)

    def rest(self) -> tuple[bool, float | None, Timer | None]:
        """Return whether to go on, after how many seconds at most, and what to keep meanwhile.

        Whoever calls has the condition.
        """
        seconds = 0.0 if self._woken else self._agenda.wait()
        return not self._stopped, seconds, self if self._jobs else None

    def _hand_on(self, thing: JobHandle | Repeated, due: float) -> None:
        try:
            if not isinstance(thing, Repeated):
                self._due(thing)
            elif thing.runs:
                self._begin(thing, due)
        except Exception:
            if self._stopped:
                # The tasks were closed just now, and take nothing.
                return
            logger.exception("%s was due, and could not be begun", thing.name)
            if isinstance(thing, Repeated):
                self.ended(thing, due)

    def _taken(self, thing: Any, due: float) -> None:
        if not isinstance(thing, Repeated):
            self._jobs.discard(thing)
        elif self._leads:
            thing.begin()
        elif not self.leader.settled:
            self._undecided[thing] = due
        else:
            thing.pass_by(due)
            self._put_due(thing)

    def _look_who_leads(self) -> None:
        led, self._leads = self._leads, self.leader.leads
        with self._condition:
            if self._undecided and (self._leads or self.leader.settled):
                for schedule in self._undecided:
                    self._put_due(schedule)
                self._undecided.clear()
            passed = [each for each in self._schedules if each.passed is not None]
        if self._leads and not led:
            for schedule in passed:
                self._take_over(schedule)

    def _take_over(self, schedule: Repeated) -> None:
        try:
            last = self.leader.last_run(schedule.id)
        except Exception:
            logger.exception("nobody knows when %s ran last; it runs now", schedule.id)
            last = None
        with self._condition:
            schedule.take_over(last)
            self._put_due(schedule)

    def _put_due(self, schedule: Repeated) -> None:
        if schedule.due is None:
            self._agenda.remove(schedule)
        else:
            self._put(schedule, schedule.due, calendar=schedule.calendar)

    def _put(self, thing: JobHandle | Repeated, due: float, *, calendar: bool) -> None:
        if self._stopped:
            return
        if self._thread is None:
            self._start()
        if self._agenda.put(thing, due, calendar=calendar):
            self._condition.notify()

    def _start(self) -> None:
        thread = threading.Thread(
            target=_keep_time,
            # A thread holds what it was given until its end; of this it empties the list.
            args=([self], self._condition),
            name=f"quorum-tasks-{self._name}-timer",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError as error:
            raise Unavailable(
                "tasks", f"no thread can be started to wait for moments ({error})"
            ) from error
        self._thread = thread


def _keep_time(given: list[Timer], condition: threading.Condition) -> None:
    """Have a timer hand on what is due until it is stopped, or collected."""
    timer: Timer | None = given.pop()
    reference = weakref.ref(timer)
    while timer is not None:
        try:
            timer.turn()
        except BaseException:
            # Nothing should get here; if it does, nothing is due any more without this thread.
            logger.exception("what is due could not be handed on")
            time.sleep(_PAUSE)
        with condition:
            goes_on, seconds, kept = timer.rest()
            timer = None
            # This may have been what kept it; whoever collects it later wakes this thread.
            if not goes_on or reference() is None:
                return
            condition.wait(seconds)
        timer = kept or reference()


def _waking(timer: Timer) -> Callable[[], None]:
    """Return a function that wakes a timer, and keeps it no more alive than its thread does."""
    reference = weakref.ref(timer)

    def wake() -> None:
        found = reference()
        if found is not None:
            found.wake()

    return wake


def _end(pid: int, condition: threading.Condition, leader: Leading) -> None:
    # In a forked child a thread that is not there may hold it.
    if pid == os.getpid():
        with condition:
            condition.notify_all()
        leader.stop()
