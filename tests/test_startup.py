"""The check before the first view runs."""

from __future__ import annotations

import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import pytest
from dependency_injector import providers, wiring
from flask import Blueprint, Flask
from flask.views import MethodView

import quorum
from quorum import ConfigurationError, Container, Mailer, Provide, Settings, inject
from quorum.check import check
from tests.waiting import wait_until

DEADLINE = 15
built: list[object] = []


class Clock:
    """A service that notes its construction."""

    def __init__(self):
        built.append(self)


class Tower:
    """A service that needs a clock."""

    def __init__(self, clock: Clock):
        built.append(self)


class Services(Container):
    clock = quorum.ThreadSafeSingleton(Clock)
    tower = quorum.ThreadSafeSingleton(Tower, clock)


class Elsewhere(Container):
    lost = quorum.ThreadSafeSingleton(Clock)


def load(container=Services, **arguments) -> Flask:
    built.clear()
    app = quorum.load(app=Flask("startup"), container=container, **arguments)
    app.testing = True
    return app


def found(app: Flask) -> list[str]:
    """Return the problems that the first request tells; no view may run, nothing be built."""
    ran = []
    app.before_request(lambda: ran.append(1))
    with pytest.raises(ConfigurationError) as caught:
        app.test_client().get("/")
    assert ran == []
    assert built == []
    return [str(problem) for problem in caught.value.problems]


def named(function) -> str:
    return f"{__name__}.{function.__qualname__}"


def test_an_application_without_a_mistake_starts():
    """And what it needs is built then, not before."""
    app = load()

    @app.get("/<name>")
    @inject
    def view(name: str, tower: Tower = Provide[Services.tower]):
        return name

    check(app)
    assert built == []
    assert app.test_client().get("/ana").text == "ana"
    assert len(built) == 2


def test_a_missing_argument_is_found():
    """Before the first request is answered, with provider, class and argument."""

    class Broken(Services):
        tower = quorum.ThreadSafeSingleton(Tower)

    told = found(load(Broken))
    assert told == ["container.tower: Tower needs the argument 'clock', which nothing gives"]


def test_an_unknown_argument_is_found():
    """A slip of the pen in a keyword."""

    class Broken(Services):
        tower = quorum.ThreadSafeSingleton(Tower, Services.clock, colck=1)

    assert found(load(Broken)) == ["container.tower: Tower takes no argument 'colck'"]


def test_a_wrong_class_in_the_container_is_found():
    """A service where another is needed."""

    class Broken(Services):
        tower = quorum.ThreadSafeSingleton(Tower, Container.mailer)

    assert found(load(Broken)) == ["container.tower: Tower takes clock: Clock, but is given Mailer"]


def test_a_cycle_is_found_with_its_path():
    """Not as a RecursionError at the first use."""

    class Round(Services):
        clock = quorum.ThreadSafeSingleton(Tower, Services.tower)

    told = found(load(Round))
    assert any("clock -> tower -> clock" in line for line in told)


def test_a_wrong_class_in_a_view_is_found():
    """Function, parameter and provider are named."""
    app = load()

    @app.get("/")
    @inject
    def view(mailer: Mailer = Provide[Services.clock]):
        return "never"

    assert found(app) == [
        f"{named(view)}, parameter 'mailer': is a Mailer, but Provide[Services.clock] gives a Clock"
    ]


def test_settings_in_the_place_of_a_service_are_found():
    """They are given by `load`, and are of their class all the same."""
    app = load()

    @app.get("/")
    @inject
    def view(mailer: Mailer = Provide[Container.settings]):
        return "never"

    assert len(found(app)) == 1


def test_an_unknown_marker_is_found():
    """By provider and by name."""
    app = load()

    @app.get("/")
    @inject
    def view(one: Clock = Provide[Elsewhere.lost], two: Clock = Provide["lost"]):
        return "never"

    first, second = found(app)
    assert first.startswith(f"{named(view)}, parameter 'one': asks for Provide[Elsewhere.lost]")
    assert second.startswith(f"{named(view)}, parameter 'two': asks for Provide['lost']")
    assert "it has settings" in first


