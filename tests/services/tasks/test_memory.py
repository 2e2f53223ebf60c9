"""The embedded twin: jobs that run when a test says so."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Rejected, TimedOut, Unavailable
from quorum.services.tasks.base import Job, TaskCounts
from quorum.services.tasks.schedule.rules import AfterEnd
from tests.services.amqp.children import fork, forks, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quorum.services.tasks.memory import MemoryTasks

    Build = Callable[..., MemoryTasks]


@pytest.fixture
def ran() -> list[Any]:
    return []


@pytest.fixture
def tasks(twin: Build) -> MemoryTasks:
    return twin()


def test_nothing_runs_until_it_is_told_to(tasks: MemoryTasks, ran: list[Any]) -> None:
    """Then all that was submitted, in order, on the thread that asks."""
    first = tasks.submit(ran.append, 1)
    tasks.submit(lambda: ran.append(threading.current_thread()))
    assert (ran, first.state, tasks.counts.queued) == ([], "queued", 2)
    assert tasks.run_due() == 2
    assert ran == [1, threading.current_thread()]
    assert (first.state, first.result()) == ("done", None)
    assert tasks.run_due() == 0


def test_what_a_job_submits_runs_too(tasks: MemoryTasks, ran: list[Any]) -> None:
    """In the same call."""
    tasks.submit(lambda: tasks.submit(ran.append, 1))
    assert tasks.run_due() == 2
    assert ran == [1]


def test_a_job_that_submits_itself_for_ever_hangs_no_test(twin: Build) -> None:
    """One call runs no more than may wait at once."""
    tasks = twin(limit=50)

    def again() -> None:
        tasks.submit(again)

    tasks.submit(again)
    assert tasks.run_due() == 50
    assert tasks.counts.queued == 1


@pytest.mark.parametrize(
    "kind", [float, lambda each: datetime.fromtimestamp(each, UTC)], ids=["seconds", "aware"]
)
def test_a_job_at_a_moment_runs_when_it_is_said_to_be_here(
    tasks: MemoryTasks, ran: list[Any], kind: Any
) -> None:
    """Not before, and once."""
    moment = time.time() + 3600
    handle = tasks.at(kind(moment), ran.append, 1)
    assert handle.state == "scheduled"
    assert tasks.run_due() == 0
    assert tasks.run_due(kind(moment - 1)) == 0
    assert tasks.run_due(kind(moment + 1)) == 1
    assert tasks.run_due(kind(moment + 2)) == 0


def test_what_is_due_runs_in_the_order_of_its_times(tasks: MemoryTasks, ran: list[Any]) -> None:
    """After what was submitted for now."""
    for seconds in (30, 10, 20):
        tasks.at(time.time() + seconds, ran.append, seconds)
    tasks.submit(ran.append, 0)
    tasks.run_due(time.time() + 60)
    assert ran == [0, 10, 20, 30]


def test_a_moment_without_a_time_zone_is_refused(tasks: MemoryTasks) -> None:
    """As it is by the drivers; nothing runs."""
    tasks.submit(print)
    with pytest.raises(Rejected, match="no time zone"):
        tasks.run_due(datetime(2030, 1, 1))  # noqa: DTZ001 - that is what is refused
    assert tasks.counts.queued == 1


def test_a_schedule_runs_once_a_call(tasks: MemoryTasks, ran: list[Any]) -> None:
    """However many of its times have passed; its next is after the moment told."""
    schedule = tasks.every(60, ran.append, 1)
    start = time.time()
    assert tasks.run_due() == 0
    assert tasks.run_due(start + 3600) == 1
    assert schedule.next_run is not None
    assert schedule.next_run.timestamp() == pytest.approx(start + 3660, abs=1)
    assert tasks.run_due(start + 3630) == 0
    assert tasks.run_due(start + 3661) == 1


def test_a_schedule_that_is_due_at_once_after_each_run_runs_once_a_call(
    tasks: MemoryTasks, ran: list[Any]
) -> None:
    """Even if its own run pauses and resumes it."""

    def restart() -> None:
        ran.append(1)
        tasks.pause("restart")
        tasks.resume("restart")

    tasks.repeat(Job(restart), AfterEnd(60))
    assert tasks.run_due() == 1
    assert tasks.run_due() <= 1


def test_a_cron_line_runs_at_its_time(tasks: MemoryTasks, ran: list[Any]) -> None:
    """By the moment told."""
    schedule = tasks.cron("0 3 * * *", ran.append, 1)
    due = schedule.next_run
    assert due is not None
    assert tasks.run_due(due - timedelta(seconds=1)) == 0
    assert tasks.run_due(due) == 1
    assert schedule.next_run == due + timedelta(days=1)


def test_a_paused_schedule_and_a_cancelled_one_do_not_run(
    tasks: MemoryTasks, ran: list[Any]
) -> None:
    """One that is resumed does."""
    paused, cancelled = tasks.every(60, ran.append, 1), tasks.every(60, ran.append, 2)
    tasks.pause(paused)
    tasks.cancel(cancelled)
    assert tasks.run_due(time.time() + 100) == 0
    tasks.resume(paused)
    assert tasks.run_due(time.time() + 100) == 1


def test_a_job_that_fails_does_as_everywhere(
    tasks: MemoryTasks, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, in its handle and counted; the others run, and so does its callback."""
    errors: list[Any] = []

    def fail() -> None:
        raise SystemExit

    def note(error: Any) -> None:
        errors.append(error)

    handle = tasks.enqueue(Job(fail, callback=note))
    tasks.submit(print)
    assert tasks.run_due() == 2
    assert (handle.state, [handle.exception]) == ("failed", errors)
    assert tasks.counts == TaskCounts(done=1, failed=1)
    assert "the job fail (" in caplog.text


