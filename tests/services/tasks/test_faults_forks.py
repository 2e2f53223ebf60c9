"""What a fork does to background work: row W1 of the table of faults."""

from __future__ import annotations

import multiprocessing
import threading
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest

from quorum.services.tasks.threads import ThreadTasks
from tests.services.amqp.children import fork, forks, status_of
from tests.services.tasks import chores
from tests.services.tasks.chores import diary
from tests.services.tasks.gates import Gate
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., ThreadTasks]


@forks
@pytest.mark.parametrize("used", [True, False], ids=["used before", "not used before"])
def test_a_forked_child_runs_what_it_submits(threads: Build, used: bool) -> None:
    """All of it, and so does its parent after it."""
    tasks = threads()
    if used:
        tasks.submit(chores.note, "parent").result(5)

    def work() -> None:
        handles = [tasks.submit(chores.note, f"child {number}") for number in range(100)]
        assert all(each.wait(10) for each in handles)

    assert status_of(fork(work)) == 0
    tasks.submit(chores.note, "parent again").result(5)
    noted = diary()
    assert len(noted) == 100 + 1 + used
    assert len(set(noted)) == len(noted)


@forks
def test_a_forked_child_has_moments_of_its_own(threads: Build) -> None:
    """What it submits for a moment runs at that; its parent's timer does not matter."""
    tasks = threads()
    tasks.at(time.time() + 3600, chores.note)
    assert (
        status_of(fork(lambda: tasks.at(time.time() + 0.2, chores.note, "child").result(10))) == 0
    )
    assert diary() == ["child"]


@forks
def test_what_waits_stays_the_parents(threads: Build) -> None:
    """A child that is forked meanwhile neither runs it again nor counts it."""
    tasks, gate = threads(threads=1), Gate()
    tasks.submit(gate)
    assert gate.begun.wait(5)
    waiting = [tasks.submit(chores.note, "queued")]
    waiting.append(tasks.at(time.time() + 0.5, chores.note, "scheduled"))

    def work() -> None:
        assert (tasks.counts.queued, tasks.counts.running) == (0, 0)
        tasks.submit(chores.note, "child").result(10)
        time.sleep(1)
        assert list(tasks.close(5)) == []

    child = fork(work)
    assert status_of(child) == 0
    assert diary() == ["child"]
    gate.open()
    assert all(each.wait(5) for each in waiting)
    assert diary() == ["child", "queued", "scheduled"]


@forks
def test_a_fork_amid_work_hangs_no_child(threads: Build) -> None:
    """Whatever the threads of the parent hold just then."""
    tasks = threads(limit=100_000)
    ended = threading.Event()

    def busy() -> None:
        for number in count():
            if ended.is_set():
                return
            tasks.submit(int)
            tasks.at(time.time() + number % 7 / 100, int)
            if tasks.counts.queued > 1000:
                time.sleep(0.01)

    submitting = [threading.Thread(target=busy) for _ in range(3)]
    for thread in submitting:
        thread.start()
    try:
        children = [fork(lambda: tasks.submit(int).result(10)) for _ in range(20)]
        assert [status_of(each) for each in children] == [0] * 20
    finally:
        ended.set()
        for thread in submitting:
            thread.join()


@forks
def test_a_job_that_forks_ends_once(threads: Build) -> None:
    """Its child ends; the parent goes on as if nothing were."""
    tasks = threads(threads=1)
    child = tasks.submit(fork, lambda: chores.note("child")).result(10)
    assert status_of(child) == 0
    assert tasks.submit(chores.add, 1, 2).result(5) == 3
    assert diary() == ["child"]


@forks
def test_a_child_of_multiprocessing_works_and_ends(threads: Build) -> None:
    """It submits and is done, though its parent has schedules and jobs that wait."""
    tasks = threads()
    tasks.every(0.2, chores.note, "schedule")
    wait_until(diary)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_submit_one, args=(tasks,))
    process.start()
    process.join(15)
    assert process.exitcode == 0
    process.close()
    assert "child" in diary()


def _submit_one(tasks: ThreadTasks) -> None:
    tasks.submit(chores.note, "child").result(10)
