"""A leader, clocks and a timer that do what a test says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from quorum.services.tasks.base import Job
from quorum.services.tasks.timing.agenda import Clock
from quorum.services.tasks.timing.repeated import Repeated
from quorum.services.tasks.timing.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.tasks.schedule.rules import Rule

MIDNIGHT = 1_800_057_600.0


class Standing:
    """Leads when the test says so; what was run is known to all that share `runs`."""

    def __init__(self, *, leads: bool = True, settled: bool = True) -> None:
        self.leads = leads
        self.settled = settled
        self.runs: dict[str, float] = {}
        self.asked: list[str] = []
        self.stopped = 0
        self._changed: Callable[[], None] = lambda: None

    def start(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def become(self, *, leads: bool) -> None:
        self.settled = True
        self.leads = leads
        self._changed()

    def last_run(self, schedule: str) -> float | None:
        self.asked.append(schedule)
        return self.runs.get(schedule)

    def note_run(self, schedule: str, due: float) -> None:
        self.runs[schedule] = due

    def stop(self) -> None:
        self.stopped += 1


class SetClock:
    """Two clocks that stand still until they are set."""

    def __init__(self) -> None:
        self.ran = 1000.0
        self.date = MIDNIGHT
        self.clock = Clock(lambda: self.ran, lambda: self.date)

    def go_on(self, seconds: float) -> None:
        """Let both go on, as time does."""
        self.ran += seconds
        self.date += seconds


class Scene:
    """A timer by clocks that stand, whose turns the test takes itself; runs end at once."""

    def __init__(self, leader: Standing) -> None:
        self.time = SetClock()
        self.leader = leader
        self.handed: list[Any] = []
        self.timer = Timer(
            self.time.clock, leader, due=self.handed.append, begin=self.run, name="test"
        )
        # No thread of its own: the test is its thread.
        self.timer._thread = threading.current_thread()

    def run(self, schedule: Repeated, due: float) -> None:
        self.handed.append(schedule.id)
        self.leader.note_run(schedule.id, schedule.wall(due))
        self.timer.ended(schedule, due)

    def repeat(self, rule: Rule, name: str = "job") -> Repeated:
        schedule = Repeated(name, name, Job(print), rule, self.time.clock)
        self.timer.repeat(schedule)
        return schedule

    def go_on(self, seconds: float, *, step: float = 1.0) -> int:
        """Let time go on, the timer looking every second; return how much was handed on."""
        before = len(self.handed)
        for _ in range(round(seconds / step)):
            self.time.go_on(step)
            self.timer.turn()
        return len(self.handed) - before
