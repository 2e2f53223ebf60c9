"""A schedule that begins at a moment of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorum.services.tasks.schedule.rules import Rule


class Starting:
    """Due first at a moment of Unix seconds, then as another rule says; the past is now."""

    def __init__(self, moment: float, rule: Rule) -> None:
        self.text = rule.text
        self.calendar = rule.calendar
        self._moment = moment
        self._rule = rule
        self._begun = False

    def first(self, now: float) -> float:
        wall = now if self.calendar else time.time()
        if self._begun and wall >= self._moment:
            # It rested, and goes on.
            return self._rule.first(now)
        # All processes name the same time of the calendar, or two would take it for two.
        return self._moment if self.calendar else now + max(0.0, self._moment - wall)

    def following(self, due: float, now: float) -> float:
        self._begun = True
        return self._rule.following(due, now)
