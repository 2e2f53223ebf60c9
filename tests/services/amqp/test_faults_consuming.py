"""The AMQP rows of the fault table about consuming, A13 to A18, each really happening."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from quorum.errors import TimedOut, Unavailable
from tests.proxy import Proxy
from tests.services.amqp.ledger import Ledger, publishing
from tests.services.amqp.own_server import (
    OwnServer,
    bare,
    connected,
    drained,
    lasting_queue,
    new_queue,
    url_of,
    waiting,
)
from tests.waiting import RECOVERY, at_most, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from quorum.services.amqp.base import Broker, Delivery

pytestmark = pytest.mark.live("amqp")


@pytest.fixture
def proxy(server: OwnServer) -> Iterator[Proxy]:
    """A proxy before it."""
    with Proxy(server.port) as proxy:
        yield proxy


class Handled:
    """A handler that remembers what it was called with."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()

    def __call__(self, delivery: Delivery) -> None:
        assert delivery.message_id is not None
        self.times[delivery.message_id] += 1


def is_back(amqp: Broker, queue: str, handled: Handled, within: float = RECOVERY) -> None:
    """Assert that a message which is published now is handled in time."""
    ledger = Ledger()
    wait_until(lambda: ledger.publish(amqp, queue), within)
    wait_until(lambda: ledger.stored <= handled.times.keys(), within)


# A13 · the consumer is killed

CONSUMER = """\
import os, sys, threading, time
from contextlib import nullcontext
from quorum.services.amqp.server import ServerBroker
from quorum.settings import AmqpSettings

def handle(delivery):
    time.sleep(0.002)
    # One write: the lines of two threads that print can mix.
    os.write(1, f"{delivery.message_id}\\n".encode())

amqp = ServerBroker(AmqpSettings(url=sys.argv[1]), scope=nullcontext)
amqp.consume(sys.argv[2], handle, prefetch=10, threads=2)
threading.Event().wait()
"""


def test_a13_a_consumer_that_is_killed_loses_nothing(server: OwnServer, tmp_path: Path) -> None:
    """500 messages, a consumer killed twice: each is handled, few of them twice."""
    ledger, handled = Ledger(), Handled()
    diary = tmp_path / "handled"
    with connected(server) as amqp:
        # What a killed consumer held counts as given back.
        queue = new_queue(amqp, delivery_limit=10)
        for _ in range(500):
            ledger.publish(amqp, queue)
        for least in (50, 200):
            with diary.open("a") as file:
                consumer = subprocess.Popen(
                    [sys.executable, "-c", CONSUMER, url_of(server), queue], stdout=file
                )
            wait_until(lambda least=least: len(diary.read_text().split()) >= least)
            consumer.send_signal(signal.SIGKILL)
            consumer.wait()
        before = Counter(each for each in diary.read_text().split() if each in ledger.stored)
        assert before.keys() != ledger.stored
        amqp.consume(queue, handled)
        wait_until(lambda: before.keys() | handled.times.keys() >= ledger.stored)
    # Twice is at most what each killed one had taken.
    assert (before + handled.times).total() <= 500 + 2 * 10
    assert drained(server, queue) == drained(server, f"{queue}.dead") == []


# A14 · a handler that takes long


def test_a14_a_handler_longer_than_the_heartbeat_runs_once(server: OwnServer, proxy: Proxy) -> None:
    """5 seconds with a heartbeat of 1: the connection lives, others publish on it meanwhile."""
    ledger, handled = Ledger(), Handled()
    ended = threading.Event()

    def handle(delivery: Delivery) -> None:
        handled(delivery)
        time.sleep(5)
        ended.set()

    with connected(proxy, "?heartbeat=1") as amqp:
        queue, other = new_queue(amqp), new_queue(amqp)
        consumer = amqp.consume(queue, handle)
        amqp.publish("a long job", routing_key=queue, message_id="long")
        with publishing(amqp, other, ledger, threads=2):
            assert ended.wait(RECOVERY)
        assert consumer.stop()
        assert consumer.running is False
    assert handled.times == {"long": 1}
    assert proxy.connections == 1
    assert ledger.unknown | ledger.refused == set()
    assert drained(server, queue) == []


# A15, A16 · handlers that fail


