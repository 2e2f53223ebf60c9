"""The thread that waits for what is due: when it wakes, what it hands on, and when it ends."""

from __future__ import annotations

import gc
import threading
import time as system
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from quorum.services.tasks.base import Job
from quorum.services.tasks.schedule.rules import Every
from quorum.services.tasks.timing.agenda import Clock
from quorum.services.tasks.timing.repeated import Repeated
from quorum.services.tasks.timing.timer import Timer
from tests.services.tasks.scenes import Standing
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def leader() -> Standing:
    return Standing()


@pytest.fixture
def handed() -> list[Any]:
    return []


@pytest.fixture
def timer(handed: list[Any], leader: Standing) -> Iterator[Timer]:
    """A timer by the clocks of the system, on its thread."""
    timer = Timer(
        Clock(), leader, due=handed.append, begin=lambda each, _: handed.append(each), name="test"
    )
    yield timer
    timer.stop()


def timers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "quorum-tasks-test-timer"]


class Thing:
    """Stands for the handle of a job."""

    name = "thing"


def test_there_is_no_thread_before_the_first_entry(timer: Timer) -> None:
    """Who has nothing due pays for nothing."""
    assert timers() == []
    timer.at(system.time() + 3600, Thing())  # type: ignore[arg-type]
    assert len(timers()) == 1


def test_a_nearer_moment_wakes_the_thread(timer: Timer, handed: list[Any]) -> None:
    """What is due in an hour does not delay what is due in a tenth of a second."""
    later, sooner = Thing(), Thing()
    timer.at(system.time() + 3600, later)  # type: ignore[arg-type]
    timer.at(system.time() + 0.1, sooner)  # type: ignore[arg-type]
    wait_until(lambda: handed)
    assert handed == [sooner]


def test_nothing_is_early(timer: Timer, handed: list[Any]) -> None:
    """A moment is here when the wall clock says so."""
    moments = [system.time() + 0.01 * each for each in range(1, 20)]
    seen: list[float] = []
    timer._due = lambda _: seen.append(system.time())
    for moment in moments:
        timer.at(moment, Thing())  # type: ignore[arg-type]
    wait_until(lambda: len(seen) == len(moments))
    assert all(at >= moment for at, moment in zip(seen, moments, strict=True))


def test_a_thread_that_waits_uses_no_processor(timer: Timer) -> None:
    """It sleeps until the next moment; nothing is looked at meanwhile."""
    turns: list[float] = []
    turn = timer.turn
    timer.turn = lambda: (turns.append(system.monotonic()), turn())[1]  # type: ignore[method-assign]
    timer.at(system.time() + 3600, Thing())  # type: ignore[arg-type]
    wait_until(lambda: turns)
    before = len(turns)
    threading.Event().wait(0.5)
    assert len(turns) - before <= 1


def test_stop_ends_the_thread_and_the_candidacy(timer: Timer, leader: Standing) -> None:
    """At once, whatever is due in an hour; a second call is a no-op."""
    timer.at(system.time() + 3600, Thing())  # type: ignore[arg-type]
    timer.stop()
    timer.stop()
    wait_until(lambda: not timers())
    assert leader.stopped == 1


def test_a_timer_of_schedules_alone_ends_with_its_owner(leader: Standing) -> None:
    """A thread keeps no application alive for the sake of its schedules."""
    timer = Timer(Clock(), leader, due=print, begin=print, name="test")
    timer.repeat(Repeated("job", "job", Job(print), Every(3600), Clock()))
    assert len(timers()) == 1
    gone = weakref.ref(timer)
    del timer
    wait_until(lambda: gc.collect() >= 0 and gone() is None)
    wait_until(lambda: not timers())
    assert leader.stopped == 1


def test_a_moment_that_was_promised_keeps_the_timer(leader: Standing, handed: list[Any]) -> None:
    """A job at a moment runs, even if nobody holds what took it."""
    timer = Timer(Clock(), leader, due=handed.append, begin=print, name="test")
    timer.at(system.time() + 0.2, Thing())  # type: ignore[arg-type]
    del timer
    gc.collect()
    wait_until(lambda: handed)
    wait_until(lambda: gc.collect() >= 0 and not timers())


def test_a_turn_that_fails_does_not_end_the_thread(
    timer: Timer, handed: list[Any], leader: Standing, caplog: pytest.LogCaptureFixture
) -> None:
    """Without it nothing would be due any more."""
    turn, failures = timer.turn, [SystemExit("disturbed")]

    def fail_once() -> None:
        if failures:
            raise failures.pop()
        turn()

    timer.turn = fail_once  # type: ignore[method-assign]
    timer.at(system.time() - 1, Thing())  # type: ignore[arg-type]
    wait_until(lambda: handed)
    assert "could not be handed on" in caplog.text
