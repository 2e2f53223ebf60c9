"""Injecting services into functions, wherever they are and whoever calls them."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import random
import threading
import weakref
from typing import TYPE_CHECKING, Annotated

import pytest
from dependency_injector import wiring
from dependency_injector.providers import Factory, Object, Provider
from dependency_injector.wiring import provided
from flask import Blueprint, Flask
from flask.views import MethodView, View

import quorum
from quorum import ConfigurationError, Container, NotLoaded, Provide, Settings, inject
from quorum.injection.markers import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import Client

DEADLINE = 15


class Greeter:
    """A service."""

    def __init__(self, word="hello"):
        self.word = word


class Services(Container):
    greeter: Provider[Greeter] = quorum.ThreadSafeSingleton(Greeter)
    other: Provider[Greeter] = quorum.ThreadSafeSingleton(Greeter, "other")
    third: Provider[Greeter] = quorum.ThreadSafeSingleton(Greeter, "third")


@inject
def greeting(greeter: Greeter = Provide[Services.greeter]) -> str:
    """Return the word of the greeter."""
    return greeter.word


def load(name="app", container=Services) -> Flask:
    app = quorum.load(app=Flask(name), container=container)
    app.testing = True
    return app


@pytest.fixture
def app():
    return load()


@pytest.fixture
def client(app) -> Client:
    return app.test_client()


def test_a_view_below_load_is_injected(app, client):
    """Nothing is wired: what comes after `load` is served as what came before."""
    app.get("/")(greeting)
    assert client.get("/").text == "hello"


def test_a_view_of_a_blueprint_is_injected(app, client):
    """Registered before or after its views are defined elsewhere."""
    blueprint = Blueprint("part", __name__, url_prefix="/part")

    @blueprint.get("/<name>")
    @inject
    def view(name: str, greeter: Greeter = Provide[Services.greeter]):
        return f"{greeter.word} {name}"

    app.register_blueprint(blueprint)
    assert client.get("/part/ana").text == "hello ana"


def test_a_closure_is_injected(app, client):
    """A view made in a function, once for each application."""

    def add(app, word):
        @app.get(f"/{word}")
        @inject
        def view(greeter: Greeter = Provide[Services.greeter]):
            return f"{greeter.word} {word}"

        view.__name__ = word

    add(app, "one")
    assert client.get("/one").text == "hello one"


def test_a_method_view_is_injected(app, client):
    """Its methods, and the constructor of its objects."""

    class Page(MethodView):
        @inject
        def __init__(self, other: Greeter = Provide[Services.other]):
            self.other = other

        @inject
        def get(self, greeter: Greeter = Provide[Services.greeter]):
            return f"{greeter.word} {self.other.word}"

    app.add_url_rule("/", view_func=Page.as_view("page"))
    assert client.get("/").text == "hello other"


def test_a_class_based_view_is_injected(app, client):
    """`dispatch_request` is a function as any."""

    class Page(View):
        @inject
        def dispatch_request(self, greeter: Greeter = Provide[Services.greeter]):
            return greeter.word

    app.add_url_rule("/", view_func=Page.as_view("page"))
    assert client.get("/").text == "hello"


def test_a_command_is_injected(app):
    """Of the application, and of a blueprint."""
    blueprint = Blueprint("part", __name__)

    @app.cli.command("greet")
    @inject
    def greet(greeter: Greeter = Provide[Services.greeter]):
        print(greeter.word)  # noqa: T201 - that is what commands do

    @blueprint.cli.command("other")
    @inject
    def other(greeter: Greeter = Provide[Services.other]):
        print(greeter.word)  # noqa: T201

    app.register_blueprint(blueprint)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["greet"]).output == "hello\n"
    assert runner.invoke(args=["part", "other"]).output == "other\n"


@pytest.mark.parametrize("keeping", [True, False])
def test_a_view_below_another_decorator_is_injected(app, client, keeping):
    """With `functools.wraps` and without."""

    def required(function):
        def wrapper(*args, **kwargs):
            return f"[{function(*args, **kwargs)}]"

        return functools.wraps(function)(wrapper) if keeping else wrapper

    app.add_url_rule("/", "view", required(greeting))
    assert client.get("/").text == "[hello]"


def test_a_view_above_another_decorator_is_injected(app, client):
    """A decorator that keeps the signature may stand between."""

    def shouting(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs).upper()

        return wrapper

    @app.get("/")
    @inject
    @shouting
    def view(greeter: Greeter = Provide[Services.greeter]):
        return greeter.word

    assert client.get("/").text == "HELLO"


def test_a_decorator_below_may_take_keywords_alone(app):
    """That is what Flask gives a view."""

    def named(function):
        @functools.wraps(function)
        def wrapper(**kwargs):
            return function(**kwargs)

        return wrapper

    @inject
    @named
    def work(greeter: Greeter = Provide[Services.greeter]):
        return greeter.word

    assert work() == "hello"


def test_an_async_view_stays_one(app, client):
    """It is a coroutine function, Flask runs it, and it is injected."""

    @app.get("/")
    @inject
    async def view(greeter: Greeter = Provide[Services.greeter]):
        await asyncio.sleep(0)
        return greeter.word

    assert inspect.iscoroutinefunction(view)
    assert client.get("/").text == "hello"


def test_an_async_function_is_injected_outside_of_flask():
    """In the container that runs where it is awaited."""

    @inject
    async def work(greeter: Greeter = Provide[Services.greeter]):
        return greeter.word

    with quorum.running(Services(settings=Settings())):
        assert asyncio.run(work()) == "hello"


def test_a_plain_function_stays_one():
    """A function is no coroutine function for being injected."""
    assert not inspect.iscoroutinefunction(greeting)


def test_a_generator_view_is_injected(app, client):
    """When it is called, not when its first piece is read."""

    @app.get("/")
    @inject
    def view(greeter: Greeter = Provide[Services.greeter]):
        yield greeter.word
        yield "!"

    assert client.get("/").text == "hello!"


def test_the_function_keeps_its_name_text_and_signature():
    """Flask, documentation and type checkers see what was written."""
    assert greeting.__name__ == "greeting"
    assert greeting.__doc__ == "Return the word of the greeter."
    assert list(inspect.signature(greeting).parameters) == ["greeter"]


def test_an_annotated_parameter_is_injected(app):
    """`Annotated`, in a module whose annotations are strings."""

    @inject
    def work(greeter: Annotated[Greeter, Provide[Services.greeter]]):
        return greeter.word

    assert work() == "hello"


def test_an_annotation_of_local_names_is_injected(app):
    """A container may be known only where the function is."""

    class Local(Services):
        pass

    @inject
    def work(greeter: Annotated[Greeter, Provide[Local.greeter]]):
        return greeter.word

    assert work() == "hello"


def test_an_annotation_may_name_what_comes_later(app):
    """Annotations are read at the first call."""
    namespace = {"inject": inject, "Annotated": Annotated, "Provide": Provide, "Services": Services}
    exec(
        "from __future__ import annotations\n"
        "@inject\n"
        "def work(greeter: Annotated[Later, Provide[Services.greeter]]): return greeter.word\n"
        "class Later: ...\n",
        namespace,
    )
    assert namespace["work"]() == "hello"


def test_an_annotation_that_cannot_be_read_is_told_as_such(app):
    """A marker in it would be missed in silence."""

    def decorated(function):
        return inject(function)

    class Local(Services):
        pass

    @decorated
    def work(greeter: Annotated[Greeter, Provide[Local.greeter]]):
        return greeter.word

    with pytest.raises(ConfigurationError, match=r"parameter 'greeter' has the annotation .*Local"):
        work()


def test_an_annotation_under_type_checking_does_no_harm(app):
    """A name that is there for type checkers only is not needed."""

    @inject
    def work(client: Client | None = None, greeter: Greeter = Provide[Services.greeter]):
        return greeter.word

    assert work() == "hello"


def test_a_keyword_only_parameter_is_injected(app):
    """Whatever stands before it."""

    @inject
    def work(*names, greeter: Greeter = Provide[Services.greeter], **more):
        return names, greeter.word, more

    assert work() == ((), "hello", {})
    assert work("a", "b", c=1) == (("a", "b"), "hello", {"c": 1})


def test_a_parameter_after_a_positional_only_one_is_injected(app):
    """Arguments given by position are counted as Python counts them."""

    @inject
    def work(name, /, greeter: Greeter = Provide[Services.greeter]):
        return name, greeter.word

    assert work("ana") == ("ana", "hello")
    assert work("ana", Greeter("given")) == ("ana", "given")


def test_a_positional_only_marker_is_refused(app):
    """It could not be given by name."""

    @inject
    def work(greeter: Greeter = Provide[Services.greeter], /):
        return greeter.word

    with pytest.raises(ConfigurationError, match="'greeter' is positional-only"):
        work()


def test_an_argument_given_by_position_is_left_as_given(app):
    """A fake in a unit test."""
    assert greeting(Greeter("fake")) == "fake"


def test_an_argument_given_by_name_is_left_as_given(app):
    """`None` is an argument too."""

    @inject
    def work(greeter: Greeter | None = Provide[Services.greeter]):
        return greeter

    assert work(greeter=None) is None
    assert work(None) is None


def test_only_what_is_not_given_is_injected(app):
    """The others come from the container."""

    @inject
    def work(
        greeter: Greeter = Provide[Services.greeter], other: Greeter = Provide[Services.other]
    ):
        return greeter.word, other.word

    assert work(Greeter("fake")) == ("fake", "other")
    assert work(other=Greeter("fake")) == ("hello", "fake")


def test_a_parameter_that_is_not_injected_may_stand_anywhere(app):
    """Before, between and after those that are, with a default or given."""

    @inject
    def work(
        first="a",
        greeter: Greeter = Provide[Services.greeter],
        between="b",
        other: Greeter = Provide[Services.other],
        *rest,
        last="c",
        third: Greeter = Provide[Services.third],
    ):
        return first, greeter.word, between, other.word, rest, last, third.word

    assert work() == ("a", "hello", "b", "other", (), "c", "third")
    assert work("x", last="y") == ("x", "hello", "b", "other", (), "y", "third")
    assert work("x", Greeter("y"), "z", Greeter("o"), 1) == (
        *("x", "y", "z", "o", (1,)),
        *("c", "third"),
    )


def test_a_function_that_is_given_everything_needs_no_application():
    """A view is tested as the function that it is."""
    assert greeting(Greeter("fake")) == "fake"
    assert greeting(greeter=Greeter("fake")) == "fake"


def test_a_function_without_markers_needs_no_application():
    """There is nothing to inject."""
    assert inject(lambda name: name)("ana") == "ana"


def test_without_an_application_it_says_how_to_repair_it():
    """NotLoaded, before the function runs."""
    with pytest.raises(NotLoaded, match=r"call quorum\.load"):
        greeting()


def test_what_the_function_or_a_service_raises_goes_through(app):
    """A RuntimeError of a service is no missing context, a KeyError no missing plan."""
    calls = []

    class Broken(Services):
        greeter = Factory(lambda: calls.append(1) or {}["key"])

    @inject
    def work(greeter: Greeter = Provide[Services.greeter]):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        work()
    with quorum.running(Broken(settings=Settings())), pytest.raises(KeyError):
        greeting()
    with load("broken", Broken).app_context(), pytest.raises(KeyError):
        greeting()
    assert calls == [1, 1]


def test_a_provider_is_asked_for_by_its_name(app):
    """`Provide["greeter"]`, for a container that cannot be imported."""

    @inject
    def work(greeter: Greeter = Provide["greeter"]):
        return greeter.word

    assert work() == "hello"


def test_a_part_of_a_service_is_injected(app):
    """`.provided` leads into it, by provider and by name; so do settings."""

    @inject
    def work(
        word: str = Provide[Services.greeter.provided.word],
        same: str = Provide["greeter", provided().word],
        level: str = Provide[Container.settings.provided.mailer.timeout],
    ):
        return word, same, level

    assert work() == ("hello", "hello", 5.0)


def test_the_container_itself_is_injected(app):
    """`Provide[Container]`, and of a subclass, is the one that runs."""

    @inject
    def work(base: Container = Provide[Container], own: Services = Provide[Services]):
        return base, own

    assert work() == (app.container, app.container)


def test_a_marker_of_a_base_class_follows_the_name_into_a_subclass():
    """A view that names the base's service gets the one that replaced it."""

    class Replaced(Services):
        greeter = quorum.ThreadSafeSingleton(Greeter, "replaced")

    class Again(Replaced):
        greeter = quorum.ThreadSafeSingleton(Greeter, "again")

    @inject
    def part(word: str = Provide[Services.greeter.provided.word]):
        return word

    for container, word in ((Services, "hello"), (Replaced, "replaced"), (Again, "again")):
        with load(container.__name__, container).app_context():
            assert greeting() == word
            assert part() == word


