"""Health: which services are asked, when, and what is made of the answer."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from dependency_injector import providers

import quorum
from quorum import Container, Settings, ThreadSafeSingleton, choose, lazy
from quorum.errors import ConfigurationError, Unavailable
from quorum.services.mailer.memory import MemoryMailer
from quorum.settings import MailerSettings
from quorum.testing import fakes
from tests.servers import LOCAL, free_port
from tests.waiting import PAUSE, at_most, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quorum.services.health import Report, ServiceHealth

DEADLINE = 10.0


class Clock:
    """A service of an application; `answer` is what its ping does."""

    def __init__(self, answer: Callable[[], Any] = lambda: None) -> None:
        self.answer = answer
        self.pings = 0

    def ping(self) -> Any:
        self.pings += 1
        return self.answer()


class Greeter:
    """A service that cannot be pinged."""


class Shop(Container):
    clock = ThreadSafeSingleton(Clock)
    greeter = ThreadSafeSingleton(Greeter)


def shop(**settings: Any) -> Shop:
    return Shop(settings=Settings(**settings))


def health_of(report: Report, name: str = "clock") -> ServiceHealth:
    (found,) = [each for each in report.services if each.name == name]
    return found


def statuses(report: Report) -> dict[str, str]:
    return {each.name: each.status for each in report.services}


def down(sentence: str = "it is closed") -> Callable[[], None]:
    def answer() -> None:
        raise Unavailable("clock", sentence)

    return answer


def clock_threads() -> int:
    return sum(thread.name == "quorum-health-clock" for thread in threading.enumerate())


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """A ping that waits on it hangs until the test ends, at the latest."""
    released = threading.Event()
    yield released
    released.set()
    wait_until(lambda: clock_threads() == 0)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and never says a word."""
    with socket.create_server((LOCAL, 0)) as listening:
        yield listening.getsockname()[1]


def test_nothing_is_in_use_at_first():
    """A new application is up; its services are unused, and the report builds none."""
    container = shop()
    report = container.health().check()
    assert report.status == "up"
    assert statuses(report) == dict.fromkeys(
        ("amqp", "mailer", "mongo", "pusher", "redis", "storage", "tasks", "clock"), "unused"
    )
    assert [name for name, _ in container.ledger.entries] == ["health"]


def test_an_unused_service_has_a_driver_and_no_seconds():
    """The report says what would serve."""
    found = health_of(shop().health().check(), "mailer")
    assert (found.driver, found.seconds, found.reason) == ("memory", None, None)


def test_a_twin_that_serves_is_asked():
    """A service that was built counts, embedded or not."""
    container = shop()
    container.mailer()
    found = health_of(container.health().check(), "mailer")
    assert (found.status, found.driver) == ("up", "memory")
    assert found.seconds is not None


def test_every_twin_answers():
    """With nothing configured, all that serves is up."""
    container = shop()
    nouns = ("mailer", "mongo", "redis", "storage")
    for noun in nouns:
        getattr(container, noun)()
    report = container.health().check()
    assert {name: statuses(report)[name] for name in nouns} == dict.fromkeys(nouns, "up")
    container.ledger.close()


def test_a_twin_that_was_closed_is_down():
    """Twins are asked as drivers are."""
    container = shop()
    container.mailer().close()
    assert health_of(container.health().check(), "mailer").status == "down"


def test_a_configured_service_is_asked_before_it_is_used():
    """A server that is named in the settings counts, though nobody asked for it yet."""
    container = shop(mailer={"host": LOCAL, "port": free_port()})
    report = container.health().check()
    found = health_of(report, "mailer")
    assert (report.status, found.status, found.driver) == ("down", "down", "smtp")
    assert "refused" in str(found.reason)


def test_a_service_without_an_address_is_unused_where_twins_are_forbidden():
    """EMBEDDED=never makes nothing down that nobody asks for."""
    report = shop(embedded="never").health().check()
    assert (report.status, health_of(report, "mailer").status) == ("up", "unused")


def test_ones_own_service_counts_once_it_is_built():
    """A service of the application is asked if it has a `ping`."""
    container = shop()
    container.clock()
    container.greeter()
    report = container.health().check()
    assert (health_of(report).status, health_of(report).driver) == ("up", "Clock")
    assert "greeter" not in statuses(report)


