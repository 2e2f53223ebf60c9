"""What is due when, by clocks that the test sets."""

from __future__ import annotations

from typing import Any

import pytest

from quorum.services.tasks.timing.agenda import REREAD, Agenda
from tests.services.tasks.scenes import SetClock


@pytest.fixture
def time() -> SetClock:
    return SetClock()


@pytest.fixture
def agenda(time: SetClock) -> Agenda:
    return Agenda(time.clock)


def things(agenda: Agenda) -> list[Any]:
    return [thing for thing, _ in agenda.take()]


def test_a_thing_is_due_once(agenda: Agenda, time: SetClock) -> None:
    """It is taken when its time has come, and never again."""
    agenda.put("thing", time.ran + 5, calendar=False)
    assert things(agenda) == []
    time.go_on(5)
    assert agenda.take() == [("thing", 1005.0)]
    time.go_on(5)
    assert things(agenda) == []
    assert len(agenda) == 0


def test_things_are_taken_in_the_order_of_their_times(agenda: Agenda, time: SetClock) -> None:
    """Those of one time come in the order in which they were put, whatever they are."""
    for thing, seconds in [("late", 3), (object, 1), (print, 1), ("early", 0.5)]:
        agenda.put(thing, time.ran + seconds, calendar=False)
    time.go_on(4)
    assert things(agenda) == ["early", object, print, "late"]


def test_a_thing_put_again_is_due_at_its_new_time_alone(agenda: Agenda, time: SetClock) -> None:
    """Earlier or later, the old time counts no more."""
    agenda.put("thing", time.ran + 1, calendar=False)
    agenda.put("thing", time.date + 5, calendar=True)
    time.go_on(2)
    assert things(agenda) == []
    time.go_on(3)
    assert things(agenda) == ["thing"]


def test_a_thing_that_is_removed_is_not_due(agenda: Agenda, time: SetClock) -> None:
    """Removing it twice is a no-op."""
    agenda.put("thing", time.ran + 1, calendar=False)
    agenda.remove("thing")
    agenda.remove("thing")
    time.go_on(2)
    assert things(agenda) == []
    assert agenda.wait() is None


def test_what_is_removed_years_ahead_is_let_go_of(agenda: Agenda, time: SetClock) -> None:
    """A hundred thousand things put and removed leave next to nothing behind."""
    for number in range(100_000):
        agenda.put(number, time.date + 1e9 + number, calendar=True)
        agenda.remove(number)
    assert sum(map(len, agenda._heaps.values())) < 1000


def test_it_is_told_which_thing_is_next(agenda: Agenda, time: SetClock) -> None:
    """Whoever waits must be woken for such a thing alone."""
    assert agenda.put("first", time.ran + 5, calendar=False)
    assert not agenda.put("later", time.ran + 6, calendar=False)
    assert agenda.put("sooner", time.ran + 4, calendar=False)


def test_there_is_nothing_to_wait_for_without_things(agenda: Agenda) -> None:
    """Then nobody has to look again."""
    assert agenda.wait() is None


def test_the_wait_is_that_for_the_next_thing(agenda: Agenda, time: SetClock) -> None:
    """Whichever clock it goes by; what is late is not waited for."""
    agenda.put("run", time.ran + 20, calendar=False)
    assert agenda.wait() == 20
    agenda.put("date", time.date + 10, calendar=True)
    assert agenda.wait() == 10
    time.go_on(15)
    assert agenda.wait() == 0


def test_the_wall_clock_is_read_again_within_30_seconds(agenda: Agenda, time: SetClock) -> None:
    """Nobody tells when it is set; the monotonic clock needs no such look."""
    agenda.put("run", time.ran + 9000, calendar=False)
    assert agenda.wait() == 9000
    agenda.put("date", time.date + 9000, calendar=True)
    assert agenda.wait() == REREAD == 30


@pytest.mark.parametrize("seconds", [1e12, 1e300])
def test_a_wait_of_centuries_is_cut_into_days(
    agenda: Agenda, time: SetClock, seconds: float
) -> None:
    """The system takes no longer ones."""
    agenda.put("thing", time.ran + seconds, calendar=False)
    assert agenda.wait() == 86_400


@pytest.mark.parametrize("jump", [60.0, 3600.0, 1e9])
def test_a_wall_clock_set_forward_makes_no_burst(
    agenda: Agenda, time: SetClock, jump: float
) -> None:
    """What it jumps over is due once; what goes by the monotonic clock does not notice."""
    agenda.put("date", time.date + 30, calendar=True)
    agenda.put("run", time.ran + 30, calendar=False)
    time.date += jump
    assert things(agenda) == ["date"]
    time.go_on(30)
    assert things(agenda) == ["run"]


@pytest.mark.parametrize("jump", [-120.0, -1e9])
def test_a_wall_clock_set_back_makes_no_gap_for_what_goes_by_the_monotonic_one(
    agenda: Agenda, time: SetClock, jump: float
) -> None:
    """It is due as if nothing was; a moment of the calendar is due when that says so."""
    agenda.put("date", time.date + 30, calendar=True)
    agenda.put("run", time.ran + 30, calendar=False)
    time.date += jump
    time.go_on(30)
    assert things(agenda) == ["run"]
    time.go_on(-jump)
    assert things(agenda) == ["date"]
