"""The AMQP rows of the fault table about publishing, A1 to A12, each really happening."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from quorum.errors import Rejected, TimedOut, Unavailable
from tests.proxy import Proxy
from tests.services.amqp.children import fork, forks, status_of
from tests.services.amqp.ledger import (
    Ledger,
    holding_the_password,
    publish_over_kills,
    publishing,
)
from tests.services.amqp.own_server import (
    OwnServer,
    bare,
    connected,
    drained,
    lasting_queue,
    new_queue,
)
from tests.waiting import BUDGET, RECOVERY, at_most, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quorum.services.amqp.base import Broker

pytestmark = pytest.mark.live("amqp")

LOST = (Unavailable, TimedOut)


@pytest.fixture
def proxy(server: OwnServer) -> Iterator[Proxy]:
    """A proxy before it."""
    with Proxy(server.port) as proxy:
        yield proxy


def at_once(threads: int, ledger: Ledger, amqp: Broker, queue: str, each: int = 1) -> None:
    """Publish from many threads at once."""

    def work(_: int) -> None:
        for _ in range(each):
            ledger.publish(amqp, queue)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


def works_again(ledger: Ledger, amqp: Broker, queue: str) -> None:
    """Assert that the same object publishes within 15 seconds."""
    wait_until(lambda: ledger.publish(amqp, queue), RECOVERY)


# A1, A2 · threads


def test_a1_eight_threads_share_a_service(server: OwnServer, proxy: Proxy) -> None:
    """8 threads publish 100 messages each over one connection: no error, none lost."""
    ledger = Ledger()
    with connected(proxy) as amqp:
        queue = new_queue(amqp)
        at_once(8, ledger, amqp, queue, each=100)
    assert len(ledger.stored) == 800
    ledger.compare(drained(server, queue))
    assert proxy.connections == 1


def test_a_slow_broker_is_waited_for_once_by_a_declaration(server: OwnServer, proxy: Proxy) -> None:
    """A queue and that of its dead letters are declared within one call's time."""
    with connected(proxy) as amqp:
        amqp.ping()
        proxy.latency = 1.5
        with at_most(BUDGET), pytest.raises(TimedOut):
            amqp.declare_queue(f"test-{uuid.uuid4().hex}")


def test_a2_heartbeats_are_nobodys_business(server: OwnServer, proxy: Proxy) -> None:
    """Busy threads and idle ones live on connections with a short heartbeat; none is replaced."""
    ledger = Ledger()
    query = "?heartbeat=1"
    with connected(proxy, query) as busy, connected(proxy, query) as idle:
        queue = new_queue(busy)
        ledger.publish(idle, queue)
        with publishing(busy, queue, ledger, threads=4):
            time.sleep(4)
        assert ledger.publish(idle, queue)
    assert (ledger.refused, ledger.unknown) == (set(), set())
    ledger.compare(drained(server, queue))
    assert proxy.connections == 2


# A3 · fork


@forks
def test_a3_children_of_a_process_that_published_publish(server: OwnServer) -> None:
    """3 children of 50 messages beside one of the parent: 151 of 151 are stored."""
    with connected(server) as amqp:
        queue = new_queue(amqp)
        amqp.publish("the parent's", routing_key=queue)

        def work() -> None:
            for _ in range(50):
                amqp.publish("a child's", routing_key=queue)

        children = [fork(work) for _ in range(3)]
        assert [status_of(child) for child in children] == [0, 0, 0]
        assert len(drained(server, queue)) == 151
        amqp.publish("the parent's", routing_key=queue)


# A4 · idle


def test_a4_an_idle_connection_outlives_its_heartbeat(server: OwnServer, proxy: Proxy) -> None:
    """Idle for three heartbeats, and the next publish succeeds on the same connection."""
    with connected(proxy, "?heartbeat=2") as amqp:
        queue = new_queue(amqp)
        time.sleep(7)
        with at_most(BUDGET):
            amqp.publish("an order", routing_key=queue)
    assert proxy.connections == 1


def test_a4_an_idle_connection_that_the_broker_closed_is_replaced(server: OwnServer) -> None:
    """Nobody notices."""
    with connected(server) as amqp:
        queue = new_queue(amqp)
        for _ in range(2):
            server.control("close_all_connections", "maintenance")
            with at_most(BUDGET):
                amqp.publish("an order", routing_key=queue)