def test_ones_own_in_the_place_of_ours_is_configured_by_the_same_settings():
    """What replaces the mailer is asked where SMTP_HOST is set."""

    class Replaced(Container):
        mailer = ThreadSafeSingleton(Clock)

    container = Replaced(settings=Settings(mailer={"host": "mail.invalid"}))
    found = health_of(container.health().check(), "mailer")
    assert (found.status, found.driver) == ("up", "Clock")


def test_a_second_service_of_a_kind_is_configured_by_its_own_group():
    """The group that `choose` is given says whether a server is named, whatever the name."""

    class Two(Container):
        newsletter = ThreadSafeSingleton(
            choose(Clock, memory=Clock, smtp=lambda _: Clock(down())), MailerSettings(host="a")
        )

    container = Two(settings=Settings())
    assert health_of(container.health().check(), "newsletter").status == "down"


@pytest.mark.parametrize(
    "override",
    [Clock, lambda: providers.Object(Clock()), lambda: providers.Singleton(Clock)],
    ids=["object", "provider of an object", "singleton"],
)
def test_an_override_is_asked_in_the_place_of_the_service(override: Callable[[], Any]):
    """What a test puts there is in use."""
    container = shop(mailer={"host": LOCAL, "port": free_port()})
    with container.mailer.override(override()):
        found = health_of(container.health().check(), "mailer")
    assert (found.status, found.driver) == ("up", "Clock")


def test_an_override_that_cannot_be_asked_is_left_out():
    """An object without a `ping` is neither up nor down."""
    container = shop()
    with container.mailer.override(object()):
        assert "mailer" not in statuses(container.health().check())


def test_a_class_is_not_asked():
    """An object that is a class has a `ping`, of objects it has none."""
    container = shop()
    with container.greeter.override(providers.Object(Clock)):
        assert "greeter" not in statuses(container.health().check())


def test_fakes_are_asked_in_the_place_of_the_services():
    """Inside of `fakes` no server is asked, at once; after it they are again, at once."""
    settings = Settings(mailer={"host": LOCAL, "port": free_port()})
    app = quorum.load(name="shop", container=Shop, settings=settings)
    check = app.container.health().check
    assert statuses(check())["mailer"] == "down"
    with fakes(app) as twins:
        assert health_of(check(), "mailer").driver == "memory"
        assert statuses(check())["mailer"] == "unused"
        assert isinstance(twins.mailer, MemoryMailer)
        assert statuses(check())["mailer"] == "up"
    assert statuses(check())["mailer"] == "down"


def test_two_containers_are_apart():
    """What is down in one is not in the other."""
    one, two = shop(), shop()
    one.clock().answer = down()
    two.clock()
    assert (one.health().check().status, two.health().check().status) == ("down", "up")


def test_one_that_is_down_takes_no_other_with_it():
    """The report names it; the rest are as they are."""
    container = shop()
    container.mailer()
    container.clock().answer = down()
    report = container.health().check()
    assert report.status == "down"
    assert statuses(report) | {"mailer": "up", "clock": "down"} == statuses(report)


def test_the_reason_is_the_sentence_of_the_error():
    """Without the noun, which stands beside it, and in one line."""
    container = shop()
    container.clock().answer = down("no server\nanswers")
    assert health_of(container.health().check()).reason == "no server answers"


def test_the_text_of_a_foreign_error_is_not_told(caplog: pytest.LogCaptureFixture):
    """It might hold a secret: its class must do."""

    def answer() -> None:
        raise ConnectionError("redis://:marker-password@host")

    container = shop()
    container.clock().answer = answer
    report = container.health().check()
    assert health_of(report).reason == "ConnectionError was raised"
    assert "marker-password" not in caplog.text + repr(report)


def test_a_ping_that_ends_its_thread_is_down():
    """Whatever it raises."""
    container = shop()
    container.clock().answer = lambda: sys.exit(1)
    assert health_of(container.health().check()).reason == "SystemExit was raised"


def test_a_coroutine_is_awaited():
    """A service may write `async def ping`."""

    async def fail() -> None:
        down("it is asleep")()

    container = shop()
    container.clock().answer = fail
    assert health_of(container.health().check()).reason == "it is asleep"