def test_a_second_name_for_a_service_does_not_hold_back_its_replacement():
    """`plain = Base.greeter` beside a new `greeter` leaves the marker on the name it had first."""

    class Aliased(Services):
        plain = Services.greeter
        greeter = quorum.ThreadSafeSingleton(Greeter, "replaced")

    with load("aliased", Aliased).app_context():
        assert greeting() == "replaced"


def test_a_marker_of_a_running_containers_provider_is_resolved(app):
    """`Provide[app.container.greeter]` is that very provider."""

    @inject
    def work(greeter: Greeter = Provide[app.container.greeter]):
        return greeter.word

    assert work() == "hello"


def test_stock_markers_are_resolved(app):
    """Those imported from dependency-injector are the same."""

    @inject
    def work(
        greeter: Greeter = wiring.Provide[Services.greeter],
        maker: Callable[[], Greeter] = wiring.Provider[Services.greeter],
        delegate: Callable[[], Greeter] = Provide[Services.greeter.provider],
    ):
        return greeter, maker(), delegate()

    greeter, made, delegated = work()
    assert greeter is made
    assert greeter is delegated


def test_an_unknown_marker_is_an_error_that_names_everything(app):
    """The function, the parameter, what it asks for, and what there is."""

    class Elsewhere(Services):
        lost = quorum.ThreadSafeSingleton(Greeter)

    @inject
    def work(greeter: Greeter = Provide[Elsewhere.lost]):
        return greeter.word

    with pytest.raises(ConfigurationError) as caught:
        work()
    sentence = str(caught.value)
    assert "work: parameter 'greeter' asks for Provide[Elsewhere.lost]" in sentence
    assert f"it has {', '.join(app.container.providers)}" in sentence


