"""Functions with dependency-injector's own `inject`, and the names of others that we rely on."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest
from dependency_injector import containers, providers, wiring
from dependency_injector.wiring import Closing, Provide, Provider, inject
from flask import Flask

import quorum
from quorum import ConfigurationError, Container, NotLoaded
from quorum.check import check


class Greeter:
    """A service."""

    def __init__(self, word="hello"):
        self.word = word


class Services(Container):
    greeter = quorum.ThreadSafeSingleton(Greeter)


class Replaced(Services):
    greeter = quorum.ThreadSafeSingleton(Greeter, "replaced")
    extra = quorum.ThreadSafeSingleton(Greeter, "extra")


@inject
def greeting(greeter: Greeter = Provide[Services.greeter]):
    return greeter.word


@inject
def by_name(word: str = Provide["greeter.provided.word"]):
    return word


@inject
def by_provider(make=Provider[Services.greeter]):
    return make().word


@inject
def of_the_subclass(extra: Greeter = Provide[Replaced.extra]):
    return extra.word


@inject
async def later(greeter: Greeter = Provide[Services.greeter]):
    return greeter.word


@wiring.inject
def through_the_module(word: str = Provide[Services.greeter.provided.word]):
    return word


class Holder:
    @staticmethod
    @inject
    def of_none(greeter: Greeter = Provide[Services.greeter]):
        return greeter.word

    @inject
    def of_one(self, greeter: Greeter = Provide[Services.greeter]):
        return greeter.word


def load(container=Services, name="stock") -> Flask:
    app = quorum.load(app=Flask(name), container=container)
    app.testing = True
    return app


def started(app: Flask, *views) -> Flask:
    """Give an application views, and make its first request."""
    for view in views:
        app.add_url_rule(f"/{view.__name__}", view_func=view)
    app.test_client().get("/")
    return app


def answer(app: Flask, view) -> str:
    return app.test_client().get(f"/{view.__name__}").text


@pytest.mark.parametrize("view", [greeting, by_name, by_provider, later, through_the_module])
def test_a_stock_view_is_injected_with_the_running_container(view):
    """By provider, by name, as a provider, as a coroutine, and however `inject` was imported."""
    app = started(load(), view)
    assert answer(app, view) == "hello"


def test_stock_methods_and_functions_are_injected():
    """Whatever calls them."""
    app = started(load())
    with app.app_context():
        assert Holder.of_none() == "hello"
        assert Holder().of_one() == "hello"
        assert asyncio.run(later()) == "hello"


def test_a_view_that_is_called_first_is_injected_already():
    """It is bound before the first view runs."""
    app = load()
    app.add_url_rule("/", view_func=greeting)
    assert app.test_client().get("/").text == "hello"


def test_a_closure_is_injected():
    """Made in a factory, before the first request."""
    app = load()

    @app.get("/closure")
    @inject
    def closure(greeter: Greeter = Provide[Services.greeter]):
        return greeter.word

    assert answer(app, closure) == "hello"


def test_after_a_reload_the_new_application_answers():
    """`unload` and `load` with another container."""
    started(load(), greeting)
    quorum.unload()
    app = started(load(Replaced, "again"), greeting)
    assert answer(app, greeting) == "replaced"


def test_in_a_subclass_container_the_name_is_followed():
    """A marker of the base gets the service that replaced it; one of the subclass its own."""
    app = started(load(Replaced), greeting, by_name, of_the_subclass)
    assert answer(app, greeting) == "replaced"
    assert answer(app, by_name) == "replaced"
    assert answer(app, of_the_subclass) == "extra"


def test_two_applications_do_not_take_each_others_views():
    """Even with the stock `inject`, since it asks which container runs."""
    one, two = started(load(), greeting), started(load(Replaced, "two"), greeting)
    for _ in range(3):
        assert answer(one, greeting) == "hello"
        assert answer(two, greeting) == "replaced"


def test_an_override_is_seen_and_undone():
    """As with ours."""
    app = started(load(), greeting)
    with app.container.greeter.override(Greeter("fake")):
        assert answer(app, greeting) == "fake"
    assert answer(app, greeting) == "hello"


def test_an_argument_that_is_given_is_left_as_given():
    """By name, as the stock `inject` has it."""
    started(load())
    assert greeting(greeter=Greeter("fake")) == "fake"


def test_outside_of_everything_it_says_how_to_repair_it():
    """Never a bare marker, once it was bound."""
    started(load())
    quorum.unload()
    with pytest.raises(NotLoaded, match=r"call quorum\.load"):
        greeting()


def test_a_container_that_lacks_the_service_says_so():
    """With the marker as it was written."""
    app = started(load())
    with (
        app.app_context(),
        pytest.raises(ConfigurationError, match=r"Provide\[Replaced.extra\] is asked for"),
    ):
        of_the_subclass()


def test_a_stock_view_that_would_be_left_unbound_is_found_at_the_start():
    """An unknown marker, told as in ours."""
    app = load()
    app.add_url_rule("/", view_func=of_the_subclass)
    with pytest.raises(ConfigurationError, match="of_the_subclass, parameter 'extra': asks for"):
        app.test_client().get("/")


def test_a_stock_view_with_a_closing_marker_is_found_at_the_start():
    """It would close what other requests use."""
    app = load()

    @app.get("/")
    @inject
    def view(greeter: Greeter = Closing[Provide[Services.greeter]]):
        return "never"

    with pytest.raises(ConfigurationError, match=r"use quorum\.PerRequest"):
        app.test_client().get("/")


def test_a_stock_view_below_another_decorator_is_looked_at():
    """It is a view as any."""
    app = load()

    def required(function):
        def wrapper():
            return function()

        return wrapper

    app.add_url_rule("/", "view", required(of_the_subclass))
    with pytest.raises(ConfigurationError, match="of_the_subclass"):
        check(app)


class Foreign(containers.DeclarativeContainer):
    """A container that has nothing to do with Quorum."""

    greeter = providers.Singleton(Greeter, "foreign")


@inject
def of_another(greeter: Greeter = Provide[Foreign.greeter], word: Greeter = Provide["greeter"]):
    return f"{greeter.word} {word.word}"


def test_what_another_container_is_wired_to_is_left_to_it():
    """An application may use dependency-injector for itself, and wire its own container."""
    foreign = Foreign()
    foreign.wire(modules=[__name__])
    app = started(load(), of_another, greeting)
    assert answer(app, of_another) == "foreign foreign"
    assert answer(app, greeting) == "hello"
    foreign.unwire()


def test_our_inject_may_stand_above_or_below_the_stock_one():
    """Both find what they ask for."""
    app = load()
    app.add_url_rule("/above", "above", quorum.inject(greeting))

    @app.get("/below")
    @inject
    @quorum.inject
    def below(greeter: Greeter = Provide[Services.greeter]):
        return greeter.word

    client = app.test_client()
    assert client.get("/above").text == client.get("/below").text == "hello"


def test_nothing_is_built_by_binding():
    """A marker as a class attribute is left alone: stock `wire` would build its service."""
    built = []

    class Counting(Services):
        greeter = quorum.ThreadSafeSingleton(lambda: built.append(1))

    app = load(Counting)
    app.get("/")(lambda: "ok")
    assert app.test_client().get("/").text == "ok"
    assert built == []


def test_eight_threads_get_no_wrong_answer():
    """Two applications at once, one view."""
    apps = {
        started(load(), greeting): "hello",
        started(load(Replaced, "two"), greeting): "replaced",
    }
    answers = []

    def work():
        for _ in range(50):
            answers.extend(answer(app, greeting) == word for app, word in apps.items())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 800
    assert all(answers)


def test_dropped_applications_are_not_kept_alive_by_stock_views():
    """The stock registry lives as long as the process, and holds no container."""

    def make():
        app = started(load(), greeting)
        return weakref.ref(app), weakref.ref(app.container)

    references = [reference for _ in range(20) for reference in make()]
    gc.collect()
    assert [reference() for reference in references if reference() is not None] == []


# What follows are names of others that are not documented as theirs to keep.


def test_contract_a_marker_tells_its_provider_and_modifier():
    """dependency-injector: `marker.provider`, `marker.modifier`, and classes of markers."""
    modifier = wiring.as_int()
    marker = wiring.Provide["name", modifier]
    assert (marker.provider, marker.modifier) == ("name", modifier)
    assert isinstance(marker, wiring.Provide)
    assert isinstance(wiring.Provider["name"], wiring.Provider)
    assert isinstance(wiring.Closing["name"], wiring.Closing)


def test_contract_a_providers_map_resolves_with_the_map_and_the_container_it_is_given():
    """dependency-injector: `ProvidersMap._map`, `._container`, `.resolve_provider`."""
    container = containers.DynamicContainer()
    container.one = providers.Object(1)
    names = wiring.ProvidersMap(container)
    other = providers.Object(2)
    names._map = {other: container.one}
    assert names.resolve_provider(other) is container.one
    assert names.resolve_provider("one") is container.one
    assert names.resolve_provider("two") is None
    assert names._container is container


def test_contract_the_stock_registry_knows_what_was_decorated():
    """dependency-injector: `wiring._patched_registry` and the attributes of its entries."""
    patched = wiring._patched_registry.get_callable(greeting)
    assert patched.original.__name__ == "greeting"
    assert list(patched.reference_injections) == ["greeter"]
    assert patched in wiring._patched_registry._callables.values()
    patched.add_injection("greeter", providers.Object(Greeter("bound")))
    assert greeting() == "bound"


def test_contract_the_classes_of_a_container_tell_their_own_providers():
    """dependency-injector: `cls_providers`, `providers` and `__self__` of a container class."""
    assert list(Replaced.cls_providers) == ["greeter", "extra"]
    assert {"settings", "mailer", "greeter", "extra"} <= set(Replaced.providers)
    assert isinstance(Replaced.__self__, providers.Self)


def test_contract_a_singleton_takes_the_lock_of_its_class():
    """dependency-injector: `storage_lock`, asked of the class by each provider that is made."""
    asked = []

    class Lock:
        def __get__(self, instance, owner):
            asked.append(owner)
            return threading.RLock()

    class Own(providers.ThreadSafeSingleton):
        storage_lock = Lock()

    Own(Greeter)
    Own(Greeter)
    assert asked == [Own, Own]


def test_contract_a_provider_of_a_subclass_may_become_one_of_the_stock_class():
    """CPython: `__class__` of an object whose class adds nothing to its layout can be set."""
    container = Services(settings=quorum.Settings())
    assert type(Services.greeter) is quorum.ThreadSafeSingleton
    assert type(container.greeter) is providers.ThreadSafeSingleton


def test_contract_a_provider_calls_the_provide_of_its_subclass():
    """dependency-injector: `_provide` is what a call that is not overridden comes to."""

    class Own(providers.Factory):
        def _provide(self, args, kwargs):
            return args, kwargs

    assert Own(Greeter)(1, a=2) == ((1,), {"a": 2})


@pytest.mark.parametrize(
    "lock", [providers.ThreadSafeSingleton.storage_lock, providers.Provider.overriding_lock]
)
def test_contract_a_lock_can_be_opened_after_a_fork(lock):
    """CPython: `_at_fork_reinit` of the re-entrant locks that stock providers share."""
    assert callable(lock._at_fork_reinit)


def test_contract_flask_gives_the_active_application():
    """Flask: `current_app._get_current_object`, and RuntimeError outside of a context."""
    app = Flask("plain")
    with app.app_context():
        assert quorum.current.active_app() is app
    with pytest.raises(RuntimeError):
        quorum.current.active_app()
