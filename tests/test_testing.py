"""Fakes."""

from __future__ import annotations

import threading

import pytest
from flask import Flask

import quorum
from quorum import (
    Broker,
    ConfigurationError,
    Container,
    Mailer,
    NotLoaded,
    Provide,
    Settings,
    ThreadSafeSingleton,
    choose,
    inject,
)
from quorum.services.mailer.memory import MemoryMailer
from quorum.services.mailer.smtp import SmtpMailer
from quorum.testing import fakes


class Greeter:
    """A service that sends mail."""

    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer


class Clock:
    """A service that nothing depends on, and that depends on nothing."""


class Shop(Container):
    greeter = ThreadSafeSingleton(Greeter, mailer=Container.mailer)
    clock = ThreadSafeSingleton(Clock)


@pytest.fixture
def app() -> Flask:
    """An application whose mail would go out by SMTP."""
    settings = Settings(mailer={"host": "mail.invalid", "sender": "shop@example.org"})
    return quorum.load(app=Flask("shop"), container=Shop, settings=settings)


def send(mailer: Mailer) -> None:
    mailer.send(subject="Thanks", to="ana@example.org", text="Thank you.")


def test_fakes_serve_the_twin(app: Flask):
    """Inside of `fakes` the embedded twin serves, whatever is configured."""
    with fakes(app) as twins:
        send(app.container.mailer())
        assert [str(mail["Subject"]) for mail in twins.mailer.outbox] == ["Thanks"]


def test_fakes_are_undone(app: Flask):
    """After `fakes` the application has the driver that is configured."""
    with fakes(app):
        pass
    assert isinstance(app.container.mailer(), SmtpMailer)


def test_fakes_are_undone_after_an_error(app: Flask):
    """`fakes` puts all back when the test fails, too."""
    with pytest.raises(ZeroDivisionError), fakes(app):
        _ = 1 / 0
    assert isinstance(app.container.mailer(), SmtpMailer)


def test_each_fakes_is_fresh(app: Flask):
    """A second `fakes` starts with an empty outbox."""
    with fakes(app) as twins:
        send(twins.mailer)
    with fakes(app) as twins:
        twins.mailer.assert_nothing_sent()


def test_a_built_singleton_gets_the_twin(app: Flask):
    """A service that was built with the real one is built anew with the twin."""
    before = app.container.greeter()
    with fakes(app) as twins:
        assert app.container.greeter().mailer is twins.mailer
    assert app.container.greeter() is before


def test_what_has_no_twin_in_it_stays(app: Flask):
    """A service that has nothing to do with a twin is the same inside and outside."""
    clock = app.container.clock()
    with fakes(app):
        assert app.container.clock() is clock


def test_a_service_built_inside_is_not_left_behind(app: Flask):
    """A service first built inside of `fakes` is built anew after it."""
    with fakes(app):
        inside = app.container.greeter()
    assert app.container.greeter() is not inside
    assert isinstance(app.container.greeter().mailer, SmtpMailer)


def test_only_the_named_are_faked(app: Flask):
    """`fakes(only=[])` fakes nothing; `only` and `except_` choose by noun."""
    with fakes(app, only=[]):
        assert isinstance(app.container.mailer(), SmtpMailer)
    with fakes(app, except_=["mailer"]):
        assert isinstance(app.container.mailer(), SmtpMailer)
    with fakes(app, only=["mailer"]) as twins:
        assert app.container.mailer() is twins.mailer


def test_an_unknown_noun_is_refused(app: Flask):
    """A noun without a twin is an error that lists those there are."""
    with (
        pytest.raises(ConfigurationError, match="no twin of mailr; there are amqp, mailer"),
        fakes(app, only=["mailr"]),
    ):
        pass


def test_a_twin_that_is_not_faked_is_not_given(app: Flask):
    """What is asked of the twins, and is not faked, is an error."""
    with fakes(app, only=[]) as twins, pytest.raises(AttributeError, match="not faked here"):
        _ = twins.mailer


def test_an_override_of_the_test_is_kept(app: Flask):
    """An override that the test made before `fakes` holds inside and after it."""
    clock = Clock()
    app.container.clock.override(clock)
    with fakes(app):
        assert app.container.clock() is clock
    assert app.container.clock() is clock
    app.container.clock.reset_override()


def test_an_override_of_a_twin_inside_is_kept(app: Flask):
    """Leaving `fakes` undoes its own override, not one made inside of it."""
    own = MemoryMailer(Settings().mailer, lambda template, _: template)
    with fakes(app):
        app.container.mailer.override(own)
    assert app.container.mailer() is own
    app.container.mailer.reset_override()


def test_fakes_may_be_nested(app: Flask):
    """Inside of `fakes`, another gives its own twins, and the outer ones come back."""
    with fakes(app) as outer:
        with fakes(app) as inner:
            send(app.container.mailer())
            inner.mailer.assert_sent(times=1)
        assert app.container.mailer() is outer.mailer
        outer.mailer.assert_nothing_sent()


