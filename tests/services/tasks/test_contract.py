"""What all tasks promise of a job: one suite for the twin, for threads and for dramatiq."""

from __future__ import annotations

import contextvars
import functools
import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

import quorum
from quorum.errors import Rejected, TimedOut, Unavailable, Unsupported
from quorum.services.tasks.base import Job
from tests.services.tasks import chores
from tests.services.tasks.chores import PLACE, Chore, Other, diary
from tests.services.tasks.engines import BROKERS, HERE, Distributed, engine_of

if TYPE_CHECKING:
    from contextlib import ExitStack

    from tests.services.tasks.engines import Engine


@pytest.fixture(params=HERE + BROKERS)
def engine(request: pytest.FixtureRequest, stack: ExitStack) -> Engine:
    """Give each driver in turn."""
    return engine_of(request, stack)


@pytest.fixture(params=HERE)
def here(request: pytest.FixtureRequest, stack: ExitStack) -> Engine:
    """Give each driver in turn that works in this process."""
    return engine_of(request, stack)


@pytest.fixture(params=BROKERS)
def distributed(request: pytest.FixtureRequest, stack: ExitStack) -> Engine:
    """Give dramatiq on each broker in turn."""
    return engine_of(request, stack)


@pytest.fixture
def tasks(engine: Engine) -> Any:
    """Give the tasks of each driver in turn."""
    return engine.build()


# A job


def test_a_function_is_called_with_its_arguments(engine: Engine, tasks: Any) -> None:
    """Positional ones and those with names come as they were given."""
    handle = tasks.submit(chores.keep, 1, "é", None, [True, {"a": 0.5}], word="🎉")
    engine.end(tasks, handle)
    assert [json.loads(line) for line in diary()] == [
        [[1, "é", None, [True, {"a": 0.5}]], {"word": "🎉"}]
    ]


def test_no_name_of_an_argument_is_taken(engine: Engine, tasks: Any) -> None:
    """A function may have parameters of the names that ours have."""
    names = ["self", "function", "moment", "at", "job", "id", "name", "args", "kwargs", "callback"]
    names += ["seconds", "line", "rule", "description", "timeout"]
    given: Any = dict.fromkeys(names, 1)
    for handle in (tasks.submit(chores.give, **given), tasks.at(0, chores.give, **given)):
        engine.end(tasks, handle)
        assert handle.result(0) == [[], given]


@pytest.mark.parametrize("value", [None, 0, "", "Größe 🎉\0", 2**70, [1, [None]], {"a": True}])
def test_a_result_comes_back(engine: Engine, tasks: Any, value: Any) -> None:
    """It is what the function returned, of its type."""
    found = engine.value(tasks, chores.echo, value)
    assert found == value
    assert type(found) is type(value)


def test_a_job_that_is_done_says_so(engine: Engine, tasks: Any) -> None:
    """It ended, raised nothing, and is done."""
    handle = tasks.submit(chores.note)
    engine.end(tasks, handle)
    assert handle.wait(0) is True
    assert handle.state == "done"
    assert handle.exception is None


def test_a_job_bears_the_name_of_its_function(engine: Engine, tasks: Any) -> None:
    """Unless it is given another."""
    assert tasks.submit(chores.note).name == "note"
    assert (
        tasks.enqueue(Job(chores.note, description="the nightly note")).name == "the nightly note"
    )


def test_each_job_has_an_id_of_its_own(engine: Engine, tasks: Any) -> None:
    """Two calls of one function are two jobs."""
    ids = [tasks.submit(chores.note).id for _ in range(20)]
    assert len(set(ids)) == 20
    assert all(isinstance(each, str) and each for each in ids)


def test_each_job_runs_once(engine: Engine, tasks: Any) -> None:
    """However many are submitted at once."""
    handles = [tasks.submit(chores.note, str(number)) for number in range(50)]
    engine.end(tasks, *handles)
    assert sorted(diary(), key=int) == [str(number) for number in range(50)]