def test_a4_an_idle_connection_that_was_reset_is_replaced(proxy: Proxy) -> None:
    """Nobody notices."""
    with connected(proxy) as amqp:
        queue = new_queue(amqp)
        for _ in range(5):
            proxy.reset()
            # What is sent before anybody could see the reset has an unknown outcome.
            time.sleep(0.2)
            with at_most(BUDGET):
                amqp.publish("an order", routing_key=queue)


# A5, A6 · restart


def test_a5_the_same_service_works_after_a_restart(server: OwnServer) -> None:
    """While the broker is away that is told in time; when it is back, publishing goes on."""
    ledger = Ledger()
    with connected(server, timeout=2) as amqp:
        queue = new_queue(amqp)
        assert ledger.publish(amqp, queue)
        server.stop()
        with at_most(3), pytest.raises(LOST, match=f"127.0.0.1:{server.port}") as caught:
            amqp.publish("an order", routing_key=queue)
        assert holding_the_password(caught.value) == []
        with at_most(1.5), pytest.raises(LOST):
            amqp.ping()
        server.start()
        works_again(ledger, amqp, queue)
        amqp.ping()
    ledger.compare(drained(server, queue))


def test_a5_a_publish_waits_for_a_broker_that_is_back_in_time(
    server: OwnServer, proxy: Proxy
) -> None:
    """Not sent yet, so it is no error."""
    with connected(proxy) as amqp:
        queue = new_queue(amqp)
        proxy.refused = True
        healing = threading.Timer(1, proxy.heal)
        healing.start()
        with at_most(BUDGET):
            amqp.publish("an order", routing_key=queue)
        healing.join()
        assert len(drained(server, queue)) == 1


def test_a6_nothing_acknowledged_is_lost_by_kills(server: OwnServer) -> None:
    """3,000 messages from 8 threads over 2 kills: every publish that returned is in the queue."""
    with connected(server) as amqp:
        queue = lasting_queue(amqp)
        ledger = publish_over_kills(server, amqp, queue, publishes=3000, kills=2)
        ledger.compare(drained(server, queue))
    assert len(ledger.stored) >= 3000
    assert ledger.slowest <= BUDGET


# A7 · reset


def test_a7_a_reset_in_mid_stream_loses_nothing(server: OwnServer, proxy: Proxy) -> None:
    """Ten resets under eight threads: what was in flight is told as unknown."""
    ledger = Ledger()
    with connected(proxy) as amqp:
        queue = new_queue(amqp)
        with publishing(amqp, queue, ledger):
            for _ in range(10):
                before = len(ledger.stored)
                wait_until(lambda before=before: len(ledger.stored) >= before + 20)
                proxy.reset()
            wait_until(lambda before=before: len(ledger.stored) >= before + 100)
        ledger.compare(drained(server, queue))
    assert ledger.slowest <= BUDGET


def test_a7_a_message_that_is_cut_in_the_middle_is_not_stored(
    server: OwnServer, proxy: Proxy
) -> None:
    """Half of a body arrives; the next message has a connection of its own."""
    ledger = Ledger()
    with connected(proxy) as amqp:
        queue = new_queue(amqp)
        proxy.cut_request_after, proxy.cuts = 300_000, 1
        assert not ledger.publish(amqp, queue, b"x" * 1_000_000)
        assert ledger.publish(amqp, queue, b"x" * 1_000_000)
    ledger.compare(drained(server, queue))


def test_a7_a_lost_confirmation_is_an_unknown_outcome(server: OwnServer, proxy: Proxy) -> None:
    """The message is there once, since it is not sent again in silence."""
    ledger = Ledger()
    with connected(proxy) as amqp:
        queue = new_queue(amqp)
        # So that the next answer is the one that is lost.
        assert ledger.publish(amqp, queue)
        proxy.lost = 1
        assert not ledger.publish(amqp, queue)
        assert len(ledger.unknown) == 1
        assert ledger.publish(amqp, queue)
    found = drained(server, queue)
    assert len(found) == 3
    ledger.compare(found)


def test_a7_closing_amid_publishing_tells_the_truth(server: OwnServer) -> None:
    """Eight threads publish as the service is closed: what was in flight is told as unknown."""
    ledger = Ledger()
    with connected(server) as amqp:
        queue = new_queue(amqp)
        with publishing(amqp, queue, ledger):
            wait_until(lambda: len(ledger.stored) > 200)
            with at_most(BUDGET):
                amqp.close()
            wait_until(lambda: len(ledger.refused) > 50)
    ledger.compare(drained(server, queue))
    assert [each.name for each in threading.enumerate() if "amqp" in each.name] == []