def test_an_own_service_with_a_memory_driver_is_faked():
    """A service of the application that is declared with `choose(memory=…)` has a twin too."""

    class Payments:
        def __init__(self, settings: object) -> None:
            self.settings = settings

    class Stripe(Payments):
        pass

    class Bank(Container):
        payments = ThreadSafeSingleton(
            choose(Payments, memory=Payments, smtp=Stripe), Container.settings.provided.mailer
        )

    settings = Settings(mailer={"host": "mail.invalid"})
    app = quorum.init_app(Flask("bank"), container=Bank, settings=settings)
    assert type(app.container.payments()) is Stripe
    with fakes(app) as twins:
        assert type(twins.payments) is Payments
        assert app.container.payments() is twins.payments


def test_twins_serve_where_no_twin_is_allowed():
    """With EMBEDDED=never `fakes` still gives twins: it is the test that asks."""
    app = quorum.init_app(Flask("shop"), settings=Settings(embedded="never"))
    with fakes(app) as twins:
        send(app.container.mailer())
        twins.mailer.assert_sent(to="ana@example.org", times=1)


def test_two_applications_have_their_own_twins():
    """Eight threads with two applications and their own fakes give no wrong answer."""
    apps = [quorum.init_app(Flask(name), container=Shop) for name in ("left", "right")]
    wrong: list[str] = []

    def work(app: Flask, twin: MemoryMailer) -> None:
        for _ in range(1250):
            with app.app_context():
                if quorum.get_app().container.mailer() is not twin:
                    wrong.append(app.name)

    with fakes(apps[0]) as left, fakes(apps[1]) as right:
        twins = [left.mailer, right.mailer]
        threads = [
            threading.Thread(target=work, args=(apps[place % 2], twins[place % 2]))
            for place in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_leaving_nested_fakes_never_shows_the_real_service(app: Flask):
    """While inner `fakes` end, a thread under the outer ones meets twins only."""
    met: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            met.add(type(app.container.mailer()).__name__)

    with fakes(app):
        thread = threading.Thread(target=look)
        thread.start()
        for _ in range(300):
            with fakes(app):
                app.container.mailer()
        stop.set()
        thread.join()
    assert met == {"MemoryMailer"}


def test_fakes_of_an_application_without_quorum_say_what_to_do():
    """`fakes` of an application that is not loaded raises NotLoaded."""
    with pytest.raises(NotLoaded, match="'plain' is not loaded"), fakes(Flask("plain")):
        pass


def test_messages_and_events_are_asserted(app: Flask):
    """The twins of AMQP and Pusher tell what was published and triggered, each by its noun."""
    with fakes(app) as twins:
        broker = quorum.get_app().container.amqp()
        broker.declare_queue("orders")
        broker.publish({"id": 1}, routing_key="orders")
        app.container.pusher().trigger("orders", "new", {"id": 1})
        twins.amqp.assert_published(routing_key="orders", json={"id": 1})
        twins.pusher.assert_triggered(channel="orders", event="new", data={"id": 1})
        for wrong in (
            lambda: twins.amqp.assert_published(routing_key="orders", json={"id": 2}),
            lambda: twins.pusher.assert_triggered(channel="orders", event="old"),
        ):
            with pytest.raises(AssertionError):
                wrong()


def test_a_handler_runs_inside_the_fakes(app: Flask):
    """What consumes from the twin runs in the application, and meets the other twins."""
    with fakes(app) as twins:
        twins.amqp.declare_queue("orders")
        twins.amqp.consume("orders", lambda _: send(quorum.APP.container.mailer()))
        twins.amqp.publish("1", routing_key="orders")
        twins.amqp.drain()
        twins.mailer.assert_sent(to="ana@example.org", times=1)


def test_what_is_made_ready_on_run_is_so_in_each_fakes(app: Flask):
    """`onrun` functions are called anew for the twins, and for the application afterwards."""
    called = []

    @quorum.onrun
    @inject
    def declare(amqp: Broker = Provide[Container.amqp]):
        called.append(amqp)
        amqp.declare_queue("orders")

    @app.post("/orders")
    @inject
    def order(amqp: Broker = Provide[Container.amqp]):
        amqp.publish("an order", routing_key="orders")
        return ""

    for _ in range(2):
        with fakes(app) as twins:
            assert app.test_client().post("/orders").status_code == 200
            twins.amqp.assert_published(routing_key="orders")
    assert app.test_client().post("/orders").status_code == 200
    assert len({id(broker) for broker in called}) == len(called) == 3


def test_a_noun_may_be_given_by_itself(app: Flask):
    """`only` and `except_` take one noun as well as several."""
    with fakes(app, only="mailer") as twins:
        assert app.container.mailer() is twins.mailer
    with fakes(app, except_="mailer"):
        assert isinstance(app.container.mailer(), SmtpMailer)