def test_a_job_runs_inside_the_scope(twin: Build, ran: list[Any]) -> None:
    """As on threads."""

    @contextmanager
    def scope() -> Iterator[None]:
        ran.append("in")
        yield
        ran.append("out")

    tasks = twin(scope=scope)
    tasks.submit(ran.append, "job")
    tasks.run_due()
    assert ran == ["in", "job", "out"]


def test_eager_tasks_run_what_is_submitted_at_once(twin: Build, ran: list[Any]) -> None:
    """Also what a job submits; what is for later, and schedules, wait for run_due."""
    tasks = twin(engine="eager")
    tasks.submit(lambda: ran.append(tasks.submit(ran.append, 1).state))
    assert ran == [1, "done"]
    tasks.at(time.time() - 5, ran.append, 2)
    assert ran == [1, "done", 2]
    tasks.at(time.time() + 60, ran.append, 3)
    tasks.every(60, ran.append, 4)
    assert ran == [1, "done", 2]
    assert tasks.run_due(time.time() + 100) == 2


def test_eager_tasks_raise_nothing(twin: Build) -> None:
    """What a job raises is in its handle."""
    assert isinstance(twin(engine="eager").submit(int, "x").exception, ValueError)


def test_a_full_queue_refuses_as_on_threads(twin: Build) -> None:
    """So that a test sees it too."""
    tasks = twin(limit=2)
    tasks.submit(print)
    tasks.at(time.time() + 60, print)
    with pytest.raises(Unavailable, match="TASKS_LIMIT"):
        tasks.submit(print)
    assert tasks.counts == TaskCounts(queued=2, dropped=1)


def test_a_cancelled_job_does_not_run(tasks: MemoryTasks, ran: list[Any]) -> None:
    """Whether it was for now or for later."""
    now, later = tasks.submit(ran.append, 1), tasks.at(time.time() + 60, ran.append, 2)
    assert now.cancel()
    assert later.cancel()
    assert tasks.run_due(time.time() + 100) == 0
    assert ran == []


def test_close_runs_nothing(tasks: MemoryTasks, ran: list[Any]) -> None:
    """What waits is dropped and named; a second close is a no-op."""
    handle = tasks.submit(ran.append, 1)
    tasks.at(time.time() + 60, print)
    assert tasks.close() == ["list.append", "print"]
    assert (handle.state, ran, tasks.close()) == ("dropped", [], [])
    with pytest.raises(Unavailable, match="closed"):
        tasks.submit(print)


def test_a_test_asks_what_was_submitted(tasks: MemoryTasks) -> None:
    """By its function or by its name, with its arguments, so many times."""
    handle = tasks.submit(int, "5", base=8)
    tasks.at(time.time() + 60, int, "6")
    tasks.assert_submitted(int)
    tasks.assert_submitted("int", times=2)
    tasks.assert_submitted(int, args=["5"], kwargs={"base": 8}, times=1)
    tasks.assert_submitted(str, times=0)
    assert tasks.handles[0] is handle
    tasks.run_due()
    tasks.assert_submitted(int, args=("5",))


def test_an_assertion_that_fails_lists_what_was_submitted(tasks: MemoryTasks) -> None:
    """With its arguments: here they are the test's own."""
    with pytest.raises(
        AssertionError, match=r"expected at least 1 job of int; 0 matched\. Nothing"
    ):
        tasks.assert_submitted(int)
    tasks.assert_nothing_submitted()
    tasks.submit(int, "5")
    with pytest.raises(
        AssertionError, match=r"2 jobs of int, args=\('6',\); 0 (?s:.*)int args=\('5',\)"
    ):
        tasks.assert_submitted(int, args=("6",), times=2)
    with pytest.raises(AssertionError, match=r"expected no job\. Submitted:"):
        tasks.assert_nothing_submitted()


@forks
def test_a_forked_child_runs_its_own_jobs_alone(tasks: MemoryTasks, ran: list[Any]) -> None:
    """Those of its parent stay the parent's."""
    tasks.submit(ran.append, "parent's")

    def work() -> None:
        tasks.submit(ran.append, "child's")
        assert tasks.run_due() == 1
        assert ran == ["child's"]

    assert status_of(fork(work)) == 0
    assert tasks.run_due() == 1
    assert ran == ["parent's"]


def test_whoever_waits_for_ever_is_told_what_runs_the_job(tasks: MemoryTasks) -> None:
    """Nothing would wake it: a test of a view that waits would hang."""
    handle = tasks.submit(int)
    with pytest.raises(Rejected, match=r"would never end; in a test it runs in run_due\(\)"):
        handle.wait()
    with pytest.raises(TimedOut, match=r"within 0.01 s; in a test it runs in run_due\(\)"):
        handle.result(0.01)


def test_jobs_and_schedules_run_in_the_order_of_their_times(tasks: MemoryTasks) -> None:
    """Whatever they are."""
    ran: list[str] = []
    now = time.time()
    tasks.at(now + 20, ran.append, "job")
    tasks.every(10, ran.append, "schedule")
    tasks.run_due(now + 30)
    assert ran == ["schedule", "job"]
