"""The documented functions of background work."""

from __future__ import annotations

import gc
import importlib
import threading
import time
import weakref
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from flask import Flask, current_app, has_request_context

import quorum
from quorum import Container, Mailer, NotLoaded, PerRequest, Provide, Rejected, inject
from quorum.testing import fakes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import RedisServer

DEADLINE = 6
NOON = datetime(2026, 3, 4, 12, 0, 30, tzinfo=UTC)
calls: list[object] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    """Begin each test without calls."""
    calls.clear()


@pytest.fixture
def app() -> Flask:
    """The loaded application."""
    return quorum.load(app=Flask("shop"))


def note(*args: object, **kwargs: object) -> str:
    calls.append((args, kwargs) if kwargs else args)
    return "noted"


def fail() -> None:
    raise LookupError("not here")


def fail_with(_: str) -> None:
    fail()


def until(condition: Callable[[], bool]) -> bool:
    """Wait until something holds, for up to the deadline; tell whether it does."""
    end = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def names(app: Flask) -> list[tuple[str, str]]:
    """Return the schedules of an application: their names, and their rules."""
    return [(each.name, each.rule) for each in app.container.tasks().schedules]


def test_a_function_runs_in_the_background(app: Flask):
    """`run_background` calls a function on another thread, with its arguments."""
    handle = quorum.run_background(lambda *a, **k: (threading.get_ident(), a, k), [1], {"b": 2})
    ident, args, kwargs = handle.result(DEADLINE)
    assert ident != threading.get_ident()
    assert (args, kwargs) == ((1,), {"b": 2})


def test_it_has_two_names():
    """`run_back` is `run_background`, as documented."""
    assert quorum.run_back is quorum.run_background


def test_arguments_may_be_changed_afterwards(app: Flask):
    """What a caller does to the lists that were given is not the job's."""
    args: list[object] = ["as given"]
    with fakes(app) as twins:
        quorum.run_background(note, args)
        args.append("later")
        twins.tasks.run_due()
    assert calls == [("as given",)]


@pytest.mark.parametrize("moment", [NOON, NOON.timestamp()], ids=["datetime", "seconds"])
def test_target_time_is_when(app: Flask, moment: datetime | float):
    """With `target_time` a function is called then: Unix seconds, or an aware datetime."""
    with fakes(app) as twins:
        quorum.run_background(note, target_time=time.time() + 3600)
        assert twins.tasks.run_due() == 0
        assert twins.tasks.run_due(time.time() + 3601) == 1
        quorum.run_background(note, target_time=moment)
        assert twins.tasks.run_due(NOON) == 1


def test_the_callback_is_told_that_all_is_well(app: Flask):
    """After a function that returned, the callback is called with `error=None`."""
    told = []
    handle = quorum.run_background(note, callback=lambda **given: told.append(given))
    assert handle.wait(DEADLINE)
    assert told == [{"error": None}]


def test_the_callback_is_told_the_error(app: Flask):
    """After a function that raised, the callback is called with the exception."""
    told = []
    handle = quorum.run_background(fail, callback=lambda **given: told.append(given))
    assert handle.wait(DEADLINE)
    assert told == [{"error": handle.exception}]
    assert isinstance(handle.exception, LookupError)


def test_a_description_names_the_job(app: Flask, caplog: pytest.LogCaptureFixture):
    """A failure is logged under the description, without the arguments."""
    quorum.run_background(fail_with, ["marker-password"], description="a report").wait(DEADLINE)
    assert "the job a report" in caplog.text
    assert "LookupError" in caplog.text
    assert "marker-password" not in caplog.text


def test_a_job_has_the_context_of_the_application(app: Flask):
    """A job runs in the application's context, injected, and outside of any request."""

    @inject
    def look(mailer: Mailer = Provide[Container.mailer]) -> tuple[object, ...]:
        found = current_app._get_current_object()
        return found, mailer, has_request_context()

    with app.test_request_context():
        handle = quorum.run_background(look)
    assert handle.result(DEADLINE) == (app, app.container.mailer(), False)


def test_of_two_applications_the_active_one_runs_it(app: Flask):
    """Inside the context of an application its own tasks run the job."""
    other = quorum.init_app(Flask("other"))
    with app.app_context():
        handle = quorum.run_background(lambda: current_app.name)
    assert handle.result(DEADLINE) == "shop"
    quorum.unload(app)
    quorum.unload(other)


