"""Tasks on threads in a process that forks."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Unavailable
from quorum.services.tasks.base import TaskCounts
from tests.services.amqp.children import fork, forks, status_of
from tests.services.tasks.gates import DEADLINE, Gate
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from quorum.services.tasks.threads import ThreadTasks

    Build = Callable[..., ThreadTasks]


def double(number: int) -> int:
    return 2 * number


@forks
@pytest.mark.parametrize("rounds", range(5))
def test_a_child_runs_what_it_submits(tasks: ThreadTasks, rounds: int) -> None:
    """Whatever the threads of its parent were doing; the parent's go on."""
    stop = threading.Event()

    def submit() -> None:
        while not stop.is_set():
            tasks.submit(double, 1).wait(DEADLINE)
            tasks.at(time.time() + 0.001, double, 1)

    submitters = [threading.Thread(target=submit) for _ in range(3)]
    for each in submitters:
        each.start()

    def work() -> None:
        for number in range(100):
            assert tasks.submit(double, number).result(DEADLINE) == 2 * number
        assert tasks.at(time.time() + 0.01, double, 4).result(DEADLINE) == 8
        assert tasks.close(DEADLINE) == []

    statuses = [status_of(fork(work)) for _ in range(3)]
    stop.set()
    for each in submitters:
        each.join(DEADLINE)
    assert statuses == [0, 0, 0]
    assert tasks.submit(double, 4).result(DEADLINE) == 8


@forks
def test_a_child_runs_no_job_of_its_parent(threads: Build, tmp_path: Path) -> None:
    """Neither what waits for its turn, nor what waits for its moment; it counts from nothing."""
    tasks, gate, ran = threads(threads=1), Gate(), tmp_path / "ran"

    def note() -> None:
        with ran.open("a") as file:
            print(os.getpid(), file=file)

    tasks.submit(gate)
    assert gate.begun.wait(DEADLINE)
    tasks.submit(note)
    tasks.at(time.time() + 0.2, note)

    def work() -> None:
        assert tasks.counts == TaskCounts()
        assert tasks.submit(double, 4).result(DEADLINE) == 8
        tasks.at(time.time() + 0.5, double, 4).result(DEADLINE)
        assert tasks.close(DEADLINE) == []

    assert status_of(fork(work)) == 0
    gate.open()
    wait_until(lambda: ran.exists() and len(ran.read_text().split()) == 2)
    assert set(ran.read_text().split()) == {str(os.getpid())}


@forks
def test_a_handle_of_the_parent_says_so_in_the_child(threads: Build) -> None:
    """It would wait for ever; one of a job that had ended knows its end."""
    tasks, gate = threads(threads=1), Gate()
    ended = tasks.submit(double, 4)
    assert ended.wait(DEADLINE)
    handles = [tasks.submit(gate), tasks.submit(double, 4), tasks.at(time.time() + 60, double, 4)]
    assert gate.begun.wait(DEADLINE)

    def state(handle: Any) -> Any:
        return handle.state

    def work() -> None:
        assert (ended.state, ended.result()) == ("done", 8)
        for handle in handles:
            for ask in (
                handle.wait,
                handle.result,
                handle.cancel,
                partial(state, handle),
            ):
                with pytest.raises(Unavailable, match=r"is of process .*; ask there"):
                    ask()

    assert status_of(fork(work)) == 0
    gate.open()


@forks
def test_a_job_that_forks_does_not_go_on_in_the_child(threads: Build, tmp_path: Path) -> None:
    """A child that comes back from the job takes no other, and ends."""
    tasks, ran, gate = threads(threads=1), tmp_path / "ran", Gate()
    children: list[int] = []

    def job() -> None:
        gate()
        child = os.fork()
        if child:
            children.append(child)

    def note() -> None:
        with ran.open("a") as file:
            print(os.getpid(), file=file)

    tasks.submit(job)
    last = tasks.submit(note)
    gate.open()
    assert last.wait(DEADLINE)
    assert status_of(children[0]) == 0
    assert ran.read_text().split() == [str(os.getpid())]


@forks
def test_schedules_go_on_in_a_child_that_stays(threads: Build, tmp_path: Path) -> None:
    """So they do in the workers of a server that loads the application before it forks."""
    tasks, ran = threads(), tmp_path / "ran"

    def note() -> None:
        with ran.open("a") as file:
            print(os.getpid(), file=file)

    tasks.every(0.05, note)
    wait_until(ran.exists)
    child = fork(lambda: wait_until(lambda: str(os.getpid()) in ran.read_text().split()))
    assert status_of(child) == 0
    assert str(child) in ran.read_text().split()


@forks
def test_a_run_under_way_in_the_parent_is_none_of_the_childs(threads: Build) -> None:
    """A schedule that runs there as the process forks is due in the child."""
    tasks, gate = threads(), Gate()
    schedule = tasks.every(0.02, gate)
    assert gate.begun.wait(DEADLINE)

    def work() -> None:
        gate.open()
        tasks.pause(schedule)
        tasks.resume(schedule)
        wait_until(lambda: tasks.counts.done >= 3)

    assert status_of(fork(work)) == 0
    gate.open()


def _look(tasks: Any, pipe: Any) -> None:
    ran = threading.Event()
    tasks.every(0.01, ran.set)
    pipe.send((ran.wait(2), tasks.submit(double, 4).result(DEADLINE)))


@forks
def test_a_child_of_multiprocessing_runs_jobs_and_no_schedule(threads: Build) -> None:
    """It is made for some work of its own, and would take the lead from its parent."""
    tasks = threads()
    tasks.every(0.05, int)
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_look, args=(tasks, there))
    child.start()
    assert here.poll(DEADLINE)
    assert here.recv() == (False, 8)
    child.join(DEADLINE)
    assert child.exitcode == 0
    here.close()
    there.close()