@pytest.mark.parametrize(
    ("marker", "written"),
    [
        (Provide["lost"], "Provide['lost']"),
        (Provide[Services.greeter], "Provide[Services.greeter]"),
        (
            Provide[Container.settings.provided.mailer],
            "Provide[Container.settings.provided.mailer]",
        ),
        (Provide[Services.greeter.provided["a"].b], "Provide[Services.greeter.provided['a'].b]"),
        (wiring.Closing[Provide[Services.greeter]], "Closing[Provide[Services.greeter]]"),
    ],
)
def test_a_marker_is_described_as_it_was_written(marker, written):
    """In the errors one recognises one's own line."""
    assert describe(marker) == written


@pytest.mark.parametrize("kind", [classmethod, staticmethod])
def test_inject_above_a_class_or_static_method_is_refused(kind):
    """It would not know what it wraps; the error says where it goes."""
    with pytest.raises(ConfigurationError, match="write it below @classmethod"):
        inject(kind(greeting))
    with pytest.raises(ConfigurationError, match="constructor of a class"):
        inject(Greeter)


def test_class_and_static_methods_are_injected(app):
    """With `inject` below."""

    class Holder:
        @classmethod
        @inject
        def of_class(cls, greeter: Greeter = Provide[Services.greeter]):
            return cls, greeter.word

        @staticmethod
        @inject
        def of_none(greeter: Greeter = Provide[Services.greeter]):
            return greeter.word

    assert Holder.of_class() == (Holder, "hello")
    assert Holder().of_none() == "hello"