def test_a7_an_operator_who_closes_connections_loses_nothing(server: OwnServer) -> None:
    """Twice under eight threads."""
    ledger = Ledger()
    with connected(server) as amqp:
        queue = new_queue(amqp)
        with publishing(amqp, queue, ledger):
            for _ in range(2):
                before = len(ledger.stored)
                server.control("close_all_connections", "maintenance")
                wait_until(lambda before=before: len(ledger.stored) >= before + 20)
    ledger.compare(drained(server, queue))


# A8, A9 · half-open


@pytest.mark.parametrize(
    ("query", "settings"),
    [("", {}), ("?heartbeat=4", {"timeout": 1}), ("?heartbeat=0", {"timeout": 1})],
)
def test_a8_a9_a_half_open_connection_costs_a_call_its_time_limit(
    server: OwnServer, proxy: Proxy, query: str, settings: dict[str, float]
) -> None:
    """6 seconds by default, whatever the heartbeat, and for 8 threads at once; nothing is lost."""
    ledger = Ledger()
    with connected(proxy, query, **settings) as amqp:
        queue = new_queue(amqp)
        proxy.stalled = True
        at_once(8, ledger, amqp, queue)
        assert ledger.stored == set()
        assert ledger.slowest <= settings.get("timeout", 5) + 1
        proxy.heal()
        works_again(ledger, amqp, queue)
    ledger.compare(drained(server, queue))


def test_a8_every_call_on_a_half_open_connection_is_bounded(
    server: OwnServer, proxy: Proxy
) -> None:
    """Declaring, getting, consuming, health and the end."""
    with connected(proxy, timeout=1) as amqp:
        queue = new_queue(amqp)
        proxy.stalled = True
        for call in (
            lambda: amqp.declare_queue(queue),
            lambda: amqp.declare_exchange(queue),
            lambda: amqp.bind(queue, "amq.topic", "orders.*"),
            lambda: amqp.get(queue),
            lambda: amqp.consume(queue, print),
        ):
            with at_most(2), pytest.raises(LOST):
                call()
        with at_most(1.5), pytest.raises(LOST):
            amqp.ping()
        with at_most(2):
            amqp.close()


def test_a9_a_connection_that_is_dead_for_good_costs_one_call(
    server: OwnServer, proxy: Proxy
) -> None:
    """The call that finds out is told unknown, the next has a new one."""
    ledger = Ledger()
    with Proxy(proxy.port) as first, connected(first, timeout=1) as amqp:
        queue = new_queue(amqp)
        leave_stalled(first, proxy, server)
        assert not ledger.publish(amqp, queue)
        assert ledger.slowest <= 2.5
        for _ in range(3):
            assert ledger.publish(amqp, queue), ledger
        ledger.compare(drained(server, queue))


def leave_stalled(first: Proxy, second: Proxy, server: OwnServer) -> None:
    """Stall what connections there are; new ones go past the second proxy."""
    second.stalled = True
    first._server_port = server.port


def test_a9_answers_that_do_not_come_leave_one_copy(server: OwnServer, proxy: Proxy) -> None:
    """Questions pass and answers do not: unknown, and stored once."""
    ledger = Ledger()
    with connected(proxy, timeout=1) as amqp:
        queue = new_queue(amqp)
        proxy.swallowing = True
        assert not ledger.publish(amqp, queue)
        assert len(ledger.unknown) == 1
        assert ledger.slowest <= 2.5
        proxy.heal()
        assert ledger.publish(amqp, queue), ledger
    found = drained(server, queue)
    assert ledger.unknown < set(found)
    ledger.compare(found)


# A10, A11 · a broker that hangs


def test_a10_a_paused_broker_is_timed_out_and_used_again(server: OwnServer) -> None:
    """Small messages and a large one; none that was told as stored is lost."""
    ledger = Ledger()
    with connected(server, "?heartbeat=4", timeout=2) as amqp:
        queue = new_queue(amqp)
        with server.paused():
            at_once(8, ledger, amqp, queue)
            assert ledger.stored == set()
            with at_most(3), pytest.raises(LOST):
                amqp.publish(b"x" * 4_000_000, routing_key=queue, message_id="large")
            with at_most(1.5), pytest.raises(LOST):
                amqp.ping()
        ledger.unknown.add("large")
        works_again(ledger, amqp, queue)
    assert ledger.slowest <= 3.5
    ledger.compare(drained(server, queue))


