"""`/health/live` and `/health/ready`, as a balancer or an orchestrator asks them."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

import quorum
from quorum import Container, Settings, ThreadSafeSingleton
from quorum.errors import Unavailable
from quorum.services.health import Health
from quorum.testing import fakes
from tests.servers import LOCAL, free_port
from tests.services.mailer.servers import SmtpServer
from tests.waiting import at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.test import TestResponse

SECRET = "marker-password"


class Clock:
    """A service of the application, which answers until it is stopped."""

    def __init__(self) -> None:
        self.stopped = False
        self.pings = 0

    def ping(self) -> None:
        self.pings += 1
        if self.stopped:
            raise Unavailable("clock", f"{SECRET} stopped")


class Shop(Container):
    clock = ThreadSafeSingleton(Clock)


def shop(name: str = "shop", **settings: Any) -> Flask:
    app = Flask(name)
    return quorum.load(app=app, container=Shop, settings=Settings(**settings))


@pytest.fixture
def app() -> Iterator[Flask]:
    """An application with nothing configured."""
    app = shop()
    yield app
    quorum.unload(app)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and never says a word."""
    with socket.create_server((LOCAL, 0)) as listening:
        yield listening.getsockname()[1]


def ask(app: Flask, path: str = "/health/ready") -> TestResponse:
    return app.test_client().get(path)


def test_live_is_up(app: Flask):
    """It says that the process answers, and no more."""
    response = ask(app, "/health/live")
    assert (response.status_code, response.json) == (200, {"status": "up"})


def test_live_touches_nothing(app: Flask):
    """No service is built or asked, and no thread is begun, whatever is configured or down."""
    app.container.clock().stopped = True
    built, threads = list(app.container.ledger.entries), threading.active_count()
    assert ask(app, "/health/live").status_code == 200
    assert app.container.clock().pings == 0
    assert (app.container.ledger.entries, threading.active_count()) == (built, threads)


def test_live_does_without_a_container(app: Flask):
    """It is up in an application that was unloaded, which may be on its way out."""
    quorum.unload(app)
    assert ask(app, "/health/live").json == {"status": "up"}


def test_ready_is_up_with_nothing_in_use(app: Flask):
    """Services that were never used or configured do not count."""
    response = ask(app)
    assert (response.status_code, response.json["status"]) == (200, "up")
    assert {each["status"] for each in response.json["services"].values()} == {"unused"}


def test_ready_gives_status_driver_and_seconds_of_each_service(app: Flask):
    """In the order of the container."""
    app.container.clock()
    services = ask(app).json["services"]
    assert {*services} == {
        "amqp",
        "mailer",
        "mongo",
        "pusher",
        "redis",
        "storage",
        "tasks",
        "clock",
    }
    assert services["mailer"] == {"status": "unused", "driver": "memory", "seconds": None}
    assert services["clock"] == services["clock"] | {"status": "up", "driver": "Clock"}
    assert 0 <= services["clock"]["seconds"] < 1


def test_ready_is_503_when_one_in_use_is_down(app: Flask):
    """One is enough."""
    app.container.mailer()
    app.container.clock().stopped = True
    response = ask(app)
    assert (response.status_code, response.json["status"]) == (503, "down")
    assert response.json["services"]["mailer"]["status"] == "up"
    assert response.json["services"]["clock"]["status"] == "down"


def test_ready_follows_a_real_server():
    """Up while it runs, down after it stopped."""
    with SmtpServer() as server:
        app = shop(mailer={"host": LOCAL, "port": server.port})
        assert ask(app).json["services"]["mailer"]["status"] == "up"
    end = time.monotonic() + 10
    while ask(app).status_code == 200:
        assert time.monotonic() < end
    quorum.unload(app)


def test_ready_answers_within_a_second_however_slow_a_server_is(silent: int):
    """A server that accepts and says nothing is down, by then."""
    app = shop(mailer={"host": LOCAL, "port": silent})
    app.container.mailer()
    with at_most(1):
        response = ask(app)
    assert response.json["services"]["mailer"]["status"] == "down"
    quorum.unload(app)


def test_ready_tells_no_address_no_error_and_no_secret():
    """Anyone may ask."""
    port = free_port()
    address = {"host": LOCAL, "port": port, "user": "marker-user", "password": SECRET}
    app = shop(mailer=address, secret_key=SECRET)
    app.container.clock().stopped = True
    response = ask(app)
    assert response.status_code == 503
    text = response.text + str(response.headers)
    for word in (SECRET, "marker-user", LOCAL, str(port), "stopped", "refused"):
        assert word not in text
    quorum.unload(app)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_the_answers_are_json_that_nobody_keeps(app: Flask, path: str):
    """A cache between must not answer in the place of the application."""
    response = ask(app, path)
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("stopped", "status"), [(False, 200), (True, 503)])
def test_head_is_answered_as_get_is(app: Flask, stopped: bool, status: int):
    """With the same status, and without a body."""
    app.container.clock().stopped = stopped
    response = app.test_client().head("/health/ready")
    assert (response.status_code, response.data) == (status, b"")


def test_other_methods_and_paths_are_not_there(app: Flask):
    """Nothing else under `/health/` is ours."""
    client = app.test_client()
    assert client.post("/health/ready").status_code == 405
    assert [client.get(f"/health/{each}").status_code for each in ("", "other")] == [404, 404]


def test_a_request_each_is_not_a_ping_each(app: Flask):
    """Requests in quick succession share a report."""
    clock = app.container.clock()
    assert [ask(app).status_code for _ in range(20)] == [200] * 20
    assert clock.pings < 5


@pytest.mark.parametrize("before", [True, False], ids=["before load", "after load"])
def test_the_applications_own_route_wins(before: bool):
    """An application that has its own `/health/live` keeps it; the other stays ours."""
    app = Flask("own")
    if not before:
        quorum.load(app=app)
    app.add_url_rule("/health/live", "alive", lambda: "alive and kicking")
    if before:
        quorum.load(app=app)
    assert ask(app, "/health/live").text == "alive and kicking"
    assert ask(app).json["status"] == "up"
    quorum.unload(app)


def test_an_unloaded_application_is_not_ready(app: Flask):
    """A balancer sends it no more requests."""
    quorum.unload(app)
    response = ask(app)
    assert (response.status_code, response.json) == (503, {"status": "down", "services": {}})


def test_an_application_that_is_loaded_again_is_ready_again(app: Flask):
    """With its new services; nothing is left of the old ones."""
    app.container.clock().stopped = True
    assert ask(app).status_code == 503
    quorum.unload(app)
    quorum.load(app=app, container=Shop)
    assert ask(app).status_code == 200
    assert ask(app).json["services"]["clock"]["status"] == "unused"


def test_two_applications_are_apart(app: Flask):
    """Each answers for its own services."""
    other = shop("other")
    other.container.clock().stopped = True
    app.container.clock()
    assert (ask(other).status_code, ask(app).status_code) == (503, 200)
    quorum.unload(other)


def test_fakes_are_asked_in_a_test():
    """A test of an application is not told of servers that its environment names."""
    app = shop(mailer={"host": LOCAL, "port": free_port()})
    assert ask(app).status_code == 503
    with fakes(app):
        assert ask(app).status_code == 200
    quorum.unload(app)


def test_the_report_may_be_overridden(app: Flask):
    """`Container.health` is a provider like any other."""
    with app.container.health.override(Health(Shop(settings=Settings()))):
        app.container.clock().stopped = True
        assert ask(app).status_code == 200
