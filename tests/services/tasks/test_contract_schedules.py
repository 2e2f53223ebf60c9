"""What all tasks promise of a schedule: one suite for the twin, for threads and for dramatiq."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Rejected
from quorum.services.tasks.base import Job
from quorum.services.tasks.schedule.rules import AfterEnd
from tests.services.tasks import chores
from tests.services.tasks.chores import diary
from tests.services.tasks.engines import BROKERS, HERE, engine_of

if TYPE_CHECKING:
    from contextlib import ExitStack

    from tests.services.tasks.engines import Engine

LEADING = 30.0
"""Seconds in which one of the cluster leads: a Redis that has just started is not believed."""


@pytest.fixture(params=HERE + BROKERS)
def engine(request: pytest.FixtureRequest, stack: ExitStack) -> Engine:
    """Give each driver in turn."""
    return engine_of(request, stack)


@pytest.fixture
def tasks(engine: Engine) -> Any:
    """Give the tasks of each driver in turn."""
    return engine.build()


def test_a_schedule_runs_again_and_again(engine: Engine, tasks: Any) -> None:
    """By its interval, first after one."""
    start = time.monotonic()
    tasks.every(0.5, chores.note, "again")
    engine.settle(tasks, lambda: len(diary()) >= 3, LEADING)
    assert time.monotonic() - start >= 1.5 - 0.01


def test_a_schedule_passes_its_arguments(engine: Engine, tasks: Any) -> None:
    """As they were given."""
    tasks.every(0.2, chores.keep, 1, word="é")
    engine.settle(tasks, diary, LEADING)
    assert diary()[0] == '[[1], {"word": "\\u00e9"}]'


def test_a_schedule_tells_of_itself(tasks: Any) -> None:
    """Its name, its rule in words, and when it is due next, in UTC."""
    before = datetime.now(UTC)
    schedule = tasks.every(3600, chores.note)
    assert (schedule.name, schedule.rule, schedule.paused) == ("note", "every 3600 seconds", False)
    assert schedule.next_run is not None
    assert schedule.next_run.utcoffset() == timedelta(0)
    due = before + timedelta(hours=1)
    assert abs(schedule.next_run - due) < timedelta(seconds=6)


def test_a_cron_line_is_due_as_it_says(tasks: Any) -> None:
    """In its time zone, UTC unless another is named."""
    year = datetime.now(UTC).year + 1
    utc = tasks.cron("30 3 1 1 *", chores.note)
    lisbon = tasks.cron("30 3 1 7 *", chores.note, timezone="Europe/Lisbon")
    assert utc.next_run == datetime(year, 1, 1, 3, 30, tzinfo=UTC)
    assert lisbon.next_run.strftime("%m-%d %H:%M %z") == "07-01 02:30 +0000"
    assert (utc.rule, lisbon.rule) == ("30 3 1 1 * UTC", "30 3 1 7 * Europe/Lisbon")


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "5", None, True], ids=repr)
def test_what_is_no_interval_is_refused(tasks: Any, seconds: Any) -> None:
    """Seconds are a number above 0."""
    with pytest.raises(Rejected):
        tasks.every(seconds, chores.note)
    assert list(tasks.schedules) == []


@pytest.mark.parametrize(
    "line", ["", "* * * *", "* * * * * *", "60 * * * *", "0 0 30 2 *", "@daily", None, "a b c d e"]
)
def test_what_is_no_crontab_line_is_refused(tasks: Any, line: Any) -> None:
    """It has five fields, and is due some day."""
    with pytest.raises(Rejected):
        tasks.cron(line, chores.note)
    assert list(tasks.schedules) == []


@pytest.mark.parametrize("zone", ["", "Lisbon", "../etc/passwd", None, 1], ids=repr)
def test_what_is_no_time_zone_is_refused(tasks: Any, zone: Any) -> None:
    """It is one of the table of zones."""
    with pytest.raises(Rejected):
        tasks.cron("0 3 * * *", chores.note, timezone=zone)


def test_schedules_are_listed_in_order(tasks: Any) -> None:
    """That in which they were made; those of one name have ids of their own."""
    made = [
        tasks.every(3600, chores.note),
        tasks.cron("0 3 * * *", chores.note),
        tasks.repeat(Job(chores.note, description="the nightly note"), AfterEnd(3600)),
    ]
    assert [each.id for each in tasks.schedules] == [each.id for each in made]
    assert [each.id for each in made] == ["note", "note-2", "the nightly note"]


def test_a_schedule_whose_job_raises_goes_on(engine: Engine, tasks: Any) -> None:
    """And so does one whose job exits."""
    tasks.every(0.3, chores.fail)
    tasks.every(0.3, chores.leave)
    engine.settle(tasks, lambda: min(diary().count("failed"), diary().count("left")) >= 3, LEADING)


def test_a_job_never_overlaps_with_itself(engine: Engine, tasks: Any) -> None:
    """One that takes longer than its interval is begun after its end; missed runs become one."""
    tasks.every(0.1, chores.last, 0.7)
    engine.settle(tasks, lambda: diary().count("end") >= 3, LEADING)
    tasks.close(5)
    assert diary() == ["begin", "end"] * (len(diary()) // 2)


def test_a_schedule_may_be_due_after_each_end(engine: Engine, tasks: Any) -> None:
    """Another rule may be given, with a callback and a name."""
    job = Job(chores.note, ("ran",), callback=chores.called_back, description="the note")
    assert tasks.repeat(job, AfterEnd(0.3)).name == "the note"
    engine.settle(tasks, lambda: len(diary()) >= 4, LEADING)
    assert diary()[:4] == ["ran", "called back with NoneType"] * 2


def test_a_schedule_that_is_paused_rests(engine: Engine, tasks: Any) -> None:
    """It is due no more until it is resumed, by itself or by its id; others go on."""
    resting, other = (
        tasks.every(0.2, chores.note, "resting"),
        tasks.every(0.2, chores.note, "other"),
    )
    tasks.pause(resting)
    tasks.pause(resting.id)
    assert (resting.paused, resting.next_run, other.paused) == (True, None, False)
    engine.settle(tasks, lambda: diary().count("other") >= 3, LEADING)
    assert "resting" not in diary()
    tasks.resume(resting.id)
    tasks.resume(resting)
    assert resting.paused is False
    engine.settle(tasks, lambda: "resting" in diary(), LEADING)


def test_a_schedule_that_is_resumed_is_due_by_its_interval_from_now(tasks: Any) -> None:
    """What was missed meanwhile is not made up for."""
    schedule = tasks.every(3600, chores.note)
    tasks.pause(schedule)
    tasks.resume(schedule)
    assert schedule.next_run is not None
    assert schedule.next_run > datetime.now(UTC) + timedelta(minutes=59)


def test_a_schedule_that_is_cancelled_is_due_no_more(engine: Engine, tasks: Any) -> None:
    """It is not listed, has no next run, and cancelling it again does nothing; others go on."""
    gone, other = tasks.every(0.2, chores.note, "gone"), tasks.every(0.2, chores.note, "other")
    tasks.cancel(gone)
    tasks.cancel(gone.id)
    tasks.cancel(gone)
    assert gone.next_run is None
    assert [each.id for each in tasks.schedules] == [other.id]
    engine.settle(tasks, lambda: diary().count("other") >= 3, LEADING)
    assert "gone" not in diary()


def test_a_schedule_that_there_is_not_is_refused(tasks: Any) -> None:
    """The error names the id."""
    for verb in (tasks.pause, tasks.resume, tasks.cancel):
        with pytest.raises(Rejected, match="nightly"):
            verb("nightly")


def test_a_schedule_of_other_tasks_is_refused(engine: Engine) -> None:
    """It is not taken for the one of its name here."""
    ours, theirs = engine.build(), engine.build()
    schedule = theirs.every(3600, chores.note)
    with pytest.raises(Rejected):
        ours.pause(schedule)


def test_no_schedule_shows_an_argument(tasks: Any) -> None:
    """It may be printed."""
    schedule = tasks.every(3600, chores.note, "marker-of-a-secret")
    assert "marker" not in repr(schedule) + str(schedule)


def test_closing_ends_the_schedules(engine: Engine, tasks: Any) -> None:
    """They are due no more, and are not among the names of what is left."""
    schedule = tasks.every(0.3, chores.note)
    engine.settle(tasks, diary, LEADING)
    assert list(tasks.close(5)) == []
    assert schedule.next_run is None
    noted = len(diary())
    time.sleep(0.7)  # Nothing can be waited for where nothing is to come.
    assert len(diary()) == noted