def test_threads_may_submit_at_once(engine: Engine, tasks: Any) -> None:
    """Of what eight threads submit nothing is lost, nor run twice."""
    handles: list[Any] = []

    def submit(thread: int) -> None:
        handles.extend(tasks.submit(chores.note, f"{thread}-{each}") for each in range(10))

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.end(tasks, *handles)
    assert sorted(diary()) == sorted(f"{one}-{other}" for one in range(8) for other in range(10))


def test_what_waits_is_queued(here: Engine) -> None:
    """It has not ended, and has raised nothing."""
    tasks = here.build(threads=1)
    go_on = threading.Event()
    tasks.submit(go_on.wait, 15)
    handle = tasks.submit(chores.note)
    assert (handle.state, handle.exception, handle.wait(0)) == ("queued", None, False)
    go_on.set()
    here.end(tasks, handle)
    assert handle.state == "done"


def test_a_wait_ends_in_time(here: Engine) -> None:
    """It tells that the job has not ended; the result raises TimedOut, which names the job."""
    tasks = here.build(threads=1)
    go_on = threading.Event()
    tasks.submit(go_on.wait, 15)
    handle = tasks.submit(chores.note)
    start = time.monotonic()
    assert handle.wait(0.1) is False
    with pytest.raises(TimedOut, match="note"):
        handle.result(0.1)
    assert time.monotonic() - start < 6
    go_on.set()


def test_nobody_works_unless_there_is_a_worker(distributed: Engine) -> None:
    """What a broker keeps is queued until one comes."""
    tasks = distributed.build()
    handle = tasks.submit(chores.note)
    assert (handle.state, handle.wait(0.2), diary()) == ("queued", False, [])
    with pytest.raises(TimedOut, match="note"):
        handle.result(0.1)
    distributed.end(tasks, handle)
    assert diary() == ["noted"]


# Failures


def test_a_job_that_raises_has_failed(here: Engine) -> None:
    """Its result raises what it raised, however often it is asked for."""
    tasks = here.build()
    handle = tasks.submit(chores.fail)
    here.end(tasks, handle)
    assert handle.state == "failed"
    assert isinstance(handle.exception, ValueError)
    for _ in range(2):
        with pytest.raises(ValueError, match="the chore is broken") as caught:
            handle.result(0)
        assert caught.value is handle.exception


@pytest.mark.parametrize("function", [chores.fail, chores.leave], ids=["raises", "exits"])
def test_a_job_that_fails_harms_no_other(engine: Engine, function: Any) -> None:
    """Those after it run, on the same thread too."""
    tasks = engine.build(threads=1)
    for _ in range(3):
        tasks.submit(function)
    after = [tasks.submit(chores.note, f"after {number}") for number in range(3)]
    engine.end(tasks, *after)
    assert [each.state for each in after] == ["done"] * 3


def test_a_callback_hears_of_the_end(engine: Engine, tasks: Any) -> None:
    """It is called once, with no error."""
    engine.end(tasks, tasks.enqueue(Job(chores.note, callback=chores.called_back)))
    engine.settle(tasks, lambda: len(diary()) == 2)
    assert diary() == ["noted", "called back with NoneType"]


def test_a_callback_hears_of_a_failure(here: Engine) -> None:
    """It is called with what the job raised, be it an exit."""
    tasks = here.build()
    for function in (chores.fail, chores.leave):
        here.end(tasks, tasks.enqueue(Job(function, callback=chores.called_back)))
    expected = ["failed", "called back with ValueError", "left", "called back with SystemExit"]
    here.settle(tasks, lambda: diary() == expected)


def test_a_callback_that_raises_harms_no_other(engine: Engine) -> None:
    """The job that it is called after is done, and the next one runs."""
    tasks = engine.build(threads=1)
    handle = tasks.enqueue(Job(chores.add, (1, 2), callback=chores.failing_callback))
    after = tasks.submit(chores.note)
    engine.end(tasks, handle, after)
    assert (handle.state, handle.result(0), after.state) == ("done", 3, "done")


