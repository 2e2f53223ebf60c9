"""Schedules of tasks on threads: made, paused, resumed, cancelled, and run."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Rejected
from quorum.services.tasks.base import Job
from quorum.services.tasks.schedule.rules import AfterEnd
from tests.services.tasks.gates import DEADLINE, Gate
from tests.waiting import wait_until

if TYPE_CHECKING:
    from quorum.services.tasks.threads import ThreadTasks


def job(*_: Any) -> None:
    """A job."""


class Counting:
    """A job that notes when it ran."""

    def __init__(self) -> None:
        self.ran: list[float] = []

    def __call__(self, *_: Any) -> None:
        self.ran.append(time.monotonic())


def test_a_schedule_runs_again_and_again(tasks: ThreadTasks) -> None:
    """Each run is a job like any other, and counted as one."""
    counting = Counting()
    tasks.every(0.05, counting)
    wait_until(lambda: len(counting.ran) >= 5)
    assert tasks.counts.done >= 4


def test_a_run_that_fails_is_followed_by_others(
    tasks: ThreadTasks, caplog: pytest.LogCaptureFixture
) -> None:
    """Each failure is logged."""

    def fail() -> None:
        raise SystemExit

    tasks.every(0.05, fail)
    wait_until(lambda: tasks.counts.failed >= 3)
    assert "the job fail (" in caplog.text


def test_a_full_queue_keeps_no_schedule_from_running(threads: Any) -> None:
    """It was let in when it was made."""
    tasks, gate, counting = threads(threads=2, limit=1), Gate(), Counting()
    tasks.submit(gate)
    assert gate.begun.wait(DEADLINE)
    tasks.at(time.time() + 3600, job)
    tasks.every(0.05, counting)
    wait_until(lambda: len(counting.ran) >= 3)
    gate.open()


def test_a_schedule_does_not_overlap_with_itself(tasks: ThreadTasks) -> None:
    """While it runs it is due at no time; after a long run it is due once."""
    gate = Gate()
    schedule = tasks.every(0.02, gate)
    assert gate.begun.wait(DEADLINE)
    assert tasks.submit(job).wait(DEADLINE)
    threading.Event().wait(0.2)
    assert tasks.counts.running == 1
    assert schedule.next_run is None
    gate.open()
    wait_until(lambda: tasks.counts.done >= 3)


def test_ids_are_names_and_numbers(tasks: ThreadTasks) -> None:
    """The next of the same name has -2; that of a cancelled one is not given again."""
    ids = [tasks.every(3600, job).id for _ in range(3)]
    assert ids == ["job", "job-2", "job-3"]
    tasks.cancel("job-3")
    assert tasks.every(3600, job).id == "job-4"
    assert tasks.repeat(Job(job, description="prune"), AfterEnd(3600)).id == "prune"
    assert [each.id for each in tasks.schedules] == ["job", "job-2", "job-4", "prune"]


def test_a_schedule_says_what_it_is(tasks: ThreadTasks) -> None:
    """Its rule in words, and when it is due next, in UTC."""
    every, cron = tasks.every(60, job), tasks.cron("0 3 * * *", job, timezone="Europe/Lisbon")
    assert (every.rule, cron.rule) == ("every 60 seconds", "0 3 * * * Europe/Lisbon")
    assert every.next_run is not None
    assert cron.next_run is not None
    assert 55 < every.next_run.timestamp() - time.time() < 61
    assert cron.next_run.tzinfo is UTC
    assert cron.next_run > datetime.now(UTC)
    assert repr(every) == "<schedule job: every 60 seconds>"


def test_a_schedule_of_centuries_can_be_listed(tasks: ThreadTasks) -> None:
    """When it is due next is a date still."""
    schedule = tasks.every(99 * 366 * 86_400, job)
    assert schedule.next_run is not None
    assert schedule.next_run.year > 2100


def test_a_paused_schedule_rests_until_it_is_resumed(tasks: ThreadTasks) -> None:
    """By itself or by its id; to pause what rests, and to resume what does not, is a no-op."""
    counting = Counting()
    schedule = tasks.every(0.03, counting)
    wait_until(lambda: counting.ran)
    tasks.pause(schedule)
    tasks.pause(schedule.id)
    wait_until(lambda: not tasks.counts.running)
    assert (schedule.paused, schedule.next_run) == (True, None)
    ran = len(counting.ran)
    threading.Event().wait(0.2)
    assert len(counting.ran) == ran
    tasks.resume(schedule.id)
    tasks.resume(schedule)
    assert not schedule.paused
    wait_until(lambda: len(counting.ran) > ran)


def test_a_schedule_may_be_paused_and_resumed_while_it_runs(tasks: ThreadTasks) -> None:
    """It goes on after its run, and never runs beside itself."""
    gate = Gate()
    schedule = tasks.repeat(Job(gate), AfterEnd(0.05))
    assert gate.begun.wait(DEADLINE)
    tasks.pause(schedule)
    tasks.resume(schedule)
    assert schedule.next_run is None
    assert tasks.counts.running == 1
    gate.open()
    wait_until(lambda: tasks.counts.done >= 3)


def test_a_cancelled_schedule_is_due_no_more(tasks: ThreadTasks) -> None:
    """Cancelling it again is a no-op; there is nothing to pause or to resume."""
    schedule = tasks.every(3600, job)
    tasks.cancel(schedule)
    tasks.cancel(schedule.id)
    assert schedule.next_run is None
    assert tasks.schedules == []
    for verb in (tasks.pause, tasks.resume):
        with pytest.raises(Rejected, match="there is no schedule 'job'; there are: none"):
            verb(schedule)


def test_a_run_may_cancel_its_own_schedule(tasks: ThreadTasks) -> None:
    """It goes on to its end, and is the last."""
    ran: list[int] = []

    def once() -> None:
        ran.append(1)
        tasks.cancel("once")

    schedule = tasks.every(0.03, once)
    wait_until(lambda: tasks.counts.done == 1)
    threading.Event().wait(0.15)
    assert ran == [1]
    assert schedule.next_run is None


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_an_unknown_schedule_is_refused(tasks: ThreadTasks, verb: str) -> None:
    """The error lists those there are."""
    tasks.every(3600, job)
    with pytest.raises(Rejected, match="there is no schedule 'jobs'; there are: job"):
        getattr(tasks, verb)("jobs")


def test_what_cannot_be_repeated_is_refused(tasks: ThreadTasks) -> None:
    """Nothing is left of it, nor its name taken."""

    async def coroutine() -> None:
        """Never run."""

    for make in (
        lambda: tasks.every(0, job),
        lambda: tasks.every(float("nan"), job),
        lambda: tasks.cron("every day", job),
        lambda: tasks.every(1, coroutine),
    ):
        with pytest.raises(Rejected):
            make()
    assert tasks.schedules == []
    assert tasks.every(3600, job).id == "job"


def test_of_two_that_run_one_application_one_runs_the_schedule(threads: Any) -> None:
    """The other takes over as soon as the first is closed."""
    name = f"test-{time.monotonic_ns()}"
    first, second = threads(name=name), threads(name=name)
    runs, others = Counting(), Counting()
    first.every(0.05, runs)
    wait_until(lambda: runs.ran)
    second.every(0.05, others)
    before = len(runs.ran)
    wait_until(lambda: len(runs.ran) > before + 5)
    assert others.ran == []
    first.close()
    wait_until(lambda: others.ran)


def test_a_run_that_cannot_be_noted_runs(
    tasks: ThreadTasks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever leads next may run it again; that is logged."""

    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    counting = Counting()
    monkeypatch.setattr(tasks._timer.get().leader, "note_run", fail)
    tasks.every(0.03, counting)
    wait_until(lambda: len(counting.ran) >= 3)
    assert "the run of Counting could not be noted" in caplog.text


def test_a_run_that_cannot_be_noted_is_left_to_who_leads_by_now(
    tasks: ThreadTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note may have cost the time that the lease had left."""

    class Cut:
        leads, settled = True, True

        def note_run(self, *_: Any) -> None:
            self.leads = False
            raise OSError("Redis is away")

        def stop(self) -> None:
            pass

    counting, cut = Counting(), Cut()
    schedule = tasks.repeat(Job(counting), AfterEnd(3600))
    tasks.pause(schedule)
    monkeypatch.setattr(tasks._timer.get(), "leader", cut)
    tasks.resume(schedule)
    wait_until(lambda: not cut.leads and tasks.counts.done)
    assert counting.ran == []


def test_a_run_that_waits_for_a_thread_ends_with_its_schedule(threads: Any) -> None:
    """Cancelled, it is not begun any more."""
    tasks, gate, counting = threads(threads=1), Gate(), Counting()
    tasks.submit(gate)
    schedule = tasks.every(0.05, counting)
    wait_until(lambda: tasks.counts.queued)
    tasks.cancel(schedule)
    gate.open()
    assert tasks.submit(job).wait(DEADLINE)
    assert counting.ran == []