def test_a_partial_function_is_injected(app):
    """What it has already is left as given."""

    def work(name, greeter: Greeter = Provide[Services.greeter]):
        return name, greeter.word

    assert inject(functools.partial(work, "ana"))() == ("ana", "hello")


def test_an_injected_function_may_be_injected_again(app):
    """Nothing is asked for twice."""
    assert inject(greeting)() == "hello"


def test_an_override_is_seen_at_once_and_undone(app):
    """By a function that was called before."""
    assert greeting() == "hello"
    with app.container.greeter.override(Object(Greeter("fake"))):
        assert greeting() == "fake"
    assert greeting() == "hello"


def test_two_applications_in_turn_stay_apart():
    """One view, two applications, two containers."""

    class Replaced(Services):
        greeter = quorum.ThreadSafeSingleton(Greeter, "replaced")

    one, two = load("one"), load("two", Replaced)
    for app in (one, two):
        app.add_url_rule("/", view_func=greeting)
    for _ in range(3):
        assert one.test_client().get("/").text == "hello"
        assert two.test_client().get("/").text == "replaced"


def test_two_applications_and_eight_threads_give_no_wrong_answer_in_ten_thousand_calls():
    """Two containers of two classes, each with its own fakes, called from all threads."""

    class Replaced(Services):
        greeter = quorum.ThreadSafeSingleton(Greeter, "replaced")

    one, two = load("one"), load("two", Replaced)
    one.container.other.override(Object(Greeter("one")))
    two.container.other.override(Object(Greeter("two")))

    @inject
    def both(
        greeter: Greeter = Provide[Services.greeter], other: Greeter = Provide[Services.other]
    ):
        return greeter.word, other.word

    expected = {one: ("hello", "one"), two: ("replaced", "two")}
    answers, wrong = [], []

    def work(seed):
        choose = random.Random(seed)
        for _ in range(1250):
            app = choose.choice((one, two))
            with app.app_context():
                found = both()
                answers.append(found)
                if found != expected[app]:
                    wrong.append(found)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 10_000
    assert wrong == []