def test_a_failure_is_logged(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """One line, with the job's name and id and the traceback, and without its arguments."""
    tasks = engine.build()
    handle = tasks.submit(chores.fail, "marker-of-a-secret")
    engine.settle(tasks, lambda: any(record.exc_info for record in _records(caplog)))
    found = next(record for record in _records(caplog) if record.exc_info)
    assert found.levelno == logging.ERROR
    assert handle.id in found.getMessage()
    assert "fail" in found.getMessage()
    text = caplog.text
    assert "Traceback" in text
    assert "ValueError: the chore is broken" in text
    assert "marker-of-a-secret" not in text


def test_a_failing_callback_is_logged(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """As a failure is."""
    tasks = engine.build()
    engine.end(tasks, tasks.enqueue(Job(chores.note, callback=chores.failing_callback)))
    engine.settle(tasks, lambda: "RuntimeError: the callback is broken" in caplog.text)
    assert all(record.name == "quorum.tasks" for record in _records(caplog))


def _records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.name.startswith("quorum.tasks")]


def test_no_handle_shows_an_argument(engine: Engine, tasks: Any) -> None:
    """It may be printed."""
    handle = tasks.submit(chores.give, "marker-of-a-secret")
    assert "marker" not in repr(handle) + str(handle)
    assert handle.id in repr(handle)


# What is run


@pytest.mark.parametrize(
    "function",
    [None, 1, "tests.services.tasks.chores:note", chores.dream, functools.partial(chores.dream)],
    ids=["none", "number", "path", "coroutine function", "partial of one"],
)
def test_what_cannot_be_run_is_refused(tasks: Any, function: Any) -> None:
    """Whoever submits it hears of it, by every door."""
    with pytest.raises(Rejected):
        tasks.submit(function)
    with pytest.raises(Rejected):
        tasks.at(0, function)
    with pytest.raises(Rejected):
        tasks.every(1, function)
    with pytest.raises(Rejected):
        tasks.enqueue(Job(function))
    assert tasks.schedules in ([], ())


def test_a_callback_that_cannot_be_called_is_refused(tasks: Any) -> None:
    """It is not found out after the job."""
    callbacks: list[Any] = [1, chores.dream]
    for callback in callbacks:
        with pytest.raises(Rejected):
            tasks.enqueue(Job(chores.note, callback=callback))


LOCAL: dict[str, tuple[Any, Any]] = {
    "lambda": (lambda: "lambda", "lambda"),
    "partial": (functools.partial(chores.add, 1, 2), 3),
    "bound method": (Chore().method, "bound"),
    "instance": (Chore(), "called"),
    "builtin method": ("a-b".upper, "A-B"),
}


@pytest.mark.parametrize("kind", LOCAL)
def test_in_process_anything_callable_is_run(here: Engine, kind: str) -> None:
    """A function needs no name, nor a place."""
    function, value = LOCAL[kind]
    assert here.value(here.build(), function) == value


def test_in_process_a_closure_is_run(here: Engine) -> None:
    """It sees what it closes over."""
    seen: list[int] = []
    here.value(here.build(), lambda: seen.append(1))
    assert seen == [1]


@pytest.mark.parametrize("kind", LOCAL)
def test_what_cannot_travel_is_refused(distributed: Engine, kind: str) -> None:
    """The reason is in the error, at submit; nothing is sent."""
    tasks = distributed.build()
    with pytest.raises(Rejected, match=r"import path|module"):
        tasks.submit(LOCAL[kind][0])
    with pytest.raises(Rejected):
        tasks.enqueue(Job(chores.note, callback=lambda error: None))


@pytest.mark.parametrize(
    "argument",
    [object(), {1, 2}, b"marker", float("nan"), {1: 2}, datetime(2026, 1, 1, tzinfo=UTC)],
    ids=["object", "set", "bytes", "nan", "key", "moment"],
)
def test_an_argument_that_would_not_arrive_as_it_is_is_refused(
    distributed: Engine, argument: Any
) -> None:
    """On a broker it is JSON; the error names the reason, and not the argument."""
    tasks = distributed.build()
    for args, kwargs in (((argument,), {}), ((), {"word": argument}), (([argument],), {})):
        with pytest.raises(Rejected, match="JSON") as caught:
            tasks.submit(chores.give, *args, **kwargs)
        assert "marker" not in str(caught.value)


def test_functions_of_one_name_are_told_apart(engine: Engine, tasks: Any) -> None:
    """Those of two classes, or of two modules."""
    assert engine.value(tasks, chores.twin) == "one"
    assert engine.value(tasks, Other.twin) == "other"
    assert engine.value(tasks, Chore.static) == "static"


def test_lambdas_of_one_place_are_told_apart(here: Engine) -> None:
    """Each is the one that was submitted."""
    tasks = here.build()
    handles = [tasks.submit(lambda number=number: number) for number in range(5)]
    here.end(tasks, *handles)
    assert [each.result(0) for each in handles] == list(range(5))


# Where it is run


def test_a_job_runs_inside_the_scope(engine: Engine) -> None:
    """It is entered for each, and left after it, be it that it failed."""
    tasks = engine.build(scope=chores.room)
    assert engine.value(tasks, chores.where) == "the room"
    tasks.submit(chores.fail)
    engine.settle(tasks, lambda: diary()[-1:] == ["leave"] and "failed" in diary())
    assert diary()[:5] == ["enter", "leave", "enter", "failed", "leave"]


def test_a_job_does_not_see_its_submitters_context(engine: Engine, tasks: Any) -> None:
    """Context variables of a request are that request's."""

    def submit() -> Any:
        PLACE.set("a request")
        handle = tasks.submit(chores.where)
        engine.end(tasks, handle)
        return handle.result(0)

    assert contextvars.copy_context().run(submit) == "nowhere"


def test_a_scope_that_raises_fails_the_job(here: Engine) -> None:
    """And no other."""
    rooms = iter([False, True])

    def scope() -> Any:
        if next(rooms):
            return chores.room()
        raise RuntimeError("there is no room")

    tasks = here.build(scope=scope, threads=1)
    first, second = tasks.submit(chores.where), tasks.submit(chores.where)
    here.end(tasks, first, second)
    assert (first.state, second.state) == ("failed", "done")


def test_a_job_may_submit_another(engine: Engine, tasks: Any, monkeypatch: Any) -> None:
    """Also where it is the only one that can run."""
    monkeypatch.setattr(chores, "TASKS", tasks)
    engine.value(tasks, chores.hand_on, 3)
    engine.settle(tasks, lambda: diary() == ["3", "2", "1", "0"])


# Moments


def test_a_job_waits_for_its_moment(engine: Engine, tasks: Any) -> None:
    """It is scheduled until then, and runs after it."""
    moment = time.time() + 3
    handle = tasks.at(moment, chores.note)
    assert handle.state == "scheduled"
    engine.settle(tasks, diary)
    assert time.time() >= moment - 0.001
    engine.end(tasks, handle)
    assert diary() == ["noted"]


def test_a_moment_is_aware_in_any_zone(engine: Engine, tasks: Any) -> None:
    """What counts is when it is."""
    zone = timezone(timedelta(hours=-11))
    soon = tasks.at(datetime.now(zone) + timedelta(seconds=0.3), chores.note, "soon")
    late = tasks.at(datetime.now(zone) + timedelta(hours=1), chores.note, "late")
    engine.end(tasks, soon)
    assert (soon.state, late.state, diary()) == ("done", "scheduled", ["soon"])


@pytest.mark.parametrize("moment", [0, -5.5, 1e9, datetime(1970, 1, 2, tzinfo=UTC)], ids=str)
def test_the_past_is_now(engine: Engine, tasks: Any, moment: Any) -> None:
    """It is not late for a job of a moment that is past."""
    handle = tasks.at(moment, chores.note)
    engine.end(tasks, handle)
    assert diary() == ["noted"]


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2040, 1, 1),  # noqa: DTZ001 - what is refused
        None,
        "tomorrow",
        float("nan"),
        float("inf"),
        True,
        timedelta(1),
        10**400,
    ],
    ids=["naive", "none", "text", "nan", "inf", "true", "delta", "huge"],
)
def test_what_is_no_moment_is_refused(tasks: Any, moment: Any) -> None:
    """One without a time zone above all; only `enqueue` takes None, which is now."""
    with pytest.raises(Rejected):
        tasks.at(moment, chores.note)


