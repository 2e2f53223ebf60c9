"""The embedded twin: what tests ask of it, and what it shares with RabbitMQ beyond the contract."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Rejected, TimedOut
from quorum.services.amqp.memory import MemoryBroker, Published
from quorum.services.amqp.memory.exchanges import matches
from quorum.settings import AmqpSettings
from tests.services.amqp.brokers import DEADLINE, death_of, drain, given_back, take
from tests.services.amqp.children import fork, forks, status_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def broker(twin: Callable[..., MemoryBroker]) -> MemoryBroker:
    """Build a twin with a queue `orders`."""
    broker = twin()
    broker.declare_queue("orders")
    return broker


def test_published_has_what_was_published(broker: MemoryBroker) -> None:
    """`published` lists the messages in order, each with where it went."""
    broker.declare_exchange("shop")
    broker.bind("orders", "shop", "#")
    broker.publish({"a": 1}, routing_key="orders", headers={"h": 1}, message_id="m-1")
    sent = broker.publish("hi", routing_key="a.b", exchange="shop", expires_in=2, priority=3)
    first, second = broker.published
    assert first == Published(
        b'{"a":1}', "orders", "", "m-1", "application/json", {"h": 1}, None, None
    )
    assert (first.json(), second.body, second.message_id) == ({"a": 1}, b"hi", sent)
    assert (second.exchange, second.routing_key) == ("shop", "a.b")
    assert (second.expires_in, second.priority) == (2000, 3)
    with pytest.raises(Rejected, match="no JSON"):
        second.json()


def test_what_was_refused_was_not_published(broker: MemoryBroker) -> None:
    """A publish that raised is not listed."""
    for call in (
        lambda: broker.publish(object(), routing_key="orders"),
        lambda: broker.publish("x", routing_key="nowhere"),
        lambda: broker.publish("x", exchange="nowhere"),
    ):
        with pytest.raises(Rejected):
            call()
    assert broker.published == []
    broker.assert_nothing_published()


def test_published_keeps_the_last_10_000(broker: MemoryBroker) -> None:
    """A process that publishes for long does not grow by the list."""
    broker.consume("orders", lambda _: None, prefetch=100)
    for number in range(10_005):
        broker.publish(number, routing_key="orders")
    assert len(broker.published) == 10_000
    assert [broker.published[0].json(), broker.published[-1].json()] == [5, 10_004]
    broker.drain(DEADLINE)


def test_clear_forgets_what_was_published(broker: MemoryBroker) -> None:
    """After clear nothing was published; what is in the queues stays."""
    broker.publish("x", routing_key="orders")
    broker.clear()
    broker.assert_nothing_published()
    assert drain(broker, "orders") == [b"x"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"routing_key": "orders"},
        {"exchange": ""},
        {"json": {"id": 7, "tags": ["a"]}},
        {"json": {"tags": ("a",), "id": 7}},
        {"body": b'{"id":7,"tags":["a"]}'},
        {"body": '{"id":7,"tags":["a"]}'},
        {"routing_key": "orders", "exchange": "", "json": {"id": 7, "tags": ["a"]}, "times": 1},
        {"json": None, "times": 1},
        {"times": 2},
        {"routing_key": "nowhere", "times": 0},
    ],
    ids=str,
)
def test_assert_published_passes(broker: MemoryBroker, asked: dict[str, Any]) -> None:
    """What is not given matches any; without `times` one message is enough."""
    broker.publish({"id": 7, "tags": ["a"]}, routing_key="orders")
    broker.publish(None, routing_key="orders")
    broker.assert_published(**asked)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"routing_key": "bills"},
            "expected at least 1 message with routing_key='bills'; 0 matched",
        ),
        ({"exchange": "shop"}, "expected at least 1 message with exchange='shop'; 0 matched"),
        ({"json": {"id": 8}}, "expected at least 1 message with json={'id': 8}; 0 matched"),
        ({"json": None}, "expected at least 1 message with json=None; 0 matched"),
        ({"body": "x"}, "expected at least 1 message with body=b'x'; 0 matched"),
        ({"times": 1}, "expected 1 message; 2 matched"),
        ({"times": 0}, "expected 0 messages; 2 matched"),
        ({"times": 3, "exchange": ""}, "expected 3 messages with exchange=''; 2 matched"),
    ],
)
def test_assert_published_says_what_was(
    broker: MemoryBroker, asked: dict[str, Any], says: str
) -> None:
    """A failure has what was expected, how many matched, and all that was published."""
    broker.publish({"id": 7}, routing_key="orders")
    broker.publish(b"\xff", routing_key="orders")
    with pytest.raises(AssertionError) as caught:
        broker.assert_published(**asked)
    assert str(caught.value) == (
        f"{says}. Published:"
        "\n  1. routing_key='orders' exchange='' body=b'{\"id\":7}'"
        "\n  2. routing_key='orders' exchange='' body=b'\\xff'"
    )


def test_assert_published_of_nothing(broker: MemoryBroker) -> None:
    """A failure where nothing was published says so."""
    with pytest.raises(AssertionError, match=r"0 matched\. Nothing was published\.$"):
        broker.assert_published()


def test_a_failure_lists_the_last_messages_in_short(broker: MemoryBroker) -> None:
    """Of many messages the last 20 are listed, and of long ones the beginning."""
    for number in range(25):
        broker.publish(f"{number}-" + "x" * 1000, routing_key="orders")
    with pytest.raises(AssertionError) as caught:
        broker.assert_nothing_published()
    lines = str(caught.value).splitlines()
    assert lines[0] == "expected no message. Published, the last 20:"
    assert [line.split(".")[0].strip() for line in lines[1:]] == [str(n) for n in range(6, 26)]
    assert max(map(len, lines)) < 300


def test_messages_lists_what_is_ready(broker: MemoryBroker) -> None:
    """`messages` has what a queue would give, in order, without what was taken."""
    for body in ("a", "b", "c"):
        broker.publish(body, routing_key="orders")
    delivery = take(broker, "orders")
    assert [message.body for message in broker.messages("orders")] == [b"b", b"c"]
    delivery.reject(requeue=True)
    assert [message.body for message in broker.messages("orders")] == [b"a", b"b", b"c"]
    assert broker.messages("orders.dead") == []
    with pytest.raises(Rejected, match="no queue 'nowhere'"):
        broker.messages("nowhere")


def test_messages_tells_why_a_letter_is_dead(broker: MemoryBroker) -> None:
    """Dead letters have `x-death`."""
    broker.publish("x", routing_key="orders")
    take(broker, "orders").reject()
    (dead,) = broker.messages("orders.dead")
    assert death_of(dead)["reason"] == "rejected"


def test_drain_waits_for_handlers(broker: MemoryBroker) -> None:
    """After drain every handler has ended, those of what handlers published too."""
    broker.declare_queue("bills")
    done: list[bytes] = []

    def order(delivery: Any) -> None:
        delivery.ack()
        time.sleep(0.05)  # a handler that works on after its answer
        broker.publish(delivery.body, routing_key="bills")

    broker.consume("orders", order)
    broker.consume("bills", lambda delivery: done.append(delivery.body))
    for body in ("a", "b"):
        broker.publish(body, routing_key="orders")
    broker.drain(DEADLINE)
    assert done == [b"a", b"b"]


def test_drain_waits_for_poison_to_die(broker: MemoryBroker) -> None:
    """After drain what no handler bears is among the dead letters."""

    def fail(_: Any) -> None:
        raise ValueError("poison")

    consumer = broker.consume("orders", fail)
    broker.publish("x", routing_key="orders")
    broker.drain(DEADLINE)
    assert consumer.counts.failures == 6
    assert [message.body for message in broker.messages("orders.dead")] == [b"x"]


def test_drain_waits_no_longer_than_it_may(broker: MemoryBroker) -> None:
    """drain raises TimedOut where a handler does not end in time."""
    gate = threading.Event()
    broker.consume("orders", lambda _: gate.wait(DEADLINE))
    broker.publish("x", routing_key="orders")
    with pytest.raises(TimedOut, match=r"still at work after 0\.2 s"):
        broker.drain(0.2)
    gate.set()
    broker.drain(DEADLINE)


def test_drain_without_consumers_returns(broker: MemoryBroker) -> None:
    """Messages that nobody consumes are not waited for."""
    broker.publish("x", routing_key="orders")
    broker.drain()
    assert len(broker.messages("orders")) == 1


def test_close_gives_back_what_was_not_answered(broker: MemoryBroker) -> None:
    """After close a message that was taken is in its queue."""
    broker.publish("x", routing_key="orders")
    take(broker, "orders")
    assert broker.messages("orders") == []
    broker.close()
    assert [message.body for message in broker.messages("orders")] == [b"x"]


def test_giving_back_by_stopping_counts(broker: MemoryBroker) -> None:
    """As in a quorum queue, what a stopped consumer gave back was given back once more."""
    gate, begun = threading.Event(), threading.Event()

    def handle(_: Any) -> None:
        begun.set()
        gate.wait(DEADLINE)

    consumer = broker.consume("orders", handle)
    for body in ("a", "b"):
        broker.publish(body, routing_key="orders")
    assert begun.wait(DEADLINE)
    stopping = threading.Thread(target=consumer.stop)
    stopping.start()
    delivery = take(broker, "orders")
    assert (delivery.body, given_back(delivery)) == (b"b", 1)
    gate.set()
    stopping.join(DEADLINE)


def test_closing_gives_back_without_a_limit_where_nothing_counts(broker: MemoryBroker) -> None:
    """A queue that is not durable gets back what a consumer did not begin, however often."""
    broker.declare_queue("news", durable=False)
    gate = threading.Event()
    for body in ("first", "second"):
        broker.publish(body, routing_key="news")
    for _ in range(3):
        consumer = broker.consume("news", lambda _: gate.wait(DEADLINE), prefetch=2)
        consumer.stop(0)
    gate.set()
    wait_until(lambda: consumer.stop(0))
    assert broker.messages("news.dead") == []


def test_two_twins_share_nothing(broker: MemoryBroker, twin: Callable[..., MemoryBroker]) -> None:
    """A queue of one is not in another."""
    with pytest.raises(Rejected):
        twin().publish("x", routing_key="orders")
    assert broker.messages("orders") == []


def test_no_thread_is_left_after_close() -> None:
    """close ends the threads of consumers, and the one that looks after what expires."""
    before = set(threading.enumerate())
    broker = MemoryBroker(AmqpSettings())
    broker.declare_queue("orders")
    broker.consume("orders", lambda _: None, threads=3)
    broker.publish("x", routing_key="orders", expires_in=60)
    broker.declare_queue("bills")
    broker.publish("x", routing_key="bills", expires_in=60)
    assert set(threading.enumerate()) > before
    broker.close()
    assert set(threading.enumerate()) == before


def test_no_thread_runs_before_it_is_needed() -> None:
    """A twin that is published to and taken from has no thread."""
    before = set(threading.enumerate())
    broker = MemoryBroker(AmqpSettings())
    broker.declare_queue("orders")
    broker.publish("x", routing_key="orders")
    take(broker, "orders").ack()
    assert set(threading.enumerate()) == before
    broker.close()


def test_the_clock_ends_once_nothing_expires(broker: MemoryBroker) -> None:
    """The thread that looks after what expires ends by itself, and begins again."""
    before = threading.active_count()
    for _ in range(2):
        broker.publish("x", routing_key="orders", expires_in=0.05)
        take(broker, "orders.dead").ack()
        wait_until(lambda: threading.active_count() == before)


def test_an_earlier_expiry_is_not_late(broker: MemoryBroker) -> None:
    """What expires soon is not held up by what expires later in another queue."""
    broker.declare_queue("bills")
    broker.publish("later", routing_key="bills", expires_in=60)
    broker.publish("soon", routing_key="orders", expires_in=0.1)
    assert take(broker, "orders.dead", 6).body == b"soon"


@forks
def test_a_forked_child_has_a_copy(broker: MemoryBroker) -> None:
    """A child begins with what was there, and what it does is its own."""
    broker.publish("before", routing_key="orders")

    def work() -> None:
        assert drain(broker, "orders") == [b"before"]
        broker.publish("child", routing_key="orders")
        assert len(broker.published) == 2

    assert status_of(fork(work)) == 0
    assert drain(broker, "orders") == [b"before"]


@forks
def test_no_consumer_runs_in_a_forked_child(broker: MemoryBroker) -> None:
    """A consumer stays with its process; a child may begin one of its own, and close."""
    consumer = broker.consume("orders", lambda _: None)

    def work() -> None:
        assert not consumer.running
        found: list[bytes] = []
        own = broker.consume("orders", lambda delivery: found.append(delivery.body))
        for _ in range(4):
            broker.publish("x", routing_key="orders")
        wait_until(lambda: found == [b"x"] * 4, 5)
        assert own.stop(5)
        assert consumer.stop(5)
        broker.close()

    assert status_of(fork(work)) == 0
    assert consumer.running


@forks
def test_what_expires_does_so_in_a_forked_child(broker: MemoryBroker) -> None:
    """The thread that looks after it is begun anew in a child that needs it."""
    broker.publish("x", routing_key="orders", expires_in=0.2)

    def work() -> None:
        broker.declare_queue("bills")
        broker.publish("y", routing_key="bills", expires_in=0.1)
        assert take(broker, "bills.dead", 5).body == b"y"
        assert take(broker, "orders.dead", 5).body == b"x"

    assert status_of(fork(work)) == 0
    assert take(broker, "orders.dead").body == b"x"


@forks
def test_a_fork_amid_publishing_hangs_no_child(broker: MemoryBroker) -> None:
    """Children that are forked while other threads publish and consume can use the twin."""
    broker.consume("orders", lambda _: None, threads=2)
    over = threading.Event()

    def publish() -> None:
        while not over.is_set():
            broker.publish("x", routing_key="orders")

    def work() -> None:
        broker.declare_queue("mine")
        broker.publish("y", routing_key="mine")
        assert drain(broker, "mine") == [b"y"]
        broker.close()

    with ThreadPoolExecutor(3) as pool:
        publishing = [pool.submit(publish) for _ in range(3)]
        try:
            assert [status_of(fork(work)) for _ in range(10)] == [0] * 10
        finally:
            over.set()
        for each in publishing:
            each.result(timeout=DEADLINE)


def test_wild_cards_take_no_time() -> None:
    """A pattern of many `#` is matched at once."""
    pattern = ".".join(["#", "a"] * 30)
    key = ".".join(["a"] * 100)
    start = time.monotonic()
    assert matches(pattern, key)
    assert not matches(f"{pattern}.b", key)
    assert time.monotonic() - start < 6
