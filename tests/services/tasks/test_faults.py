"""What jobs do to background work that fail, are many or are long: rows W2, W4 and W5."""

from __future__ import annotations

import logging
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Unavailable
from quorum.services.tasks.base import Job
from quorum.services.tasks.memory import MemoryTasks
from quorum.services.tasks.schedule.rules import Every
from quorum.services.tasks.threads import ThreadTasks
from tests.services.tasks import chores
from tests.services.tasks.chores import diary
from tests.services.tasks.gates import Gate
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., ThreadTasks]


# W2: jobs that fail


class _Unsayable(Exception):
    """An exception that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class _Hollow(Exception):
    """An exception that counts as false."""

    def __bool__(self) -> bool:
        return False


class _Base(BaseException):
    """What `except Exception` does not see."""


def _raises(error: BaseException) -> Callable[[], None]:
    def job() -> None:
        raise error

    return job


def _recurse() -> None:
    _recurse()


class _Nameless:
    """A callable that has no name, and refuses to be printed."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __call__(self) -> None:
        raise ValueError("nameless")


FAILING: dict[str, Callable[[], Any]] = {
    "exception": _raises(ValueError("broken")),
    "exit": _raises(SystemExit(3)),
    "exit in success": _raises(SystemExit(0)),
    "ctrl-c": _raises(KeyboardInterrupt()),
    "generator exit": _raises(GeneratorExit()),
    "stop iteration": _raises(StopIteration(1)),
    "base": _raises(_Base()),
    "group": _raises(ExceptionGroup("two", [ValueError(1), KeyError(2)])),
    "unsayable": _raises(_Unsayable()),
    "hollow": _raises(_Hollow()),
    "recursion": _recurse,
    "nameless": _Nameless(),
}


class OneThread:
    """Submits a job to tasks with one thread, and returns its handle when it has ended."""

    def __init__(self, tasks: Any) -> None:
        self.tasks = tasks

    def __call__(self, job: Job) -> Any:
        handle = self.tasks.enqueue(job)
        if isinstance(self.tasks, MemoryTasks):
            self.tasks.run_due()
        assert handle.wait(10)
        return handle


@pytest.fixture(params=["threads", "twin"])
def run(request: pytest.FixtureRequest) -> OneThread:
    """Give what runs a job on one thread, of each driver in turn."""
    tasks = request.getfixturevalue(request.param)(threads=1)

    return OneThread(tasks)


@pytest.mark.parametrize("kind", FAILING)
def test_the_next_job_runs(run: OneThread, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a job raises is counted and logged, and the thread lives."""
    handle = run(Job(FAILING[kind]))
    assert handle.state == "failed"
    assert handle.exception is not None
    assert run(Job(chores.add, (1, 2))).result(0) == 3
    wait_until(lambda: tuple(run.tasks.counts) == (0, 0, 1, 1, 0))
    assert handle.id in caplog.text


@pytest.mark.parametrize("kind", FAILING)
def test_a_callback_may_raise_anything(
    run: OneThread, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After a job that failed as well: both failures are logged, and the thread lives."""
    run(Job(_raises(LookupError("the job's own")), callback=lambda error: FAILING[kind]()))
    assert run(Job(chores.add, (1, 2))).result(0) == 3
    errors = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert len(errors) == 2, errors
    assert errors[0] is LookupError


def test_a_log_that_raises_harms_no_job(run: OneThread) -> None:
    """A filter of the user's own may be broken."""

    def broken(record: logging.LogRecord) -> bool:
        raise RuntimeError("the filter is broken")

    logger = logging.getLogger("quorum.tasks")
    logger.addFilter(broken)
    try:
        assert run(Job(FAILING["exception"])).state == "failed"
        assert run(Job(chores.add, (1, 2))).result(0) == 3
    finally:
        logger.removeFilter(broken)


def test_schedules_outlive_what_they_run(threads: Build) -> None:
    """Each way to fail, again and again, beside one that is well."""
    tasks = threads()
    for name, function in FAILING.items():
        tasks.repeat(Job(function, description=name), Every(0.1))
    tasks.every(0.1, chores.note)
    wait_until(lambda: tasks.counts.failed >= 3 * len(FAILING) and len(diary()) >= 3)


# W4: more work than can be done


@pytest.mark.parametrize("when", ["now", "later"])
def test_a_full_queue_takes_no_memory(threads: Build, when: str) -> None:
    """What is refused leaves nothing behind, of 20,000 offers."""
    tasks, gate = threads(threads=1, limit=100), Gate()
    tasks.submit(gate)
    assert gate.begun.wait(5)

    def offer(times: int) -> int:
        refused = 0
        for _ in range(times):
            try:
                tasks.submit(int) if when == "now" else tasks.at(9e9, int)
            except Unavailable:
                refused += 1
        return refused

    offer(1000)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    assert offer(20_000) == 20_000
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gate.open()
    assert after - before < 100_000
    assert (tasks.counts.queued, tasks.counts.dropped) == (100, 20_900) or when == "now"


def test_what_has_ended_takes_no_memory(threads: Build) -> None:
    """Nor what was cancelled, of 5,000 jobs each."""
    tasks = threads()

    def use(times: int) -> None:
        for _ in range(times):
            tasks.submit(len, bytes(1000)).wait(10)
            tasks.at(9e9, len, bytes(1000)).cancel()
            tasks.cancel(tasks.every(3600, len, bytes(1000)))

    use(200)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    use(2_000)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 2_000 * 200


# W5: long jobs


def test_a_long_job_holds_up_no_other(threads: Build) -> None:
    """Neither what is submitted, nor what has a moment or is due again."""
    tasks, gate = threads(threads=2), Gate()
    long = tasks.submit(gate)
    assert gate.begun.wait(5)
    tasks.every(0.1, chores.note, "schedule")
    assert tasks.submit(chores.note, "now").wait(5)
    assert tasks.at(time.time() + 0.2, chores.note, "moment").wait(5)
    wait_until(lambda: diary().count("schedule") >= 2)
    assert long.state == "running"
    gate.open()


def test_a_long_run_of_a_schedule_holds_up_no_other(threads: Build) -> None:
    """Each has a thread of its own while it runs."""
    tasks, gate = threads(threads=2), Gate()
    tasks.every(0.1, gate)
    assert gate.begun.wait(10)
    tasks.every(0.1, chores.note)
    wait_until(lambda: len(diary()) >= 2)
    gate.open()


def test_what_waited_for_a_thread_runs_when_one_is_free(threads: Build) -> None:
    """In the order in which it was submitted, with all threads taken."""
    tasks, gate = threads(threads=1), Gate()
    tasks.submit(gate)
    tasks.every(0.1, chores.note, "schedule")
    late = tasks.at(time.time() + 0.1, chores.note, "moment")
    assert gate.begun.wait(5)
    assert late.wait(0.5) is False
    gate.open()
    assert late.wait(5)
    wait_until(lambda: diary().count("schedule") >= 2)