def test_a_closing_marker_is_found():
    """It would close a service under another request; the error names what to use."""
    app = load()

    @app.get("/")
    @inject
    def view(clock: Clock = wiring.Closing[Provide[Services.clock]]):
        return "never"

    rule = "Closing closes what others still use; use quorum.PerRequest"
    assert found(app) == [f"{named(view)}, parameter 'clock': {rule}"]


def test_a_variable_of_the_url_of_the_same_name_is_found():
    """What a visitor writes would take the place of the service."""
    app = load()

    @app.get("/<clock>")
    @inject
    def view(clock: Clock = Provide[Services.clock]):
        return "never"

    rule = "is also a variable of the URL, which would take its place; rename one"
    assert found(app) == [f"{named(view)}, parameter 'clock': {rule}"]


def test_inject_above_the_route_is_found():
    """Flask kept the function below it, whose parameter would be the bare marker."""
    app = load()

    @inject
    @app.get("/")
    def view(clock: Clock = Provide[Services.clock]):
        return "never"

    rule = "has a marker and no inject; put @inject below the other decorators"
    assert found(app) == [f"{named(view)}, parameter 'clock': {rule}"]


def test_a_view_without_inject_is_found_below_its_decorators():
    """The innermost function is the one that has the markers."""
    app = load()

    def required(function):
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    @app.get("/")
    @required
    def view(*, clock: Clock = Provide[Services.clock]):
        return "never"

    assert len(found(app)) == 1


def test_a_marker_that_cannot_be_injected_by_name_is_found():
    """A positional-only parameter."""
    app = load()

    @app.get("/")
    @inject
    def view(clock: Clock = Provide[Services.clock], /):
        return "never"

    assert "positional-only" in found(app)[0]


def wrong_function():
    @inject
    def wrong(clock: Mailer = Provide[Services.clock], *_, **__):
        return "never"

    return wrong