@pytest.mark.parametrize(("durable", "most"), [(True, 4), (False, 2)])
def test_a15_poison_ends_in_the_dead_letter_queue(
    server: OwnServer, durable: bool, most: int
) -> None:
    """A few deliveries, then it is put away; what comes after it is handled."""
    handled = Handled()

    def handle(delivery: Delivery) -> None:
        handled(delivery)
        if delivery.message_id == "poison":
            raise ValueError("it cannot be digested")

    with connected(server) as amqp:
        queue = new_queue(amqp, durable=durable, delivery_limit=3)
        amqp.consume(queue, handle)
        for name in ("first", "poison", "second", "third"):
            amqp.publish("an order", routing_key=queue, message_id=name)
        # A classic queue of dead letters is looked into by its own means.
        wait_until(lambda: waiting(server, f"{queue}.dead") == 1)
        wait_until(lambda: handled.times.keys() >= {"first", "second", "third"})
        assert 1 < handled.times["poison"] <= most
        assert [handled.times[name] for name in ("first", "second", "third")] == [1, 1, 1]
        dead = amqp.get(f"{queue}.dead", 5)
        assert dead is not None
        assert (dead.message_id, dead.body) == ("poison", b"an order")
        dead.ack()
        assert drained(server, queue) == []


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a16_a_handler_that_raises_costs_its_message_alone(
    server: OwnServer, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    """It is logged, the consumer lives, and ten others are handled once."""
    handled = Handled()

    def handle(delivery: Delivery) -> None:
        handled(delivery)
        if delivery.message_id == "bad" and not delivery.redelivered:
            raise error("it went wrong")

    with caplog.at_level(logging.ERROR, "quorum.amqp"), connected(server) as amqp:
        queue = new_queue(amqp)
        consumer = amqp.consume(queue, handle)
        amqp.publish("an order", routing_key=queue, message_id="bad")
        for number in range(10):
            amqp.publish("an order", routing_key=queue, message_id=str(number))
        wait_until(lambda: len(handled.times) == 11)
        wait_until(lambda: handled.times["bad"] == 2)
        assert consumer.running
        assert set(handled.times.values()) == {1, 2}
    assert "it went wrong" in caplog.text
    assert drained(server, queue) == []


# A17 · the queue goes away


def delete(server: OwnServer, queue: str) -> None:
    with bare(server) as channel:
        channel.queue_delete(queue)


def test_a17_a_queue_that_was_declared_here_is_declared_again(server: OwnServer) -> None:
    """Deleted under its consumer, it is there again with what it was declared as."""
    handled = Handled()
    with connected(server) as amqp:
        queue = new_queue(amqp, delivery_limit=3)
        amqp.consume(queue, handled)
        is_back(amqp, queue, handled)
        for _ in range(2):
            delete(server, queue)
            is_back(amqp, queue, handled)
        amqp.declare_queue(queue, delivery_limit=3)
        amqp.ping()


def test_a17_a_queue_of_somebody_else_leaves_the_service_unhealthy(server: OwnServer) -> None:
    """It is not ours to make: no message comes, which health tells; back it is taken from."""
    handled = Handled()
    with connected(server) as amqp:
        queue = f"{new_queue(amqp)}-theirs"
        with bare(server) as channel:
            channel.queue_declare(queue)
        consumer = amqp.consume(queue, handled)
        is_back(amqp, queue, handled)
        delete(server, queue)
        wait_until(lambda: not consumer.running)
        with at_most(1.5), pytest.raises(Unavailable, match=queue):
            amqp.ping()
        with bare(server) as channel:
            channel.queue_declare(queue)
        is_back(amqp, queue, handled)
        assert consumer.running
        amqp.ping()
        delete(server, queue)


# A18 · the broker goes away


def test_a18_a_restart_under_a_consumer(server: OwnServer) -> None:
    """Messages come again by themselves, and those that waited are all handled."""
    ledger, handled = Ledger(), Handled()
    with connected(server, timeout=2) as amqp:
        queue = new_queue(amqp)
        consumer = amqp.consume(queue, handled, threads=2)
        with publishing(amqp, queue, ledger, threads=4):
            wait_until(lambda: len(handled.times) > 50)
            server.stop()
            wait_until(lambda: not consumer.running)
            server.start()
            wait_until(lambda: consumer.running)
        wait_until(lambda: handled.times.keys() >= ledger.stored)
        assert consumer.stop()
    assert ledger.odd == []
    assert ledger.refused & handled.times.keys() == set()
    assert drained(server, queue) == []


@pytest.mark.long
def test_a18_a_kill_under_a_consumer(server: OwnServer) -> None:
    """Nothing that was acknowledged is lost; what was being handled comes again."""
    ledger, handled = Ledger(), Handled()
    with connected(server, timeout=2) as amqp:
        queue = lasting_queue(amqp)
        consumer = amqp.consume(queue, handled, threads=2)
        with publishing(amqp, queue, ledger, threads=4):
            wait_until(lambda: len(handled.times) > 50)
            server.kill()
            server.start()
            before = len(handled.times)
            wait_until(lambda: len(handled.times) > before)
        wait_until(lambda: handled.times.keys() >= ledger.stored)
        assert consumer.running
    assert ledger.refused & handled.times.keys() == set()


def test_a18_a_paused_broker_under_a_consumer(server: OwnServer) -> None:
    """Longer than two heartbeats."""
    handled = Handled()
    with connected(server, "?heartbeat=2", timeout=2) as amqp:
        queue = new_queue(amqp)
        amqp.consume(queue, handled)
        is_back(amqp, queue, handled)
        with server.paused():
            time.sleep(6)
            with at_most(1.5), pytest.raises((Unavailable, TimedOut)):
                amqp.ping()
        with at_most(RECOVERY):
            is_back(amqp, queue, handled)


def test_a18_a_stalled_connection_under_a_consumer(server: OwnServer, proxy: Proxy) -> None:
    """Whether it goes on or is replaced: messages come within 15 seconds of the stall's end."""
    handled = Handled()
    with connected(server) as other, connected(proxy, "?heartbeat=4", timeout=2) as amqp:
        queue = new_queue(amqp)
        consumer = amqp.consume(queue, handled)
        is_back(other, queue, handled)
        proxy.stalled = True
        time.sleep(5)
        proxy.heal()
        with at_most(RECOVERY):
            is_back(other, queue, handled)
            wait_until(lambda: consumer.running)


def test_a18_a_connection_that_is_dead_for_good_under_a_consumer(
    server: OwnServer, proxy: Proxy
) -> None:
    """Only the heartbeat tells; 15 seconds later messages come over a new one."""
    handled = Handled()
    with (
        Proxy(proxy.port) as first,
        connected(server) as other,
        connected(first, "?heartbeat=3") as amqp,
    ):
        queue = new_queue(amqp)
        amqp.consume(queue, handled)
        is_back(other, queue, handled)
        proxy.stalled = True
        first._server_port = server.port
        with at_most(RECOVERY):
            is_back(other, queue, handled)


def test_a18_an_answer_over_a_connection_that_is_gone_is_an_error(
    server: OwnServer, proxy: Proxy
) -> None:
    """The message comes again, and says so."""
    with connected(proxy) as amqp:
        queue = new_queue(amqp)
        amqp.publish("an order", routing_key=queue)
        delivery = amqp.get(queue, 5)
        assert delivery is not None
        proxy.reset()
        amqp.ping()
        with pytest.raises(Unavailable):
            delivery.ack()
        again = amqp.get(queue, 5)
        assert again is not None
        assert again.redelivered
        again.ack()
        assert drained(server, queue) == []


def test_a18_a_consumer_stops_while_the_broker_hangs(server: OwnServer, proxy: Proxy) -> None:
    """Within its time limit, with a handler that runs and messages that wait."""
    began, go_on = threading.Event(), threading.Event()

    def handle(delivery: Delivery) -> None:
        began.set()
        go_on.wait(RECOVERY)

    with connected(proxy, timeout=1) as amqp:
        queue = new_queue(amqp)
        consumer = amqp.consume(queue, handle, prefetch=1)
        for _ in range(3):
            amqp.publish("an order", routing_key=queue)
        assert began.wait(RECOVERY)
        proxy.stalled = True
        with at_most(2):
            assert not consumer.stop(timeout=1)
        go_on.set()
        with at_most(2):
            assert consumer.stop(timeout=1)
        proxy.heal()
    wait_until(lambda: len(drained(server, queue)) >= 2)


# A11 · a broker that blocks publishers


def test_a11_what_is_taken_while_the_broker_blocks_is_handled_once_it_does_not(
    server: OwnServer,
) -> None:
    """The connection is read from no more; the consumer lives through it."""
    ledger, handled = Ledger(), Handled()
    with connected(server, timeout=2) as amqp:
        queue = new_queue(amqp)
        consumer = amqp.consume(queue, handled)
        is_back(amqp, queue, handled)
        with server.out_of_memory():
            for _ in range(2):
                ledger.publish(amqp, queue)
        with at_most(RECOVERY):
            is_back(amqp, queue, handled)
            wait_until(lambda: consumer.running)
    assert ledger.slowest <= 3.5
    assert ledger.refused & handled.times.keys() == set()