def test_objects_per_request_end_with_the_job():
    """An object per request lives as long as the job, and is told of its error."""
    ends: list[str] = []

    def opened() -> Iterator[str]:
        try:
            yield "session"
        except LookupError:
            ends.append("rolled back")
            raise
        ends.append("committed")

    class Shop(Container):
        session = PerRequest(opened)

    # Held: an application that nobody has is forgotten.
    _app = quorum.load(app=Flask("shop"), container=Shop)

    @inject
    def work(error: bool, found: str = Provide[Shop.session]) -> None:
        ends.append(found)
        if error:
            fail()

    for error in (False, True):
        quorum.run_background(work, [error]).wait(DEADLINE)
    assert ends == ["session", "committed", "session", "rolled back"]


def test_without_an_application_it_says_what_to_do():
    """Without a loaded application there is nothing that would run a job."""
    with pytest.raises(NotLoaded, match=r"quorum\.load"):
        quorum.run_background(note)


def test_jobs_end_before_the_services():
    """`unload` lets the jobs that run end, while the services they use are there."""
    app = quorum.load(app=Flask("shop"))
    running, end = threading.Event(), threading.Event()

    @inject
    def work(mailer: Mailer = Provide[Container.mailer]) -> None:
        running.set()
        end.wait(DEADLINE)
        mailer.send(to="ana@example.org", text="Done.")

    handle = quorum.run_background(work)
    assert running.wait(DEADLINE)
    mailer = app.container.mailer()
    threading.Timer(0.1, end.set).start()
    quorum.unload(app)
    assert handle.state == "done"
    mailer.assert_sent(times=1)


def test_background_stands_above_load():
    """A function under `background` is called once by every application that is loaded."""
    quorum.background()(lambda: calls.append(current_app.name))
    assert calls == []
    for name in ("left", "right"):
        quorum.load(app=Flask(name))
    assert until(lambda: sorted(calls) == ["left", "right"])


def test_background_may_stand_below_load(app: Flask):
    """A function that is declared after `load` is called at once."""

    @quorum.background()
    def work() -> None:
        calls.append(current_app.name)

    assert until(lambda: calls == ["shop"])


def test_background_needs_no_brackets(app: Flask):
    """`@background` without brackets is `@background()`, and leaves the function as it was."""
    assert quorum.background(note) is note
    assert until(lambda: calls == [()])


def test_background_with_timeout_goes_on(app: Flask):
    """With `timeout` a function is called at once, and that long after each end."""
    quorum.background(timeout=0.05)(lambda: calls.append(time.monotonic()))
    assert until(lambda: len(calls) >= 3)
    assert calls[1] - calls[0] > 0.04


def test_background_goes_on_after_an_error(app: Flask, caplog: pytest.LogCaptureFixture):
    """One that raises is called again, and each failure is logged."""
    quorum.background(timeout=0.01)(fail)
    assert until(lambda: caplog.text.count("the job fail") >= 2)


def test_two_functions_of_one_name_are_two():
    """Two functions of one name are both called."""

    def made(number: int) -> Callable[[], None]:
        return lambda: calls.append(number)

    for number in (1, 2):
        quorum.background()(made(number))
    quorum.load(app=Flask("shop"))
    assert until(lambda: sorted(calls) == [1, 2])


def test_no_execution_begins_nothing():
    """With `load(execution=False)` nothing is begun, and no thread started."""
    quorum.background(timeout=0.01)(note)
    quorum.background()(note)
    app = quorum.load(app=Flask("quiet"), execution=False)
    quorum.background()(note)
    quorum.minutes_work(note, initial=0)
    app.container.tasks().every(0.01, note)
    assert [each.name for each in threading.enumerate() if "quiet" in each.name] == []
    # As long as each of these would have taken, once begun.
    assert quorum.run_background(time.sleep, [0.1]).wait(DEADLINE)
    assert calls == []


def test_no_execution_lists_the_schedules_that_are_made():
    """With `load(execution=False)` the schedules that are made can be looked at."""
    app = quorum.load(app=Flask("shop"), execution=False)
    app.container.tasks().cron("0 3 * * *", note)
    (schedule,) = app.container.tasks().schedules
    assert schedule.next_run is not None
    assert schedule.next_run.hour == 3


def make_with_jobs_below(name: str) -> Flask:
    app = quorum.init_app(Flask(name))

    @quorum.background(timeout=60)
    def work() -> None:
        calls.append(app)

    return app


def make_with_jobs_above(name: str) -> Flask:
    app = Flask(name)

    @quorum.background(timeout=60)
    def work() -> None:
        calls.append(app)

    return quorum.init_app(app)