def test_a11_a_broker_that_blocks_publishers_is_timed_out_and_used_again(
    server: OwnServer,
) -> None:
    """Out of memory it stops reading; when it has some again, the same service publishes."""
    ledger = Ledger()
    with connected(server, timeout=2) as amqp:
        queue = new_queue(amqp)
        assert ledger.publish(amqp, queue)
        with server.out_of_memory():
            for _ in range(2):
                at_once(8, ledger, amqp, queue)
            assert len(ledger.stored) == 1
        assert ledger.slowest <= 3.5
        works_again(ledger, amqp, queue)
        at_once(8, ledger, amqp, queue, each=10)
        ledger.compare(drained(server, queue))
    assert len(ledger.stored) >= 81


# A12 · what the broker does not take


def full_queue(server: OwnServer, name: str) -> None:
    with bare(server) as channel:
        arguments = {"x-max-length": 5, "x-overflow": "reject-publish"}
        channel.queue_declare(name, durable=True, arguments=arguments)


def test_a12_what_no_queue_takes_is_rejected(server: OwnServer) -> None:
    """Unroutable, with the routing key in the error; and the service is as it was."""
    with connected(server) as amqp:
        queue = new_queue(amqp)
        for exchange in ("", "amq.topic"):
            with at_most(BUDGET), pytest.raises(Rejected, match="nowhere"):
                amqp.publish("an order", routing_key="nowhere", exchange=exchange)
        amqp.publish("an order", routing_key=queue)


def test_a12_a_full_queue_rejects(server: OwnServer) -> None:
    """20 messages into a queue of 5: 5 are stored, 15 are told as refused."""
    ledger = Ledger()
    with connected(server) as amqp:
        queue = f"{new_queue(amqp)}-full"
        full_queue(server, queue)
        at_once(1, ledger, amqp, queue, each=20)
        found = drained(server, queue)
        ledger.compare(found)
        assert (len(found), len(ledger.refused)) == (5, 15)
        assert {each.partition(":")[0] for each in ledger.told} == {"Rejected"}
        assert ledger.publish(amqp, queue)


def test_a12_an_unknown_exchange_is_rejected(server: OwnServer) -> None:
    """As often as it is asked for, each time named; and the service is as it was."""
    with connected(server) as amqp:
        queue = new_queue(amqp)
        for _ in range(3):
            with at_most(BUDGET), pytest.raises(Rejected, match="no-such-exchange"):
                amqp.publish("an order", routing_key=queue, exchange="no-such-exchange")
        amqp.publish("an order", routing_key=queue)


def test_a12_an_exchange_that_goes_away_is_rejected(server: OwnServer) -> None:
    """Also when it was published to before; others who publish meanwhile are told no lie."""
    ledger = Ledger()
    with connected(server) as amqp:
        queue = new_queue(amqp)
        exchange = f"{queue}-events"
        for _ in range(2):
            amqp.declare_exchange(exchange)
            amqp.bind(queue, exchange, "#")
            ledger.stored.add(amqp.publish("an order", exchange=exchange, routing_key="new"))
            with publishing(amqp, queue, ledger, threads=4):
                with bare(server) as channel:
                    channel.exchange_delete(exchange)
                for _ in range(2):
                    with pytest.raises(Rejected, match=exchange):
                        amqp.publish("an order", exchange=exchange, routing_key="new")
        ledger.compare(drained(server, queue))


def test_a12_a_message_that_is_not_permitted_is_rejected(server: OwnServer) -> None:
    """Until it is permitted; then the same service publishes."""
    with connected(server) as amqp:
        # The broker asks once for each channel: nothing may have been published on this one.
        queue = new_queue(amqp)
        with server.forbidding():
            for _ in range(2):
                with at_most(BUDGET), pytest.raises(Rejected, match="refuse"):
                    amqp.publish("an order", routing_key=queue)
        works_again(Ledger(), amqp, queue)


def test_a12_what_is_refused_costs_the_neighbours_nothing(server: OwnServer) -> None:
    """Six threads publish while two ask for what is not there: no error of theirs."""
    ledger = Ledger()
    with connected(server) as amqp:
        queue = new_queue(amqp)

        def refuse(exchange: str) -> None:
            for _ in range(50):
                with pytest.raises(Rejected):
                    amqp.publish("an order", routing_key="nowhere", exchange=exchange)

        with publishing(amqp, queue, ledger, threads=6), ThreadPoolExecutor(2) as pool:
            list(pool.map(refuse, ["", "no-such-exchange"]))
        ledger.compare(drained(server, queue))
    assert (ledger.refused, ledger.unknown) == (set(), set())
