"""An application that publishes under gunicorn, on a broker that is restarted meanwhile."""

from __future__ import annotations

import queue
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import urllib3

from tests.services.amqp.own_server import (
    PASSWORD,
    OwnServer,
    connected,
    drained,
    new_queue,
)
from tests.test_gunicorn import WORKERS, gunicorn
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live("amqp")

REQUESTS = 2000
VISITORS = 16

APPLICATION = """\
import os

import quorum
from quorum import Container, Provide, ServiceError, inject
from quorum.services.amqp.base import Broker

app = quorum.load(name=__name__)


@app.post("/orders/<name>")
@inject
def order(name, amqp: Broker = Provide[Container.amqp]):
    try:
        amqp.publish({"order": name}, routing_key=os.environ["ORDERS"], message_id=name)
    except ServiceError as error:
        return str(error), 503
    return "", 200


@app.get("/live")
def live():
    return ""


@app.after_request
def name_the_worker(response):
    response.headers["X-Worker"] = str(os.getpid())
    return response
"""

USED = """\

app.container.amqp().publish("", routing_key=os.environ["ORDERS"], message_id="preloaded")
"""
"""With --preload this runs before the fork: the connection must not cross it."""


@dataclass
class Told:
    """What visitors were told of each order: the status, and the sentence if it failed."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)
    workers: set[str] = field(default_factory=set)
    slowest: float = 0.0

    def names(self, status: int, word: str = "") -> set[str]:
        """Return the orders that were answered so."""
        answers = list(self.answers.items())
        return {name for name, (told, said) in answers if told == status and word in said}


@dataclass
class Outcome:
    """What is left after the traffic."""

    told: Told
    found: list[str]
    before: set[str]
    after: set[str]
    status: int
    log: str


class Visitor:
    """One who orders, over a connection for each order."""

    def __init__(self, url: str, told: Told) -> None:
        self._url = url
        self._told = told
        # One that the server closes as idle would look like a fault.
        self._http = urllib3.PoolManager(retries=False, timeout=20, headers={"Connection": "close"})

    def order(self) -> None:
        """Order something that nobody ordered before."""
        name, start = uuid.uuid4().hex, time.monotonic()
        try:
            answer = self._http.request("POST", f"{self._url}/orders/{name}")
        except urllib3.exceptions.HTTPError as error:
            self._told.odd.append(repr(error))
            return
        self._told.answers[name] = answer.status, answer.data.decode()
        self._told.slowest = max(self._told.slowest, time.monotonic() - start)
        self._told.workers.add(answer.headers["X-Worker"])

    def live(self) -> None:
        """Ask whether a worker lives."""
        answer = self._http.request("GET", f"{self._url}/live")
        self._told.workers.add(answer.headers["X-Worker"])

    def close(self) -> None:
        self._http.clear()


def visit(url: str, told: Told) -> None:
    """Let many visitors order at once."""
    tickets: queue.SimpleQueue[None] = queue.SimpleQueue()
    for _ in range(REQUESTS):
        tickets.put(None)

    def one(_: int) -> None:
        visitor = Visitor(url, told)
        while True:
            try:
                tickets.get_nowait()
            except queue.Empty:
                return visitor.close()
            visitor.order()

    with ThreadPoolExecutor(VISITORS) as pool:
        list(pool.map(one, range(VISITORS)))


def workers(url: str) -> set[str]:
    """Return the pids of the workers that answer; both, unless one hangs."""
    told = Told()
    visitor, end = Visitor(url, told), time.monotonic() + 15
    while len(told.workers) < WORKERS and time.monotonic() < end:
        visitor.live()
    visitor.close()
    return told.workers


def restart(server: OwnServer, told: Told) -> None:
    """Stop the broker amid the orders until somebody was told so, and start it again."""
    wait_until(lambda: len(told.answers) >= 0.3 * REQUESTS, 60)
    server.stop()
    wait_until(lambda: told.names(503), 60)
    server.start()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A broker of these tests alone."""
    with OwnServer(tmp_path_factory.mktemp("amqp")) as server:
        yield server


@pytest.fixture(scope="module", params=[(), ("--preload",)], ids=["own", "preload"])
def outcome(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, broker: OwnServer
) -> Outcome:
    """What came of 2,000 orders, with the broker restarted in between."""
    folder = tmp_path_factory.mktemp("gunicorn")
    (folder / "application.py").write_text(APPLICATION + (USED if request.param else ""))
    told = Told()
    with connected(broker) as amqp:
        orders = new_queue(amqp)
    # Gunicorn keeps a socket in the home.
    variables = {"AMQP_URL": broker.url, "AMQP_TIMEOUT": "3", "ORDERS": orders, "HOME": str(folder)}
    with gunicorn(folder, *request.param, **variables) as site:
        url = site.wait_for(r"Listening at: (http://[\d.]+:\d+)")[1]
        before = workers(url)
        with ThreadPoolExecutor(1) as operator:
            restarted = operator.submit(restart, broker, told)
            visit(url, told)
            restarted.result()
        after, found = workers(url), drained(broker, orders)
        return Outcome(told, found, before, after, site.stop(), site.output)


def test_every_request_is_answered(outcome: Outcome) -> None:
    """2,000 requests: stored, or an honest 503 in 7 seconds that holds no password."""
    told = outcome.told
    assert told.odd == []
    assert len(told.names(200) | told.names(503)) == REQUESTS
    assert len(told.names(200)) > REQUESTS * 0.8
    assert told.slowest < 7
    assert PASSWORD not in str(told.answers) + outcome.log


def test_every_order_that_was_taken_is_in_the_queue(outcome: Outcome) -> None:
    """Once; one that was answered 503 may be there, unless its error said it was not sent."""
    told = outcome.told
    assert told.names(200) <= set(outcome.found)
    assert set(outcome.found) <= told.names(200) | told.names(503, "unknown") | {"preloaded"}
    assert len(set(outcome.found)) == len(outcome.found)


def test_no_worker_hangs(outcome: Outcome) -> None:
    """The workers that began answer at the end; none was killed, and all stop when told to."""
    assert outcome.before == outcome.after
    assert len(outcome.after) == WORKERS
    assert outcome.told.workers <= outcome.after
    assert not re.search("TIMEOUT|SIGKILL|SIGABRT|Traceback|UserWarning", outcome.log)
    assert outcome.log.count("Booting worker") == WORKERS
    assert outcome.status == 0