@pytest.mark.parametrize("make", [make_with_jobs_below, make_with_jobs_above])
@pytest.mark.parametrize("unload", [False, True])
def test_a_factorys_functions_are_for_its_application(make: Callable[[str], Flask], unload: bool):
    """A factory that declares functions and is called again gives each application its own."""
    apps = []
    for name in ("first", "second", "third"):
        apps.append(make(name))
        assert until(lambda: calls == apps)
        assert names(apps[-1]) == [("work", "60 seconds after each run")]
        if unload:
            quorum.unload(apps[-1])
    for app in apps:
        quorum.unload(app)


def test_a_factorys_functions_keep_no_application_alive():
    """Applications whose factory declares functions below `load` leave none behind."""
    alive = []
    for name in ("first", "second", "third"):
        app = make_with_jobs_below(name)
        alive.append(weakref.ref(app))
        until(lambda app=app: calls == [app])
        calls.clear()
        quorum.unload(app)
    del app
    assert until(lambda: gc.collect() is not None and not any(each() for each in alive))


async def coroutine() -> None:
    calls.append("never")


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: quorum.background(timeout=0)(note), "above 0"),
        (lambda: quorum.background(timeout="60")(note), "a number of seconds"),
        (lambda: quorum.background()(coroutine), "coroutine"),
        (lambda: quorum.background()("note"), "a job is a function"),
    ],
    ids=["no time", "text", "coroutine", "no function"],
)
def test_what_cannot_run_is_refused_where_it_stands(declare: Callable[[], object], said: str):
    """What `background` could never call is refused by the decorator, above `load` too."""
    with pytest.raises(Rejected, match=said):
        declare()


def test_what_cannot_be_begun_loads_nothing(monkeypatch: pytest.MonkeyPatch):
    """Where a function cannot be begun for its settings' sake, `load` raises and loads nothing."""
    monkeypatch.setenv("TASKS", "dramatiq")
    quorum.background()(note)
    app = Flask("shop")
    with pytest.raises(quorum.ConfigurationError, match="AMQP_URL"):
        quorum.load(app=app)
    assert "quorum" not in app.extensions
    assert not quorum.APP


BELOW = """\
import quorum

app = quorum.load(name="below")

@quorum.background(timeout=60)
def work():
    pass
"""


