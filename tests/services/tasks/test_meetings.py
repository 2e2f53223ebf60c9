"""What meets on the threads of background work: calls that come at one moment."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Unavailable
from quorum.services.tasks.threads import ThreadTasks
from tests.services.tasks import chores
from tests.services.tasks.chores import diary
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., ThreadTasks]


def test_a_cancelled_job_never_runs_and_any_other_does(threads: Build) -> None:
    """Whether a thread takes it just then, or its moment comes."""
    tasks = threads(threads=4)
    ran: list[int] = []
    soon = time.time() + 0.2
    handles = [
        tasks.at(soon + number / 1e5, ran.append, number)
        if number % 2
        else tasks.submit(ran.append, number)
        for number in range(2000)
    ]
    cancelled = {number for number, handle in enumerate(handles) if handle.cancel()}
    assert all(handle.wait(10) for handle in handles)
    assert sorted({*range(2000)} - cancelled) == sorted(ran)
    assert {handle.state for number, handle in enumerate(handles) if number in cancelled} <= {
        "cancelled"
    }
    assert tasks.counts.queued == 0


def test_what_is_submitted_as_the_tasks_close_runs_or_is_named(threads: Build) -> None:
    """No job that was accepted is forgotten."""
    tasks = threads(threads=2, limit=100_000)
    handles: list[Any] = []

    def submit() -> None:
        with suppress(Unavailable):
            for number in count():
                handles.append(tasks.at(9e9, int) if number % 3 == 0 else tasks.submit(int))  # noqa: PERF401 - each as it is accepted

    submitting = [threading.Thread(target=submit) for _ in range(4)]
    for thread in submitting:
        thread.start()
    wait_until(lambda: len(handles) > 2000)
    left = tasks.close(5)
    for thread in submitting:
        thread.join(10)
    states = [handle.state for handle in handles]
    assert set(states) <= {"done", "dropped"}
    assert len(left) == states.count("dropped")
    assert all(handle.wait(0) for handle in handles)


@pytest.mark.parametrize("number", [1, 4])
def test_a_job_may_close_the_tasks(threads: Build, number: int) -> None:
    """It does not wait for itself."""
    tasks = threads(threads=number)
    closing = tasks.submit(tasks.close, 30)
    start = time.monotonic()
    assert closing.wait(30)
    assert time.monotonic() - start < 10
    with pytest.raises(Unavailable):
        tasks.submit(int)


def test_a_run_may_pause_resume_and_cancel_its_own_schedule(threads: Build) -> None:
    """As anybody may."""
    tasks = threads()
    schedules: list[Any] = []

    def job() -> None:
        chores.note()
        if len(diary()) == 1:
            tasks.pause(schedules[0])
            tasks.resume(schedules[0])
        if len(diary()) == 3:
            tasks.cancel(schedules[0])

    schedules.append(tasks.every(0.1, job))
    wait_until(lambda: len(diary()) == 3)
    time.sleep(0.4)  # Nothing can be waited for where nothing is to come.
    assert len(diary()) == 3
    assert list(tasks.schedules) == []


def test_a_schedule_paused_and_resumed_as_it_runs_overlaps_not(threads: Build) -> None:
    """Its next run is begun after the end of the one under way."""
    tasks = threads()
    schedule = tasks.every(0.05, chores.last, 0.3)
    wait_until(diary)
    for _ in range(30):
        tasks.pause(schedule)
        tasks.resume(schedule)
        time.sleep(0.02)
    wait_until(lambda: diary().count("end") >= 3)
    tasks.close(5)
    assert diary() == ["begin", "end"] * (len(diary()) // 2)


def test_jobs_run_in_the_order_of_their_moments(threads: Build) -> None:
    """Whichever was submitted first; of one moment that one."""
    tasks = threads(threads=1)
    soon = time.time() + 0.3
    order = [5, 3, 9, 1, 7, 0, 8, 2, 6, 4]
    handles = [tasks.at(soon + number / 50, chores.note, str(number)) for number in order]
    handles += [tasks.at(soon + 0.3, chores.note, f"same {number}") for number in range(5)]
    assert all(handle.wait(10) for handle in handles)
    assert diary() == [str(number) for number in range(10)] + [f"same {n}" for n in range(5)]


def test_a_moment_that_comes_before_the_next_wakes_at_once(threads: Build) -> None:
    """The timer sleeps until the earliest, also when that is submitted last."""
    tasks = threads()
    tasks.at(time.time() + 3600, chores.note)
    tasks.at(time.time() + 1800, chores.note)
    assert tasks.at(time.time() + 0.2, chores.note, "soon").wait(5)
    assert diary() == ["soon"]