# Cancelling


def test_a_job_that_is_cancelled_does_not_run(engine: Engine) -> None:
    """It says so, its result raises Unavailable, and those after it run."""
    tasks = engine.build()
    moment = time.time() + 3
    handle = tasks.at(moment, chores.note, "cancelled")
    assert handle.cancel() is True
    after = tasks.at(moment + 0.2, chores.note, "after")
    engine.end(tasks, after)
    assert diary() == ["after"]
    assert (handle.state, handle.wait(0), handle.exception) == ("cancelled", True, None)
    with pytest.raises(Unavailable, match="cancel"):
        handle.result(0)


def test_what_has_ended_cannot_be_cancelled(engine: Engine, tasks: Any) -> None:
    """It stays what it is."""
    handle = tasks.submit(chores.note)
    engine.end(tasks, handle)
    assert (handle.cancel(), handle.state) == (False, "done")


def test_what_was_cancelled_never_runs_and_all_else_does(engine: Engine) -> None:
    """Whether or not it is taken just then."""
    tasks = engine.build(threads=2)
    handles = [tasks.submit(chores.note, str(number)) for number in range(60)]
    engine.end(tasks, handles[0])
    cancelled = {str(number) for number, handle in enumerate(handles) if handle.cancel()}
    engine.end(tasks, *handles)
    assert sorted(diary()) == sorted({str(number) for number in range(60)} - cancelled)


