"""The end of tasks on threads: what still runs, what is dropped, and who is told."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Unavailable
from quorum.services.tasks.base import Job, TaskCounts
from quorum.services.tasks.schedule.rules import AfterEnd
from tests.services.tasks.gates import DEADLINE, Gate
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.tasks.threads import ThreadTasks

    Build = Callable[..., ThreadTasks]


def sleep() -> None:
    threading.Event().wait(0.01)


def later() -> float:
    return time.time() + 3600


def test_close_waits_for_all_that_was_submitted(threads: Build) -> None:
    """Also for what waits for its turn."""
    tasks = threads(threads=2)
    handles = [tasks.submit(sleep) for _ in range(50)]
    assert tasks.close(DEADLINE) == []
    assert {each.state for each in handles} == {"done"}
    assert tasks.counts == TaskCounts(done=50)


def test_close_waits_no_longer_than_it_is_told(
    threads: Build, caplog: pytest.LogCaptureFixture
) -> None:
    """Then it names what is left, what runs before what waits, in a line of the log as well."""
    tasks, gate = threads(threads=1), Gate()
    running = tasks.submit(gate)
    assert gate.begun.wait(DEADLINE)
    waiting = [tasks.submit(sleep), tasks.submit(print)]
    start = time.monotonic()
    assert tasks.close(0.2) == ["Gate", "sleep", "print"]
    assert time.monotonic() - start < 6
    assert "closed with 3 jobs left: Gate, sleep, print" in caplog.text
    assert [each.state for each in waiting] == ["dropped"] * 2
    assert tasks.counts == TaskCounts(running=1, dropped=2)
    gate.open()
    assert running.result(DEADLINE) == "passed"
    assert tasks.counts == TaskCounts(done=1, dropped=2)


def test_close_takes_the_time_of_the_settings(threads: Build) -> None:
    """Unless it is told another."""
    tasks, gate = threads(timeout=0.1), Gate()
    tasks.submit(gate)
    assert tasks.close() == ["Gate"]
    gate.open()


def test_a_long_list_is_cut_in_the_log_alone(
    threads: Build, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever called has all the names."""
    tasks, gate = threads(threads=1), Gate()
    tasks.submit(gate)
    for _ in range(100):
        tasks.submit(sleep)
    assert len(tasks.close(0)) == 101
    assert "and 81 more" in caplog.text
    assert len(caplog.text) < 1000
    gate.open()


def test_a_dropped_job_says_so(threads: Build) -> None:
    """Whoever waits for it is woken."""
    tasks, gate = threads(threads=1), Gate()
    tasks.submit(gate)
    handle = tasks.submit(sleep)
    errors: list[Any] = []

    def wait() -> None:
        try:
            handle.result(DEADLINE)
        except Unavailable as error:
            errors.append(str(error))

    waiter = threading.Thread(target=wait)
    waiter.start()
    tasks.close(0)
    waiter.join(DEADLINE)
    assert errors == [
        f"tasks: the job sleep ({handle.id}) was dropped, since the tasks were closed"
    ]
    gate.open()


def test_what_is_scheduled_ends(threads: Build) -> None:
    """A job whose moment is not here is dropped and named; schedules are due no more."""
    tasks = threads()
    handle = tasks.at(later(), sleep)
    schedule = tasks.every(3600, print)
    assert tasks.close(DEADLINE) == ["sleep"]
    assert handle.state == "dropped"
    assert schedule.next_run is None
    assert tasks.schedules == []
    assert tasks.counts == TaskCounts(dropped=1)


def test_after_close_nothing_is_taken(tasks: ThreadTasks) -> None:
    """The error says that they are closed; a second close is a no-op."""
    tasks.close()
    assert tasks.close() == []
    for call in (
        lambda: tasks.submit(sleep),
        lambda: tasks.at(later(), sleep),
        lambda: tasks.every(1, sleep),
        lambda: tasks.cron("* * * * *", sleep),
        tasks.ping,
    ):
        with pytest.raises(Unavailable, match="they are closed; load the application again"):
            call()


def test_a_job_that_submits_during_the_drain_is_refused(threads: Build) -> None:
    """It gets the same error; what was taken still runs."""
    tasks, gate, errors = threads(threads=1), Gate(), []

    def submit() -> None:
        gate()
        try:
            tasks.submit(sleep)
        except Unavailable as error:
            errors.append(str(error))

    handle, other = tasks.submit(submit), tasks.submit(sleep)
    assert gate.begun.wait(DEADLINE)
    closing = threading.Thread(target=tasks.close, args=(DEADLINE,))
    closing.start()
    wait_until(lambda: tasks._closed)
    gate.open()
    closing.join(DEADLINE)
    assert (handle.state, other.state) == ("done", "done")
    assert errors == ["tasks: they are closed; load the application again to use them"]


@pytest.mark.parametrize("count", [1, 4])
def test_a_job_may_close_the_tasks(threads: Build, count: int) -> None:
    """It does not wait for itself, nor for what only its own thread could run."""
    tasks, left, gate = threads(threads=count), [], Gate()

    def close() -> None:
        gate()
        left.extend(tasks.close(DEADLINE))

    closing = tasks.submit(close)
    others = [tasks.submit(sleep) for _ in range(3)]
    gate.open()
    assert closing.wait(6)
    assert closing.state == "done"
    assert [each.wait(6) for each in others] == [True] * 3
    assert set(left) <= {"sleep"}
    assert (count > 1) <= (left == [])


def test_no_thread_is_left(tasks: ThreadTasks) -> None:
    """Those of the jobs end, and the one that waits for moments."""
    tasks.submit(sleep)
    tasks.at(later(), sleep)
    tasks.every(3600, sleep)
    tasks.close(DEADLINE)
    wait_until(lambda: not [each for each in threading.enumerate() if tasks.name in each.name])


def test_many_submit_while_it_is_closed(threads: Build) -> None:
    """Each job either ran, or its submitter was told that it will not."""
    tasks, handles, lock = threads(), [], threading.Lock()

    def submit() -> None:
        try:
            while True:
                handle = tasks.submit(sleep)
                with lock:
                    handles.append(handle)
        except Unavailable:
            return

    submitters = [threading.Thread(target=submit) for _ in range(8)]
    for each in submitters:
        each.start()
    wait_until(lambda: len(handles) > 100)
    left = tasks.close(0.05)
    for each in submitters:
        each.join(DEADLINE)
    assert all(each.wait(DEADLINE) for each in handles)
    dropped = [each for each in handles if each.state == "dropped"]
    assert {each.state for each in handles} <= {"done", "dropped"}
    assert len(dropped) <= len(left)


def test_a_run_under_way_ends_with_its_schedule(tasks: ThreadTasks) -> None:
    """close waits for it as for any job."""
    gate = Gate()
    tasks.repeat(Job(gate), AfterEnd(0.01))
    assert gate.begun.wait(DEADLINE)
    assert tasks.close(0.05) == ["Gate"]
    gate.open()
    wait_until(lambda: tasks.counts.done == 1)
