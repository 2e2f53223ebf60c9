"""What a wall clock that is set does to background work: row W6 of the table of faults."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from quorum.services.tasks.threads import ThreadTasks
from quorum.services.tasks.timing.agenda import Clock
from quorum.settings import TasksSettings
from tests.services.tasks import chores
from tests.services.tasks.chores import diary
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

    Build = Callable[..., ThreadTasks]


class Wall:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def wall() -> Wall:
    """Give a wall clock that can be set."""
    return Wall()


@pytest.fixture
def clocked(wall: Wall, stack: ExitStack) -> Iterator[ThreadTasks]:
    """Give tasks that read that clock, and look at it as often as a test can wait."""
    settings = TasksSettings(threads=2)
    name = f"clocked-{os.getpid()}-{time.monotonic_ns()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("quorum.services.tasks.timing.agenda.REREAD", 0.1)
        tasks = ThreadTasks(settings, name=name, clock=Clock(wall=wall))
        stack.callback(tasks.close, 1)
        yield tasks


@pytest.mark.parametrize("ahead", [60.0, 86_400.0 * 400, -120.0, -86_400.0 * 400])
def test_an_interval_does_not_look_at_the_wall(
    clocked: ThreadTasks, wall: Wall, ahead: float
) -> None:
    """Set forward it does not run in a burst, set back it does not rest."""
    clocked.every(0.3, chores.note)
    wait_until(lambda: len(diary()) >= 2)
    before, start = len(diary()), time.monotonic()
    wall.ahead = ahead
    wait_until(lambda: len(diary()) >= before + 3)
    assert len(diary()) - before <= (time.monotonic() - start) / 0.3 + 1


def test_missed_times_of_the_calendar_are_one(clocked: ThreadTasks, wall: Wall) -> None:
    """A clock that is set forward by an hour, which has sixty minutes, makes one run of them."""
    clocked.cron("* * * * *", chores.note)
    wall.ahead = 3600.0
    wait_until(diary)
    time.sleep(0.5)  # Nothing can be waited for where nothing is to come.
    # The full minute may come just now.
    assert len(diary()) in {1, 2}


def test_a_clock_that_is_set_back_repeats_nothing(clocked: ThreadTasks, wall: Wall) -> None:
    """What ran for a time of the calendar does not run for it again."""
    now = datetime.now(UTC)
    clocked.cron("* * * * *", chores.note)
    wall.ahead = 120.0 - now.second
    wait_until(diary)
    noted = len(diary())
    wall.ahead -= 120
    time.sleep(0.5)  # Nothing can be waited for where nothing is to come.
    wall.ahead += 119
    time.sleep(0.5)
    assert len(diary()) == noted


def test_a_moment_is_one_of_the_wall_clock(clocked: ThreadTasks, wall: Wall) -> None:
    """A job runs when the clock is set beyond its moment, and once, be it set back after that."""
    handle = clocked.at(time.time() + 3600, chores.note)
    assert handle.wait(0.3) is False
    wall.ahead = 3601.0
    assert handle.wait(5)
    wall.ahead = 0.0
    time.sleep(0.3)  # Nothing can be waited for where nothing is to come.
    wall.ahead = 3601.0
    time.sleep(0.3)
    assert diary() == ["noted"]


def test_a_moment_is_not_reached_while_the_clock_is_back(clocked: ThreadTasks, wall: Wall) -> None:
    """It is set back by an hour: an hour more is waited."""
    handle = clocked.at(time.time() + 2, chores.note)
    wall.ahead = -3600.0
    assert handle.wait(3) is False
    wall.ahead = 0.0
    assert handle.wait(5)