@pytest.mark.live("amqp")
def test_without_redis_a_handle_says_that_it_cannot_know(amqp_server: Any, stack: Any) -> None:
    """On RabbitMQ alone the work is done; what became of it is nowhere, and the error says so."""
    engine = Distributed(stack, None, amqp_server.url)
    tasks = engine.build()
    handle = tasks.submit(chores.note)
    asked: list[Any] = [lambda: handle.state, lambda: handle.wait(1), lambda: handle.result(1)]
    for ask in asked:
        with pytest.raises(Unsupported, match="REDIS_URL"):
            ask()
    engine.settle(tasks, diary)
    assert diary() == ["noted"]


# Counts, limit and end


def test_jobs_are_counted(here: Engine) -> None:
    """Those that wait, those that were done and those that failed."""
    tasks = here.build()
    assert tuple(tasks.counts) == (0, 0, 0, 0, 0)
    handles = [tasks.submit(chores.note), tasks.submit(chores.fail), tasks.submit(chores.note)]
    later = tasks.at(time.time() + 3600, chores.note)
    here.end(tasks, *handles)
    here.settle(tasks, lambda: tuple(tasks.counts) == (1, 0, 2, 1, 0))
    later.cancel()
    assert tasks.counts.queued == 0


def test_work_is_counted_where_it_is_done(distributed: Engine) -> None:
    """By the process of the workers."""
    tasks = distributed.build()
    distributed.end(tasks, tasks.submit(chores.note), tasks.submit(chores.note))
    distributed.settle(tasks, lambda: tuple(tasks.counts) == (0, 0, 2, 0, 0))


def test_a_full_queue_refuses(here: Engine) -> None:
    """What waits for its moment counts; the error names the setting; refusals are counted."""
    tasks = here.build(limit=2)
    waiting = [tasks.at(time.time() + 3600, chores.note) for _ in range(2)]
    doors: list[Any] = [lambda: tasks.submit(chores.note), lambda: tasks.at(9e9, chores.note)]
    for refused in doors:
        with pytest.raises(Unavailable, match="TASKS_LIMIT"):
            refused()
    assert (tasks.counts.queued, tasks.counts.dropped) == (2, 2)
    waiting[0].cancel()
    here.value(tasks, chores.note, "there is room again")
    assert diary() == ["there is room again"]


