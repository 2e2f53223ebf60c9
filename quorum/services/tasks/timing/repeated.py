"""A schedule of an application, as one process knows it."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.tasks.base import Job
    from quorum.services.tasks.schedule.rules import Rule
    from quorum.services.tasks.timing.agenda import Clock

logger = logging.getLogger("quorum.tasks")


class Repeated:
    """A job and its rule, and when it is due: at no time while it runs, rests or has ended.

    Times are seconds of the clock that the rule goes by.
    """

    def __init__(self, id: str, name: str, job: Job, rule: Rule, clock: Clock) -> None:  # noqa: A002 - the contract's own word
        self.id = id
        self.name = name
        self.job = job
        self.calendar = rule.calendar
        self.due: float | None = None
        self.passed: float | None = None
        self.runs = self.paused = self.cancelled = False
        self._rule = rule
        self._clock = clock
        self._noted = -math.inf

    def __repr__(self) -> str:
        return f"<schedule {self.id}: {self.rule}>"

    @property
    def when(self) -> Rule:
        """The rule itself."""
        return self._rule

    @property
    def rule(self) -> str:
        return self._rule.text

    @property
    def next_run(self) -> datetime | None:
        due = self.due
        return None if due is None else _moment(self.wall(due))

    def wall(self, due: float) -> float:
        """Return a time of the rule's clock as Unix seconds."""
        return due if self.calendar else self._clock.wall() + due - self._clock.monotonic()

    def first(self) -> None:
        """Be due first from now on, unless it rests or has ended."""
        self.passed = None
        self._set(self._rule.first)

    def begin(self) -> None:
        """Be due no more until the run that begins has ended."""
        self.runs, self.due, self.passed = True, None, None

    def end(self, due: float) -> None:
        """Be due again after a run that was due at `due`."""
        self.runs = False
        self._set(lambda now: self._rule.following(due, now))

    def pass_by(self, due: float) -> None:
        """Let a due time go by, which is another process's to run."""
        self._set(lambda now: self._rule.following(due, now))
        self.passed = due

    def take_over(self, last: float | None) -> None:
        """Be due now if what went by was not run; `last` is the last run, in Unix seconds."""
        passed, self.passed = self.passed, None
        if passed is None or self.due is None:
            return
        now = self._clock.now(calendar=self.calendar)
        if last is None:
            self.due = min(passed, now)
        elif self.calendar:
            self.due = passed if last < passed else self.due
        else:
            last = min(last - self._clock.wall() + now, now)
            self.due = min(self.due, self._rule.following(last, last))

    def to_note(self, due: float, seconds: float) -> float | None:
        """Return the Unix seconds of a run to tell the cluster; None where that may wait.

        One of an interval may, within so many seconds of another: whoever leads next goes on from
        there. One of the calendar must be told, or it could be taken for missed.
        """
        at = self.wall(due)
        if not self.calendar and 0 <= at - self._noted < seconds:
            return None
        self._noted = at
        return at

    def _set(self, compute: Callable[[float], float]) -> None:
        if self.runs or self.paused or self.cancelled:
            self.due = None
            return
        try:
            due = compute(self._clock.now(calendar=self.calendar))
        except Exception:
            # A function of the application's may compute it.
            logger.exception("the schedule %s is due no more: its next time is unknown", self.id)
            due = math.inf
        self.due = due if math.isfinite(due) else None


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)
