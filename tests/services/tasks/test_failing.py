"""Jobs on threads that end badly, and harm no other."""

from __future__ import annotations

import functools
import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Unavailable
from quorum.services.tasks.base import Job, TaskCounts
from tests.services.tasks.gates import DEADLINE, Gate
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quorum.services.tasks.threads import ThreadTasks

    Build = Callable[..., ThreadTasks]


def double(number: int) -> int:
    return 2 * number


class Refusing(BaseException):
    """An exception that cannot even be printed."""

    def __str__(self) -> str:
        raise ValueError


ENDINGS = [ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Refusing()]


@pytest.mark.parametrize("error", ENDINGS, ids=lambda each: type(each).__name__)
def test_a_job_that_ends_badly_harms_no_other(
    threads: Build, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback, name and id, and counted; the next runs on that thread."""
    tasks = threads(threads=1)

    def end() -> None:
        raise error

    handle = tasks.submit(end)
    assert tasks.submit(double, 4).result(DEADLINE) == 8
    assert (handle.state, handle.exception) == ("failed", error)
    assert (tasks.counts.done, tasks.counts.failed) == (1, 1)
    assert f"the job end ({handle.id}) failed" in caplog.text
    assert "raise error" in caplog.text
    with pytest.raises(type(error)):
        handle.result(DEADLINE)


@pytest.mark.parametrize("error", ENDINGS, ids=lambda each: type(each).__name__)
def test_a_callback_that_ends_badly_harms_no_other(
    threads: Build, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged as the job's own failure would be; the job ended as its function did."""
    tasks = threads(threads=1)

    def end(error: Any) -> None:
        raise failure

    failure = error
    handle = tasks.enqueue(Job(double, [4], callback=end))
    assert tasks.submit(double, 4).result(DEADLINE) == 8
    assert (handle.state, handle.result()) == ("done", 8)
    assert tasks.counts == TaskCounts(done=2)
    assert f"the callback of double ({handle.id}) failed" in caplog.text


def test_a_log_that_fails_harms_no_other(threads: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a job that fails and cannot be logged takes its thread along."""
    tasks = threads(threads=1)
    log = logging.getLogger("quorum.tasks")

    def refuse(_: Any) -> bool:
        raise OSError("the disk is full")

    monkeypatch.setattr(log, "filters", [refuse])
    handle = tasks.submit(double, None)
    assert handle.wait(DEADLINE)
    assert handle.state == "failed"
    assert tasks.submit(double, 4).result(DEADLINE) == 8
    assert tasks.counts == TaskCounts(done=1, failed=1)


def test_the_log_holds_no_argument(tasks: ThreadTasks, caplog: pytest.LogCaptureFixture) -> None:
    """They may be passwords."""

    def fail(_: str, *, password: str) -> None:
        raise ValueError("it failed")

    handle = tasks.submit(fail, "s3cret", password="s3cret")
    assert handle.wait(DEADLINE)
    assert "it failed" in caplog.text
    assert "s3cret" not in caplog.text + repr(handle)


def test_a_function_that_returns_a_coroutine_failed(tasks: ThreadTasks) -> None:
    """It did not do its work; no warning of Python's is left behind."""

    async def work() -> None:
        """Never run."""

    handle = tasks.submit(functools.partial(lambda each: each(), work))
    with pytest.raises(TypeError, match="returned a coroutine"):
        handle.result(DEADLINE)


def test_the_callback_is_called_with_what_became_of_the_job(tasks: ThreadTasks) -> None:
    """With `error=None`, or the exception; on the same thread, before the job has ended."""
    called: list[Any] = []

    def note(error: BaseException | None) -> None:
        called.append((error, threading.current_thread()))

    on: list[threading.Thread] = []
    assert tasks.enqueue(Job(lambda: on.append(threading.current_thread()), callback=note)).wait(
        DEADLINE
    )
    failed = tasks.enqueue(Job(double, [None], callback=note))
    assert failed.wait(DEADLINE)
    assert called == [(None, on[0]), (failed.exception, on[0])]


def test_function_and_callback_each_have_a_scope_of_their_own(threads: Build) -> None:
    """That of the function is told of its error."""
    seen: list[Any] = []

    @contextmanager
    def scope() -> Iterator[None]:
        seen.append("in")
        try:
            yield
        except TypeError:
            seen.append("error")
            raise
        finally:
            seen.append("out")

    tasks = threads(scope=scope)
    job = Job(double, [None], callback=lambda error: seen.append("callback"))
    assert tasks.enqueue(job).wait(DEADLINE)
    assert seen == ["in", "error", "out", "in", "callback", "out"]


def test_a_scope_that_fails_is_a_failure_of_the_job(threads: Build) -> None:
    """The next one runs."""
    failing = [OSError("no context")]

    @contextmanager
    def scope() -> Iterator[None]:
        if failing:
            raise failing.pop()
        yield

    tasks = threads(scope=scope, threads=1)
    first = tasks.submit(double, 4)
    assert tasks.submit(double, 4).result(DEADLINE) == 8
    assert first.state == "failed"


@pytest.fixture
def exhausted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the system give no thread any more."""

    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_without_any_thread_a_job_is_refused(tasks: ThreadTasks, exhausted: None) -> None:
    """The error says why; it is counted, and does not wait for ever."""
    for submit in (tasks.submit, functools.partial(tasks.at, time.time() + 60)):
        with pytest.raises(Unavailable, match=r"no thread can be started.*can't start new thread"):
            submit(double, 4)
    assert tasks.counts == TaskCounts(dropped=2)


def test_the_threads_there_are_do_the_work_of_those_that_cannot_be_started(
    tasks: ThreadTasks, request: pytest.FixtureRequest
) -> None:
    """Jobs wait for their turn a little longer."""
    gate = Gate()
    tasks.submit(gate)
    assert gate.begun.wait(DEADLINE)
    request.getfixturevalue("exhausted")
    handles = [tasks.submit(double, each) for each in range(3)]
    gate.open()
    assert [each.result(DEADLINE) for each in handles] == [0, 2, 4]


def test_a_job_at_a_moment_that_finds_no_thread_is_dropped(
    tasks: ThreadTasks, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and whoever waits is told."""
    handle = tasks.at(time.time() + 0.1, double, 4)
    request.getfixturevalue("exhausted")
    with pytest.raises(Unavailable, match="was dropped"):
        handle.result(DEADLINE)
    assert tasks.counts == TaskCounts(dropped=1)
    wait_until(lambda: "double was due, and could not be begun" in caplog.text)