def keeping(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def bare(function):
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Page(MethodView):
    """A view whose methods are injected."""

    get = wrong_function()


class Constructed(MethodView):
    """A view whose constructor is."""

    __init__ = wrong_function()

    def get(self):
        return "never"


def in_blueprint(app):
    blueprint = Blueprint("part", __name__)
    blueprint.add_url_rule("/part", "view", wrong_function())
    app.register_blueprint(blueprint)


def in_blueprint_hook(app):
    blueprint = Blueprint("part", __name__)
    blueprint.before_request(wrong_function())
    app.register_blueprint(blueprint)


def in_blueprint_command(app):
    blueprint = Blueprint("part", __name__)
    blueprint.cli.command("wrong")(wrong_function())
    app.register_blueprint(blueprint)


@pytest.mark.parametrize(
    "add",
    [
        lambda app: app.add_url_rule("/", "view", wrong_function()),
        lambda app: app.add_url_rule("/", "view", keeping(wrong_function())),
        lambda app: app.add_url_rule("/", "view", bare(wrong_function())),
        lambda app: app.add_url_rule("/", "view", bare(keeping(bare(wrong_function())))),
        lambda app: app.add_url_rule("/", "view", functools.partial(wrong_function())),
        lambda app: app.add_url_rule("/", "view", quorum.ensure_context(wrong_function())),
        lambda app: app.add_url_rule("/", view_func=Page.as_view("page")),
        lambda app: app.add_url_rule("/", view_func=Constructed.as_view("page")),
        in_blueprint,
        in_blueprint_hook,
        in_blueprint_command,
        lambda app: app.before_request(wrong_function()),
        lambda app: app.after_request(wrong_function()),
        lambda app: app.teardown_request(wrong_function()),
        lambda app: app.teardown_appcontext(wrong_function()),
        lambda app: app.context_processor(wrong_function()),
        lambda app: app.errorhandler(404)(wrong_function()),
        lambda app: app.errorhandler(KeyError)(wrong_function()),
        lambda app: app.cli.command("wrong")(wrong_function()),
    ],
)
def test_every_function_that_flask_calls_is_looked_at(add):
    """Views, methods, hooks, handlers and commands, below decorators of any kind."""
    app = load()
    add(app)
    told = found(app)
    assert len(told) == 1
    assert "wrong, parameter 'clock': is a Mailer" in told[0]


def test_all_problems_are_told_at_once():
    """Of the views and of the container, each once."""

    class Broken(Services):
        tower = quorum.ThreadSafeSingleton(Tower)

    app = load(Broken)
    for path in ("/one", "/two"):
        app.add_url_rule(path, path, same := wrong_function())
        app.add_url_rule(f"{path}/again", f"{path}/again", same)
    assert len(found(app)) == 2


def test_the_check_tells_again_until_it_is_mended():
    """An application that cannot work does not begin to by being asked twice."""
    app = load()
    app.add_url_rule("/", "view", wrong_function())
    client = app.test_client()
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            client.get("/")
    app.container.clock.override(providers.Object("fake"))
    assert client.get("/").text == "never"


def test_a_request_in_production_is_answered_with_an_error():
    """Flask's page for it, and the sentence in the log."""
    app = load()
    app.testing = False
    app.add_url_rule("/", "view", wrong_function())
    assert app.test_client().get("/").status_code == 500


def test_the_check_runs_once():
    """Later requests do not pay for it."""
    app = load()
    app.get("/")(lambda: "ok")
    client = app.test_client()
    assert client.get("/").text == "ok"
    app.view_functions["later"] = wrong_function()
    assert client.get("/").text == "ok"


def test_no_false_alarm_on_a_fake():
    """An application whose services are faked starts, whatever the fakes are."""

    class Broken(Services):
        tower = quorum.ThreadSafeSingleton(Tower)

    app = load(Broken, settings=Settings(embedded="never"))

    @app.get("/")
    @inject
    def view(tower: Tower = Provide[Broken.tower], mailer: Mailer = Provide[Container.mailer]):
        return f"{tower} {mailer}"

    app.container.tower.override("fake tower")
    app.container.mailer.override("fake mailer")
    assert app.test_client().get("/").text == "fake tower fake mailer"


def test_no_false_alarm_where_the_view_asks_for_less_or_more():
    """An optional parameter, a base class, a subclass, none, and what cannot be known."""
    app = load()

    class Chime(Clock):
        """A kind of clock."""

    @app.get("/")
    @inject
    def view(
        maybe: Clock | None = Provide[Services.clock],
        base: object = Provide[Services.clock],
        kind: Chime = Provide[Services.clock],
        untyped=Provide[Services.clock],
        unknown: NotThere = Provide[Services.clock],  # noqa: F821 - the very thing
        part: int = Provide[Services.clock.provided.hour],
        maker: Clock = wiring.Provider[Services.clock],
    ):
        return "ok"

    check(app)


def test_what_is_marked_elsewhere_is_nobodys_business():
    """A function in a closure that is no marker's, a callable object, a class as a view."""
    app = load()

    class Callable:
        def __call__(self):
            return "ok"

    app.add_url_rule("/", "object", Callable())
    app.add_url_rule("/partial", "partial", functools.partial(lambda name: name, "ana"))
    app.add_url_rule("/builtin", "builtin", dict)
    check(app)
    assert app.test_client().get("/").text == "ok"


def test_functions_to_call_first_are_called_once_before_the_first_view():
    """`onrun`, in the application's context, by whichever thread is first."""
    app = load()
    order = []
    barrier = threading.Barrier(8)

    @quorum.onrun
    def first():
        order.append(quorum.get_app())
        threading.Event().wait(0.05)

    @app.get("/")
    def view():
        order.append("view")
        return "ok"

    def ask():
        barrier.wait(DEADLINE)
        app.test_client().get("/")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert order == [app, *["view"] * 8]


def test_a_function_to_call_first_may_make_a_request():
    """It does not call itself."""
    app = load()
    answers = []
    app.get("/")(lambda: "ok")

    @quorum.onrun
    def first():
        answers.append(app.test_client().get("/").text)

    assert app.test_client().get("/").text == "ok"
    assert answers == ["ok"]


def test_a_function_to_call_first_that_fails_is_called_again():
    """The application has not started."""
    app = load()
    failures = [OSError("no")]
    app.get("/")(lambda: "ok")

    @quorum.onrun
    def first():
        if failures:
            raise failures.pop()

    with pytest.raises(OSError, match="no"):
        app.test_client().get("/")
    assert app.test_client().get("/").text == "ok"


def test_an_unloaded_application_goes_on_without_the_check():
    """Its views are Flask's again."""
    app = load()
    app.add_url_rule("/", "view", bare(lambda: "ok"))
    app.add_url_rule("/wrong", "wrong", wrong_function())
    quorum.unload(app)
    assert app.test_client().get("/").text == "ok"


def test_each_application_is_checked_by_itself():
    """One that is wrong does not keep another from starting."""
    wrong, right = load(), load()
    wrong.add_url_rule("/", "view", wrong_function())
    right.get("/")(lambda: "ok")
    assert right.test_client().get("/").text == "ok"
    assert len(found(wrong)) == 1


def test_a_marker_for_a_setting_that_is_not_there_is_found():
    """`Provide[Container.settings.provided.nope]` is told as a provider's argument is."""
    app = load()

    @app.get("/")
    @inject
    def view(host: str = Provide[Container.settings.provided.mailer.hots]):
        return host

    (told,) = found(app)
    assert told.startswith(f"{named(view)}, parameter 'host': asks the settings for 'hots'")


def test_an_annotated_marker_without_inject_is_found():
    """A marker in an annotation is no less forgotten than one in a default."""
    app = load()

    def view(clock: Annotated[Clock, Provide[Services.clock]] = None):
        return str(clock)

    app.add_url_rule("/", view_func=view)
    (told,) = found(app)
    assert "parameter 'clock': has a marker and no inject" in told


def test_whether_the_process_lives_is_told_before_it_is_ready():
    """`/health/live` waits for no `onrun` function; `/health/ready` says down, every view fails."""
    app = quorum.load(name="shop")
    app.add_url_rule("/", view_func=lambda: "")

    @quorum.onrun
    def fail():
        raise RuntimeError("not yet")

    visitor = app.test_client()
    assert visitor.get("/health/live").status_code == 200
    assert visitor.get("/health/ready").status_code == 503
    assert visitor.get("/health/ready").json == {"status": "down", "services": {}}
    assert visitor.get("/").status_code == 500


def test_readiness_waits_for_no_slow_start():
    """An `onrun` function that takes long is not ready within a second, and is once it ends."""
    app = quorum.load(name="shop")
    go_on = threading.Event()

    @quorum.onrun
    def connect():
        assert go_on.wait(10)

    visitor = app.test_client()
    began = time.monotonic()
    assert visitor.get("/health/ready").status_code == 503
    assert time.monotonic() - began < 6
    go_on.set()
    wait_until(lambda: visitor.get("/health/ready").status_code == 200)


def test_those_that_waited_share_a_failure():
    """Eight requests while an `onrun` function fails slowly cost its time once, not eight times."""
    app = quorum.load(name="shop")
    app.add_url_rule("/", view_func=lambda: "")
    calls = []
    entered = threading.Barrier(8)

    @quorum.onrun
    def connect():
        calls.append(1)
        time.sleep(1)
        raise RuntimeError("the broker is down")

    def visit(_):
        entered.wait(10)
        return app.test_client().get("/").status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(visit, range(8))) == {500}
    assert len(calls) < 4


@pytest.mark.parametrize(
    ("name", "url", "noun"),
    [
        ("REDIS_URL", "redis://:hunter2@h/0?colour=red", "redis"),
        ("MONGO_URL", "mongodb://u:hunter2@h/?colour=red", "mongo"),
    ],
)
def test_an_option_that_a_driver_does_not_know_is_found(monkeypatch, name, url, noun):
    """Before the first request, where something injects the service, and without its password."""
    monkeypatch.setenv(name, url)
    app = quorum.load(name="shop")

    @app.get("/")
    @inject
    def view(service=Provide[noun]):
        return ""

    with pytest.raises(ConfigurationError, match=f"{noun}.url: .*colour.*; set {name}") as caught:
        check(app)
    assert "hunter2" not in str(caught.value)