@pytest.mark.live("redis")
def test_what_travels_may_stand_below_load(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """With TASKS=dramatiq a function below `load` is scheduled once its module can be imported."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("TASKS", "dramatiq")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shop_below.py").write_text(BELOW)
    app = importlib.import_module("shop_below").app
    assert until(lambda: names(app) == [("work", "60 seconds after each run")])


def test_what_cannot_travel_is_refused(monkeypatch: pytest.MonkeyPatch):
    """With TASKS=dramatiq `load` refuses a function that no worker could find."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("TASKS", "dramatiq")
    quorum.background(timeout=60)(lambda: None)
    with pytest.raises(Rejected, match="lambda"):
        quorum.load(app=Flask("shop"))
    assert not quorum.APP


def test_a_broker_that_is_down_lets_the_application_load(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A function that cannot be handed over now is logged; the application serves without it."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("TASKS", "dramatiq")
    quorum.background()(note)
    app = quorum.load(app=Flask("shop"))
    assert app.container
    assert "note was not begun" in caplog.text


def test_interval_work_begins_at_once(app: Flask):
    """`interval_work` calls a function now, and by its interval; it returns the first time."""
    before = time.time()
    first = quorum.interval_work(note, ["a"], {"b": 1}, interval=0.05)
    assert before <= first <= time.time()
    assert until(lambda: len(calls) >= 3)
    assert calls[0] == (("a",), {"b": 1})


def test_interval_work_begins_when_it_is_told(app: Flask):
    """With `initial` the first call is then."""
    initial = time.time() + 0.2
    assert quorum.interval_work(lambda: calls.append(time.time()), initial=initial) == initial
    assert until(lambda: len(calls) == 1)
    assert calls[0] >= initial - 0.01


def test_interval_work_may_be_computed(app: Flask):
    """With `eval` that says when, each time."""
    first = quorum.interval_work(note, eval=lambda: time.time() + 0.05)
    assert first > time.time() - 1
    assert until(lambda: len(calls) >= 2)
    assert names(app)[0][1].startswith("when ")


def test_interval_work_tells_its_callback(app: Flask):
    """The callback is called after each run, with the error if there was one."""
    told = []
    quorum.interval_work(fail, callback=lambda error: told.append(type(error)), interval=0.01)
    assert until(lambda: told[:2] == [LookupError, LookupError])


def test_interval_work_is_described(app: Flask):
    """A description is the name of the schedule."""
    quorum.interval_work(note, interval=60, description="a report")
    assert names(app) == [("a report", "every 60 seconds")]


TIMED = [
    ("minutes", quorum.minutes_work, quorum.minutes_eval, [5]),
    ("hourly", quorum.hourly_work, quorum.hourly_eval, [300]),
    ("daily", quorum.daily_work, quorum.daily_eval, [7200]),
    ("weekly", quorum.weekly_work, quorum.weekly_eval, [2, 3600]),
    ("monthly", quorum.monthly_work, quorum.monthly_eval, [31, 3600]),
]


@pytest.mark.parametrize(
    ("work", "compute", "given"), [each[1:] for each in TIMED], ids=[each[0] for each in TIMED]
)
def test_timed_work_is_due_when_its_eval_says(app: Flask, work, compute, given):
    """Each timed work returns its first time, and is due then: what its `_eval` computes."""
    expected = {compute(*given)}
    first = work(note, *given)
    expected.add(compute(*given))
    (schedule,) = app.container.tasks().schedules
    assert first in expected
    assert schedule.next_run == datetime.fromtimestamp(first, UTC)
    assert schedule.rule == f"{compute.__name__}({', '.join(map(str, given))})"


@pytest.mark.parametrize(
    ("work", "given"), [(each[1], each[3]) for each in TIMED], ids=[each[0] for each in TIMED]
)
def test_timed_work_calls_with_its_arguments(app: Flask, work, given):
    """Each timed work passes arguments on, and calls again when its time comes again."""
    with fakes(app) as twins:
        work(note, *given, ["a"], {"b": 1})
        assert twins.tasks.run_due() == 0
        for days in (32, 64):
            assert twins.tasks.run_due(time.time() + days * 86400) == 1
    assert calls == [(("a",), {"b": 1})] * 2


def test_seconds_work_runs_each_second(app: Flask):
    """`seconds_work` without an offset is due at the next second."""
    before = time.time()
    first = quorum.seconds_work(note)
    assert first == int(first)
    assert int(before) <= first <= time.time() + 1


def test_the_defaults_are_the_documented_ones(app: Flask):
    """`weekly_work` means Friday, `monthly_work` the first."""
    assert datetime.fromtimestamp(quorum.weekly_work(note), UTC).weekday() == 4
    assert datetime.fromtimestamp(quorum.monthly_work(note), UTC).day == 1


def test_fakes_have_the_schedules_of_the_application():
    """Inside of `fakes` the twin has the schedules, declared and made; the real ones rest."""
    quorum.background(timeout=0.01)(note)
    app = quorum.load(app=Flask("shop"))
    app.container.tasks().cron("0 3 * * *", note, "nightly")
    assert until(lambda: len(calls) > 1)
    with fakes(app) as twins:
        assert [each.rule for each in twins.tasks.schedules] == [
            "0.01 seconds after each run",
            "0 3 * * * UTC",
        ]
        calls.clear()
        assert twins.tasks.run_due(time.time() + 86400) == 2
        assert sorted(calls) == [(), ("nightly",)]
    calls.clear()
    assert until(lambda: len(calls) > 1)


def test_fakes_have_the_schedules_that_are_not_begun():
    """With `load(execution=False)` the twin has the declared schedules too: a test runs them."""
    quorum.background(timeout=60)(note)
    app = quorum.load(app=Flask("shop"), execution=False)
    with fakes(app) as twins:
        assert twins.tasks.run_due() == 1
    assert calls == [()]


def test_the_functions_of_schedules_are_checked(app: Flask):
    """The start-up check looks at what `background` and schedules call, and their callbacks."""

    @inject
    def first(lost: Mailer = Provide["lost"]) -> None: ...

    @inject
    def second(astray: Mailer = Provide["astray"]) -> None: ...

    def third(left: Mailer = Provide[Container.mailer]) -> None: ...

    quorum.background(timeout=3600)(first)
    quorum.daily_work(note, callback=second)
    app.container.tasks().every(3600, third)
    app.testing = True
    with pytest.raises(quorum.ConfigurationError) as caught:
        app.test_client().get("/")
    text = str(caught.value)
    assert all(each in text for each in ("'lost'", "'astray'", "'left'"))


@pytest.mark.parametrize(
    ("work", "offsets"),
    [
        (quorum.weekly_work, {"weekday": 7}),
        (quorum.minutes_work, {"offset": "5"}),
        (quorum.seconds_work, {"offset": -5}),
        (quorum.daily_work, {"offset": timedelta(1)}),
        (quorum.interval_work, {"eval": lambda: None}),
    ],
)
def test_timed_work_that_is_refused_leaves_no_schedule(app: Flask, work, offsets):
    """What is wrong is told at once, not at the first run."""
    with pytest.raises(Rejected):
        work(note, **offsets)
    assert app.extensions["quorum"].tasks().schedules == []