def test_tasks_that_work_answer_a_ping(tasks: Any) -> None:
    """It returns."""
    tasks.ping()


def test_closed_tasks_take_no_work(tasks: Any) -> None:
    """By no door; nor do they answer a ping. Closing again is a no-op."""
    tasks.close()
    for door in (
        lambda: tasks.submit(chores.note),
        lambda: tasks.at(0, chores.note),
        lambda: tasks.every(1, chores.note),
        lambda: tasks.cron("* * * * *", chores.note),
        tasks.ping,
    ):
        with pytest.raises(Unavailable, match="closed"):
            door()
    assert list(tasks.close()) == []


def test_closing_lets_what_was_submitted_end(threads: Any) -> None:
    """On threads: what runs and what waits for one."""
    tasks = threads(threads=2)
    handles = [tasks.submit(chores.last, 0.05, str(number)) for number in range(6)]
    assert list(tasks.close(10)) == []
    assert [each.state for each in handles] == ["done"] * 6


def test_closing_tells_what_is_left(here: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """By name; what waited is dropped, what waited for its moment too, and it is logged."""
    tasks = here.build(threads=1)
    go_on = threading.Event()
    running = tasks.enqueue(Job(go_on.wait, (15,), description="long"))
    waiting = tasks.enqueue(Job(chores.note, description="waiting"))
    later = tasks.enqueue(Job(chores.note, description="later"), at=time.time() + 3600)
    start = time.monotonic()
    left = tasks.close(0.2)
    assert time.monotonic() - start < 6
    assert {"waiting", "later"} <= set(left)
    assert [waiting.state, later.state, tasks.counts.queued] == ["dropped", "dropped", 0]
    assert tasks.counts.dropped >= 2
    with pytest.raises(Unavailable):
        waiting.result(1)
    assert all(name in caplog.text for name in left)
    go_on.set()
    assert running.wait(5)
    assert diary() == []


def test_a_broker_keeps_what_waits(distributed: Engine) -> None:
    """Closing reports nothing, and another process of the application runs it."""
    tasks = distributed.build(name="kept-by-the-broker")
    tasks.submit(chores.note, "kept")
    tasks.at(time.time() + 1, chores.note, "kept for its moment")
    assert list(tasks.close(1)) == []
    other = distributed.build(name="kept-by-the-broker")
    distributed.settle(other, lambda: len(diary()) == 2)
    assert diary() == ["kept", "kept for its moment"]


# In an application


@pytest.fixture(params=["eager", "threads", *BROKERS])
def application(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load an application for each setting of TASKS in turn."""
    name = request.param
    if name not in {"eager", "threads"}:
        monkeypatch.setenv("REDIS_URL", request.getfixturevalue("redis_server").url)
        name = "dramatiq"
    if request.param == "rabbitmq":
        monkeypatch.setenv("AMQP_URL", request.getfixturevalue("amqp_server").url)
    monkeypatch.setenv("TASKS", name)
    return quorum.load(name=f"shop-{request.param}")


def test_a_job_runs_in_the_applications_context_with_injection(application: Any) -> None:
    """It sees the application, and is given services."""
    tasks = application.container.tasks()
    handle = tasks.submit(chores.look_around, "é")
    workers = tasks.work(1) if hasattr(tasks, "work") else None
    try:
        assert handle.result(15) == ["é", application.name, True]
    finally:
        if workers is not None:
            workers.stop(5)


def test_eager_work_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With TASKS=eager `submit` returns when the job has ended, which raises nothing here."""
    monkeypatch.setenv("TASKS", "eager")
    tasks = quorum.load(name="shop").container.tasks()
    assert tasks.submit(chores.add, 1, 2).state == "done"
    assert tasks.submit(chores.fail).state == "failed"
    assert tasks.at(time.time() + 3600, chores.note).state == "scheduled"