def test_a_service_that_cannot_be_built_is_down():
    """So is one whose library is missing; the others are asked all the same."""

    class Broken(Shop):
        mailer = ThreadSafeSingleton(
            choose(Clock, smtp=lazy("tests.services.nowhere:Clock")),
            Container.settings.provided.mailer,
        )

    container = Broken(settings=Settings(mailer={"host": "mail.invalid"}))
    container.clock()
    report = container.health().check()
    assert "there is no module 'tests.services.nowhere'" in str(health_of(report, "mailer").reason)
    assert statuses(report)["clock"] == "up"


def test_a_service_that_can_be_built_later_comes_up():
    """It is tried again in the next check."""
    failing = [True]

    def build() -> Clock:
        if failing:
            raise ConfigurationError("not yet")
        return Clock()

    container = shop()
    with container.clock.override(providers.Singleton(build)):
        assert health_of(container.health().check()).reason == "not yet"
        failing.clear()
        wait_until(lambda: container.health().check().status == "up")


def test_without_threads_to_be_had_the_service_is_down(monkeypatch: pytest.MonkeyPatch):
    """A process at its limit answers, rather than fail."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    container = shop()
    container.clock()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert health_of(container.health().check()).reason == "RuntimeError was raised"


def test_a_server_that_never_answers_is_down_within_a_second(silent: int):
    """The answer does not wait for the server."""
    container = shop(mailer={"host": LOCAL, "port": silent})
    container.mailer()
    with at_most(1):
        found = health_of(container.health().check(), "mailer")
    assert (found.status, found.reason) == ("down", "it did not answer within 0.8 seconds")


def test_services_are_asked_at_the_same_time():
    """Each of these pings returns only once the others are there too."""
    meeting = threading.Barrier(3)
    names = ("mailer", "mongo", "redis")
    container = shop()
    for name in names:
        getattr(container, name).override(Clock(lambda: meeting.wait(DEADLINE)))
    assert container.health().check().status == "up"


def test_a_ping_that_hangs_is_not_begun_again(hanging: threading.Event):
    """Fifty checks begin one ping and keep one thread; none takes a second."""
    container = shop()
    clock = container.clock()
    clock.answer = lambda: hanging.wait(DEADLINE)
    for _ in range(50):
        # An override that comes and goes asks anew each time.
        with container.greeter.override(Clock()), at_most(1):
            report = container.health().check()
        assert health_of(report).reason == "it did not answer within 0.8 seconds"
        assert health_of(report, "greeter").status == "up"
    assert (clock.pings, clock_threads()) == (1, 1)


def test_a_service_is_asked_again_when_its_ping_has_ended(hanging: threading.Event):
    """It comes up with the first ping that returns in time."""
    container = shop()
    container.clock().answer = lambda: hanging.wait(DEADLINE)
    assert container.health().check().status == "down"
    hanging.set()
    wait_until(lambda: container.health().check().status == "up")
    assert container.clock().pings == 2


def test_another_service_in_its_place_does_not_wait_for_it(hanging: threading.Event):
    """What an override put there is asked, though the ping of the old one hangs."""
    container = shop()
    container.clock().answer = lambda: hanging.wait(DEADLINE)
    assert container.health().check().status == "down"
    with container.clock.override(Clock()):
        assert container.health().check().status == "up"


def test_a_service_that_is_always_late_is_always_down():
    """It does not count as up because its last ping ended in the meantime."""
    container = shop()
    container.clock().answer = lambda: time.sleep(0.9)
    found = []
    while len(found) < 4:
        with container.greeter.override(Clock()):
            found.append(health_of(container.health().check()).status)
    assert found == ["down"] * 4


def test_building_a_service_is_no_part_of_its_time():
    """A driver that takes long to import, or to build its client, is not down for that."""

    class Driver(Clock):
        def __init__(self, _: Any) -> None:
            super().__init__()
            time.sleep(0.5)
            self.built = False

        def prepare(self) -> None:
            if not self.built:
                time.sleep(0.9)
                self.built = True

        def ping(self) -> None:
            self.prepare()

    class Slow(Container):
        redis = ThreadSafeSingleton(choose(Clock, server=Driver), Container.settings.provided.redis)

    container = Slow(settings=Settings(redis={"url": "redis://redis.invalid"}))
    assert health_of(container.health().check(), "redis").status == "up"


def test_a_driver_that_cannot_be_prepared_is_asked():
    """Its ping is what tells why."""

    class Driver(Clock):
        def __init__(self, _: Any) -> None:
            super().__init__()

        def prepare(self) -> None:
            raise Unavailable("redis", "there is none")

    class Own(Container):
        redis = ThreadSafeSingleton(choose(Clock, server=Driver), Container.settings.provided.redis)

    container = Own(settings=Settings(redis={"url": "redis://redis.invalid"}))
    assert health_of(container.health().check(), "redis").status == "up"


def test_a_report_is_given_again_for_a_second():
    """Checks in quick succession ask once; later ones ask anew."""
    container = shop()
    clock = container.clock()
    first = container.health().check()
    assert container.health().check() is first
    clock.answer = down()
    wait_until(lambda: container.health().check().status == "down")
    assert clock.pings == 2


def test_threads_share_one_check():
    """Twenty callers at once cause one ping, and are given the same report."""
    container = shop()
    arrived = threading.Barrier(20)
    container.clock().answer = lambda: time.sleep(0.3)
    reports = []

    def check() -> None:
        arrived.wait(DEADLINE)
        reports.append(container.health().check())

    threads = [threading.Thread(target=check) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert container.clock().pings == 1
    assert len(reports) == 20
    assert len({id(report) for report in reports}) == 1


def test_callers_that_wait_for_a_slow_server_wait_for_it_once(hanging: threading.Event):
    """However many call, and whatever changes meanwhile, each is answered within a second."""
    container = shop()
    container.clock().answer = lambda: hanging.wait(DEADLINE)
    took = []

    def check() -> None:
        start = time.monotonic()
        container.health().check()
        took.append(time.monotonic() - start)

    threads = [threading.Thread(target=check) for _ in range(10)]
    for number, thread in enumerate(threads):
        thread.start()
        if number == 5:
            container.mailer()
    for thread in threads:
        thread.join()
    assert len(took) == 10
    assert max(took) < 1.0 + PAUSE


def test_a_service_that_is_first_used_is_asked_at_once():
    """The report of before does not stand for it."""
    container = shop()
    assert statuses(container.health().check())["clock"] == "unused"
    container.clock()
    assert statuses(container.health().check())["clock"] == "up"


def test_a_service_may_ask_for_the_report():
    """One whose ping does so is late, and the next check is answered all the same."""
    container = shop()
    container.clock().answer = container.health().check
    assert health_of(container.health().check()).status == "down"
    wait_until(lambda: clock_threads() == 0)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_asks_for_itself(hanging: threading.Event):
    """It waits neither for a check nor for a ping of its parent, and gets no report of it."""
    container = shop()
    clock = container.clock()
    clock.answer = lambda: hanging.wait(DEADLINE)
    thread = threading.Thread(target=container.health().check)
    thread.start()
    wait_until(lambda: clock.pings == 1)
    process = os.fork()
    if process == 0:
        code = 1
        try:
            clock.answer = lambda: None
            start = time.monotonic()
            fine = container.health().check().status == "up"
            code = 0 if fine and time.monotonic() - start < 1.0 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    thread.join()


def check_until(container: Shop, status: str) -> None:
    wait_until(lambda: statuses(container.health().check())["clock"] == status)


def test_a_change_is_logged_once(caplog: pytest.LogCaptureFixture):
    """Down with the reason, then up again; not at every check."""
    caplog.set_level(logging.DEBUG, "quorum.health")
    container = shop()
    clock = container.clock()
    check_until(container, "up")
    clock.answer = down("the server refused")
    check_until(container, "down")
    pings = clock.pings
    clock.answer = down("another reason")
    wait_until(lambda: (check_until(container, "down"), clock.pings > pings)[1])
    clock.answer = lambda: None
    check_until(container, "up")
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("ERROR", "clock is down: the server refused"),
        ("INFO", "clock is up again"),
    ]


def test_all_well_is_not_logged(caplog: pytest.LogCaptureFixture):
    """A service that was never down is not news."""
    caplog.set_level(logging.DEBUG, "quorum.health")
    container = shop()
    container.clock()
    check_until(container, "up")
    assert caplog.records == []
