"""Jobs on threads of this process: what one does to another, and to its caller."""

from __future__ import annotations

import contextvars
import gc
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import TimedOut
from quorum.services.tasks.base import TaskCounts
from tests.services.tasks.gates import DEADLINE, Gate, threads_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.tasks.threads import ThreadTasks

    Build = Callable[..., ThreadTasks]


def double(number: int) -> int:
    return 2 * number


def test_there_is_no_thread_before_the_first_job(tasks: ThreadTasks) -> None:
    """Nor for anything but jobs."""
    tasks.ping()
    assert tasks.counts == TaskCounts()
    assert threads_of(tasks) == []


def test_one_job_after_the_other_needs_one_thread(tasks: ThreadTasks) -> None:
    """Another is started where all are busy, up to TASKS_THREADS."""
    for number in range(20):
        assert tasks.submit(double, number).result(DEADLINE) == 2 * number
        wait_until(lambda: not tasks.counts.running)
    assert len(threads_of(tasks)) == 1


def test_no_more_threads_are_started_than_are_set(threads: Build) -> None:
    """What is submitted beyond waits for its turn."""
    tasks, gate = threads(threads=3), Gate()
    handles = [tasks.submit(gate) for _ in range(10)]
    wait_until(lambda: tasks.counts.running == 3)
    assert tasks.counts.queued == 7
    assert len(threads_of(tasks)) == 3
    gate.open()
    assert [each.result(DEADLINE) for each in handles] == ["passed"] * 10


def test_a_long_job_delays_no_other(threads: Build) -> None:
    """Short ones run beside it, also those at a moment."""
    tasks, gate = threads(threads=2), Gate()
    tasks.submit(gate)
    assert gate.begun.wait(DEADLINE)
    assert all(tasks.submit(double, each).result(DEADLINE) == 2 * each for each in range(50))
    assert tasks.at(time.time() + 0.05, double, 4).result(DEADLINE) == 8
    assert tasks.counts.running == 1
    gate.open()


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_a_job_sees_no_variable_of_its_submitter_or_of_another_job(threads: Build) -> None:
    """Each has a context of its own."""
    tasks = threads(threads=1)
    variable.set("the submitter's")

    def look_and_set() -> str:
        seen = variable.get()
        variable.set("a job's")
        return seen

    assert [tasks.submit(look_and_set).result(DEADLINE) for _ in range(2)] == ["unset"] * 2


def test_jobs_submit_jobs(threads: Build) -> None:
    """A tree of them ends, on fewer threads than it has levels."""
    tasks, leaves = threads(threads=2), []

    def branch(depth: int) -> None:
        if depth == 0:
            leaves.append(1)
            return
        tasks.submit(branch, depth - 1)
        tasks.submit(branch, depth - 1)

    tasks.submit(branch, 8)
    wait_until(lambda: len(leaves) == 256)


def test_a_thousand_threads_submit(threads: Build) -> None:
    """Each job runs once, and is counted once."""
    tasks, ran, lock = threads(), [], threading.Lock()

    def note(number: int) -> None:
        with lock:
            ran.append(number)

    start = threading.Barrier(1000)

    def submit(number: int) -> None:
        start.wait(DEADLINE)
        for each in range(5):
            tasks.submit(note, number * 5 + each)

    submitters = [threading.Thread(target=submit, args=(each,)) for each in range(1000)]
    for each in submitters:
        each.start()
    for each in submitters:
        each.join(DEADLINE)
    wait_until(lambda: tasks.counts == TaskCounts(done=5000))
    assert sorted(ran) == list(range(5000))


def test_a_job_that_waits_for_another_on_the_only_thread_is_bounded_by_its_timeout(
    threads: Build,
) -> None:
    """The other runs after it."""
    tasks, others = threads(threads=1), []

    def wait() -> None:
        others.append(tasks.submit(double, 4))
        others[0].result(0.1)

    handle = tasks.submit(wait)
    with pytest.raises(TimedOut, match=r"the job double \(.*\) did not end within 0.1 s"):
        handle.result(DEADLINE)
    assert others[0].result(DEADLINE) == 8


def test_what_a_job_was_called_with_is_let_go_of(threads: Build) -> None:
    """At its end, by the handle and by the thread that waits for the next."""

    class Argument:
        """Something big."""

    tasks, argument = threads(threads=1), Argument()
    gone = weakref.ref(argument)
    handle = tasks.submit(lambda _: None, argument)
    assert handle.wait(DEADLINE)
    del argument
    wait_until(lambda: gone() is None)


def test_idle_threads_use_no_processor(threads: Build) -> None:
    """They are blocked, and so is the one that waits for a moment."""
    tasks = threads(threads=4)
    gate = Gate()
    handles = [tasks.submit(gate) for _ in range(4)]
    gate.open()
    assert all(each.wait(DEADLINE) for each in handles)
    tasks.at(time.time() + 3600, double, 1)
    before = time.process_time()
    threading.Event().wait(1)
    assert time.process_time() - before < 0.2


def test_tasks_that_nobody_holds_leave_no_thread_behind(threads: Build) -> None:
    """Threads that wait do not keep the application alive that scope() belongs to."""
    from contextlib import nullcontext  # noqa: PLC0415

    from quorum.services.tasks.threads import ThreadTasks  # noqa: PLC0415
    from quorum.settings import TasksSettings  # noqa: PLC0415

    class Application:
        def scope(self) -> Any:
            return nullcontext()

    application = Application()
    tasks = ThreadTasks(TasksSettings(), name="test-gone", scope=application.scope)
    application.tasks = tasks  # type: ignore[attr-defined]
    tasks.every(3600, double, 1)
    assert tasks.submit(double, 4).result(DEADLINE) == 8
    gone = weakref.ref(application)
    del tasks, application
    wait_until(lambda: gc.collect() >= 0 and gone() is None)
    wait_until(lambda: not [each for each in threading.enumerate() if "test-gone" in each.name])
