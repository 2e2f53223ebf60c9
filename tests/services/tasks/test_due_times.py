"""When schedules are due, by clocks that a test sets, and by who leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from quorum.services.tasks.schedule.rules import AfterEnd, Cron, Every
from tests.services.tasks.scenes import MIDNIGHT, Scene, Standing

if TYPE_CHECKING:
    from quorum.services.tasks.timing.repeated import Repeated


@pytest.fixture
def leader() -> Standing:
    return Standing()


@pytest.fixture
def scene(leader: Standing) -> Scene:
    return Scene(leader)


def test_a_schedule_of_the_monotonic_clock_does_not_notice_the_wall_clock(scene: Scene) -> None:
    """Set 60 s forward and 120 s back, it runs neither in a burst nor with a gap."""
    scene.repeat(Every(1))
    assert scene.go_on(10) == 10
    scene.time.date += 60
    assert scene.go_on(10) == 10
    scene.time.date -= 120
    assert scene.go_on(10) == 10


def test_a_cron_line_runs_once_for_all_that_the_wall_clock_jumps_over(scene: Scene) -> None:
    """An hour forward: one run, then each minute again."""
    scene.repeat(Cron("* * * * *"))
    assert scene.go_on(120) == 2
    scene.time.date += 3600
    assert scene.go_on(1) == 1
    assert scene.go_on(119) == 2


def test_a_cron_line_runs_no_minute_twice_when_the_wall_clock_is_set_back(scene: Scene) -> None:
    """The minutes that come again were run; those after them are run as ever."""
    scene.repeat(Cron("* * * * *"))
    assert scene.go_on(120) == 2
    scene.time.date -= 120
    assert scene.go_on(120) == 0
    assert scene.go_on(120) == 2


def test_runs_that_were_missed_become_one(scene: Scene) -> None:
    """After an hour in which nobody looked, one run, and the next by its interval."""
    scene.repeat(Every(1))
    assert scene.go_on(3600, step=3600) == 1
    assert scene.go_on(10) == 10


def test_a_schedule_is_not_due_while_it_runs(scene: Scene, leader: Standing) -> None:
    """However long that takes; it is due again after the end, once."""
    begun: list[float] = []
    timer = scene.timer
    timer._begin = lambda _, due: begun.append(due)
    schedule = scene.repeat(Every(1))
    scene.go_on(60)
    assert begun == [1001.0]
    assert schedule.next_run is None
    timer.ended(schedule, begun[0])
    scene.go_on(1)
    assert begun == [1001.0, 1061.0]


def test_another_that_leads_runs_it(scene: Scene, leader: Standing) -> None:
    """Here its times go by, and it is known when the next is."""
    leader.leads = False
    schedule = scene.repeat(Every(10))
    assert scene.go_on(25) == 0
    assert schedule.next_run is not None
    assert schedule.next_run.timestamp() == MIDNIGHT + 30


def test_what_is_due_before_it_is_known_who_leads_waits(leader: Standing) -> None:
    """It runs as soon as this process is known to lead."""
    leader.leads = leader.settled = False
    scene = Scene(leader)
    scene.repeat(AfterEnd(60))
    assert scene.go_on(5) == 0
    leader.become(leads=True)
    assert scene.go_on(1) == 1


def test_what_was_due_before_another_was_known_to_lead_goes_by(leader: Standing) -> None:
    """It is the other's to run."""
    leader.leads = leader.settled = False
    scene = Scene(leader)
    schedule = scene.repeat(AfterEnd(60))
    scene.go_on(5)
    leader.become(leads=False)
    assert scene.go_on(1) == 0
    assert schedule.next_run is not None


def test_a_due_time_between_two_leaders_is_run_once_by_the_next(
    scene: Scene, leader: Standing
) -> None:
    """That of a cron line, which nobody noted as run."""
    leader.leads = False
    scene.repeat(Cron("0 * * * *"))
    assert scene.go_on(3605) == 0
    leader.become(leads=True)
    assert scene.go_on(2) == 1
    assert scene.go_on(3600) == 1


def test_a_due_time_that_the_last_leader_ran_is_not_run_again(
    scene: Scene, leader: Standing
) -> None:
    """It noted it."""
    leader.leads = False
    schedule = scene.repeat(Cron("0 * * * *"))
    scene.go_on(3605)
    leader.note_run(schedule.id, MIDNIGHT + 3600)
    leader.become(leads=True)
    assert scene.go_on(60) == 0


def test_an_interval_goes_on_from_the_last_leaders_run(scene: Scene, leader: Standing) -> None:
    """Neither is there a gap of two intervals, nor a run at once."""
    leader.leads = False
    schedule = scene.repeat(Every(600))
    scene.go_on(1000)
    leader.note_run(schedule.id, MIDNIGHT + 900)
    leader.become(leads=True)
    scene.go_on(1)
    assert schedule.next_run is not None
    assert schedule.next_run.timestamp() == pytest.approx(MIDNIGHT + 1200)


def test_an_interval_that_nobody_noted_runs_at_once(scene: Scene, leader: Standing) -> None:
    """Whoever led died before it could."""
    leader.leads = False
    scene.repeat(Every(600))
    scene.go_on(700)
    leader.become(leads=True)
    assert scene.go_on(2) == 1


def test_a_leader_that_cannot_be_asked_for_the_last_run_harms_nothing(
    scene: Scene, leader: Standing, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the schedule runs."""

    def fail(_: str) -> float | None:
        raise OSError("the disk is gone")

    leader.leads = False
    leader.last_run = fail  # type: ignore[method-assign]
    scene.repeat(Cron("0 * * * *"), "hourly")
    scene.go_on(3605)
    leader.become(leads=True)
    assert scene.go_on(2) == 1
    assert "hourly" in caplog.text


def test_a_schedule_whose_next_time_cannot_be_computed_is_due_no_more(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged by name; the others go on."""

    class Broken(Every):
        def following(self, due: float, now: float) -> float:
            raise ZeroDivisionError

    schedule = scene.repeat(Broken(1), "broken")
    scene.repeat(Every(1))
    assert scene.go_on(5) == 6
    assert schedule.next_run is None
    assert "the schedule broken is due no more" in caplog.text


def test_what_cannot_be_begun_is_due_again(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged by name."""

    def fail(schedule: Repeated, _: float) -> None:
        raise OSError("no broker")

    scene.timer._begin = fail
    schedule = scene.repeat(Every(1), "hourly")
    scene.go_on(3)
    assert schedule.next_run is not None
    assert caplog.text.count("hourly was due, and could not be begun") == 3