def test_eight_threads_with_an_application_each_stay_apart():
    """Each thread loads its own, overrides in it, and finds its own answers through Flask."""
    wrong, answers = [], []

    def work(number):
        for round_ in range(10):
            app = load(f"app{number}")
            app.add_url_rule("/", view_func=greeting)
            word = f"{number}-{round_}"
            with app.container.greeter.override(Object(Greeter(word))):
                for _ in range(5):
                    found = app.test_client().get("/").text
                    answers.append(found)
                    if found != word:
                        wrong.append((found, word))
            quorum.unload(app)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 400
    assert wrong == []


def test_fifty_applications_that_are_dropped_leave_none_alive():
    """Neither the views at module level nor those made for each keep one."""

    def make(number):
        app = load(f"app{number}")

        @app.get("/closure")
        @inject
        def view(greeter: Greeter = Provide[Services.greeter]):
            return greeter.word

        app.add_url_rule("/", view_func=greeting)
        assert app.test_client().get("/").text == "hello"
        assert app.test_client().get("/closure").text == "hello"
        return weakref.ref(app), weakref.ref(app.container), weakref.ref(view)

    references = [reference for number in range(50) for reference in make(number)]
    gc.collect()
    assert [reference() for reference in references if reference() is not None] == []


def test_a_plan_dies_with_its_function(app):
    """A function made in a view leaves nothing behind in the application."""

    def call():
        @inject
        def work(greeter: Greeter = Provide[Services.greeter]):
            return greeter.word

        return work()

    for _ in range(50):
        assert call() == "hello"
    gc.collect()
    assert len(app.container.plans) == 0


def test_after_unload_a_function_asks_the_next_application():
    """Nothing of the first is remembered."""

    class Replaced(Services):
        greeter = quorum.ThreadSafeSingleton(Greeter, "replaced")

    quorum.load(name="first", container=Services)
    assert greeting() == "hello"
    quorum.unload()
    quorum.load(name="second", container=Replaced)
    assert greeting() == "replaced"


def test_importing_the_module_of_a_view_twice_is_harmless(app):
    """The same function text, decorated anew, is served as the first was."""

    def again():
        @inject
        def work(greeter: Greeter = Provide[Services.greeter]):
            return greeter.word

        return work

    assert [again()(), again()()] == ["hello", "hello"]
