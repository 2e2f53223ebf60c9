"""What every broker promises of consumers: one suite for the twin and for RabbitMQ."""

from __future__ import annotations

import functools
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Rejected, ServiceError, Unavailable
from tests.services.amqp.brokers import (
    DEADLINE,
    death_of,
    drain,
    given_back,
    name,
    take,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Gate:
    """A handler that waits inside until it is let go, and notes what it was given."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.ended: list[bytes] = []
        self.flags: list[bool] = []
        self._open = threading.Event()

    def __call__(self, delivery: Any) -> None:
        self.begun.append(delivery.body)
        self.flags.append(delivery.redelivered)
        assert self._open.wait(DEADLINE)
        self.ended.append(delivery.body)

    def open(self) -> None:
        """Let every handler go on, now and later."""
        self._open.set()


def publish(broker: Any, queue: str, *bodies: str) -> None:
    for body in bodies:
        broker.publish(body, routing_key=queue)


def test_a_handler_gets_each_message(broker: Any, queue: str) -> None:
    """A handler is called with what was there before and with what comes, in order."""
    publish(broker, queue, "before")
    found: list[bytes] = []
    consumer = broker.consume(queue, lambda delivery: found.append(delivery.body))
    publish(broker, queue, "1", "2")
    wait_until(lambda: len(found) == 3)
    assert found == [b"before", b"1", b"2"]
    assert consumer.queue == queue
    assert wait_until(lambda: consumer.running)


def test_a_delivery_has_what_was_published(broker: Any, queue: str) -> None:
    """A handler sees the message as `get` would."""
    found: list[Any] = []
    broker.consume(queue, found.append)
    sent = broker.publish({"a": 1}, routing_key=queue, headers={"h": [1]}, message_id="m-1")
    (delivery,) = wait_until(lambda: found)
    assert (delivery.json(), delivery.headers["h"], delivery.message_id) == ({"a": 1}, [1], sent)
    assert (delivery.routing_key, delivery.exchange, delivery.redelivered) == (queue, "", False)
    assert delivery.content_type == "application/json"


def test_a_handler_that_returns_acknowledges(broker: Any, queue: str) -> None:
    """What a handler returned from is dealt with, whatever it returned."""
    found: list[bytes] = []
    consumer = broker.consume(queue, lambda delivery: found.append(delivery.body) or False)
    publish(broker, queue, "1", "2")
    wait_until(lambda: len(found) == 2)
    assert consumer.stop(DEADLINE)
    assert broker.get(queue, timeout=0.3) is None
    assert broker.get(f"{queue}.dead") is None


def test_a_handler_that_raises_gives_back(
    broker: Any, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What a handler raised from comes again; the error is logged with the message's id."""
    flags: list[bool] = []

    def fail_once(delivery: Any) -> None:
        flags.append(delivery.redelivered)
        if len(flags) == 1:
            raise ValueError("no such order")

    with caplog.at_level(logging.ERROR, logger="quorum.amqp"):
        broker.consume(queue, fail_once)
        broker.publish(b"x", routing_key=queue, message_id="order-7")
        wait_until(lambda: len(flags) == 2)
    assert flags == [False, True]
    assert "order-7" in caplog.text
    assert "no such order" in caplog.text
    assert broker.get(f"{queue}.dead", timeout=0.2) is None


def test_what_made_a_handler_fail_may_pass(broker: Any, queue: str) -> None:
    """Half a second of trouble in its handler puts no message among the dead letters."""
    handled, end = set(), time.monotonic() + 0.5

    def handle(delivery: Any) -> None:
        if time.monotonic() < end:
            raise ConnectionError("the database restarts")
        handled.add(delivery.body)

    for number in range(20):
        broker.publish(str(number), routing_key=queue)
    broker.consume(queue, handle, threads=2)
    wait_until(lambda: len(handled) == 20)
    assert broker.get(f"{queue}.dead") is None


def test_a_handler_that_waits_to_give_back_holds_up_no_stop(broker: Any, queue: str) -> None:
    """The pause before a failed message goes back ends as the consumer is stopped."""
    failed = threading.Event()

    def fail(delivery: Any) -> None:
        if delivery.redelivered:
            failed.set()
        raise ValueError("it cannot be digested")

    broker.publish("poison", routing_key=queue)
    consumer = broker.consume(queue, fail)
    assert failed.wait(DEADLINE)
    assert consumer.stop(timeout=5)


@pytest.mark.parametrize("handler", [lambda: None, lambda one, two: None], ids=["none", "two"])
def test_a_handler_takes_a_delivery(broker: Any, queue: str, handler: Any) -> None:
    """A function that cannot be called with one argument is refused, and nothing is taken."""
    broker.publish("an order", routing_key=queue)
    with pytest.raises(Rejected, match="of one argument"):
        broker.consume(queue, handler)
    assert take(broker, queue).body == b"an order"


@pytest.mark.parametrize("limit", [1, 3])
def test_poison_ends_among_the_dead_letters(broker: Any, limit: int) -> None:
    """A message that no handler bears is given `delivery_limit` + 1 times; others flow."""
    queue = name()
    broker.declare_queue(queue, delivery_limit=limit)
    poisoned: list[int] = []
    good: list[bytes] = []

    def handle(delivery: Any) -> None:
        if delivery.body == b"poison":
            poisoned.append(given_back(delivery))
            raise ValueError("poison")
        good.append(delivery.body)

    publish(broker, queue, "1", "poison", "2")
    broker.consume(queue, handle)
    publish(broker, queue, "3")
    dead = take(broker, f"{queue}.dead")
    dead.ack()
    wait_until(lambda: len(good) == 3)
    assert sorted(good) == [b"1", b"2", b"3"]
    assert poisoned == list(range(limit + 1))
    assert (dead.body, death_of(dead)["reason"]) == (b"poison", "delivery_limit")


def test_poison_in_a_queue_that_is_not_durable(broker: Any) -> None:
    """There a message that no handler bears is given twice."""
    queue = name()
    broker.declare_queue(queue, durable=False)
    flags: list[bool] = []

    def fail(delivery: Any) -> None:
        flags.append(delivery.redelivered)
        raise ValueError("poison")

    broker.consume(queue, fail)
    publish(broker, queue, "poison")
    take(broker, f"{queue}.dead").ack()
    assert flags == [False, True]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_handler_that_exits_ends_nothing(
    broker: Any, queue: str, error: type[BaseException]
) -> None:
    """A handler that exits has failed as any other; the consumer goes on."""
    good: list[bytes] = []

    def handle(delivery: Any) -> None:
        if delivery.body == b"exit":
            raise error
        good.append(delivery.body)

    consumer = broker.consume(queue, handle)
    publish(broker, queue, "exit", "good")
    take(broker, f"{queue}.dead").ack()
    wait_until(lambda: good == [b"good"])
    assert consumer.running


def test_a_handler_may_acknowledge_early(broker: Any, queue: str) -> None:
    """What a handler acknowledged is dealt with, also if it raises afterwards."""
    found: list[bytes] = []

    def handle(delivery: Any) -> None:
        found.append(delivery.body)
        delivery.ack()
        if delivery.body == b"raise":
            raise ValueError("too late")

    consumer = broker.consume(queue, handle)
    publish(broker, queue, "return", "raise", "last")
    wait_until(lambda: len(found) == 3)
    assert consumer.stop(DEADLINE)
    assert found == [b"return", b"raise", b"last"]
    assert broker.get(queue, timeout=0.2) is None
    assert broker.get(f"{queue}.dead") is None


def test_a_handler_may_give_up(broker: Any, queue: str) -> None:
    """What a handler rejected goes to the dead letters at once."""
    calls: list[bytes] = []

    def handle(delivery: Any) -> None:
        calls.append(delivery.body)
        delivery.reject()

    broker.consume(queue, handle)
    publish(broker, queue, "bad")
    dead = take(broker, f"{queue}.dead")
    dead.ack()
    assert (death_of(dead)["reason"], calls) == ("rejected", [b"bad"])


def test_a_handler_may_give_back(broker: Any, queue: str) -> None:
    """What a handler gave back comes again."""
    flags: list[bool] = []

    def handle(delivery: Any) -> None:
        flags.append(delivery.redelivered)
        if not delivery.redelivered:
            delivery.reject(requeue=True)

    broker.consume(queue, handle)
    publish(broker, queue, "x")
    wait_until(lambda: flags == [False, True])


def test_a_handler_that_answers_twice_hears_of_it(broker: Any, queue: str) -> None:
    """The second answer of a handler raises Rejected; the first holds."""
    raised: list[Exception] = []

    def handle(delivery: Any) -> None:
        delivery.ack()
        with pytest.raises(Rejected) as caught:
            delivery.ack()
        raised.append(caught.value)

    consumer = broker.consume(queue, handle)
    publish(broker, queue, "x")
    wait_until(lambda: raised)
    assert consumer.stop(DEADLINE)
    assert broker.get(queue, timeout=0.2) is None


def test_another_thread_may_answer(broker: Any, queue: str) -> None:
    """A handler may have its delivery answered by a thread of its own."""
    answered = threading.Event()

    def handle(delivery: Any) -> None:
        thread = threading.Thread(target=delivery.ack)
        thread.start()
        thread.join()
        answered.set()

    consumer = broker.consume(queue, handle)
    publish(broker, queue, "x")
    assert answered.wait(DEADLINE)
    assert consumer.stop(DEADLINE)
    assert broker.get(queue, timeout=0.2) is None


async def _later(delivery: Any) -> None: ...


class Later:
    """Something that is called, and then is to be awaited."""

    async def __call__(self, delivery: Any) -> None: ...


def _generator(delivery: Any) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    "handler",
    [None, "handler", _later, functools.partial(_later), _generator],
    ids=["none", "text", "coroutine", "partial", "generator"],
)
def test_what_is_no_handler_is_refused(broker: Any, queue: str, handler: Any) -> None:
    """A handler is a plain function: one that only prepares what it does would lose messages."""
    with pytest.raises(Rejected, match="handler"):
        broker.consume(queue, handler)


def test_a_coroutine_that_did_not_run_acknowledges_nothing(broker: Any, queue: str) -> None:
    """A handler that turns out to be a coroutine function has failed."""
    broker.consume(queue, Later())
    publish(broker, queue, "x")
    take(broker, f"{queue}.dead").ack()


@pytest.mark.parametrize("what", ["prefetch", "threads"])
@pytest.mark.parametrize("value", [0, -1, 65_536, 1.0, "1", None, True])
def test_numbers_out_of_bounds_are_refused(broker: Any, queue: str, what: str, value: Any) -> None:
    """`prefetch` and `threads` are numbers from 1 on."""
    with pytest.raises(Rejected, match=what):
        broker.consume(queue, print, **{what: value})


def test_one_thread_handles_one_at_a_time(broker: Any, queue: str) -> None:
    """With one thread, a handler is not called while it runs."""
    gate = Gate()
    broker.consume(queue, gate)
    publish(broker, queue, "1", "2")
    wait_until(lambda: gate.begun)
    assert broker.get(queue, timeout=0.2) is None
    assert gate.begun == [b"1"]
    gate.open()
    wait_until(lambda: gate.ended == [b"1", b"2"])


def test_several_threads_handle_at_once(broker: Any, queue: str) -> None:
    """With several threads, a slow handler stops no other."""
    together = threading.Barrier(3)
    done: list[bytes] = []

    def handle(delivery: Any) -> None:
        together.wait(DEADLINE)
        done.append(delivery.body)

    broker.consume(queue, handle, threads=3)
    publish(broker, queue, "1", "2", "3")
    wait_until(lambda: len(done) == 3)


@pytest.mark.parametrize(("prefetch", "threads"), [(1, 1), (3, 1), (2, 4)])
def test_no_more_than_the_prefetch_is_taken(
    broker: Any, queue: str, prefetch: int, threads: int
) -> None:
    """What is beyond the prefetch stays in the queue, for others."""
    gate = Gate()
    broker.consume(queue, gate, prefetch=prefetch, threads=threads)
    publish(broker, queue, *map(str, range(prefetch)))
    wait_until(lambda: len(gate.begun) == min(prefetch, threads))
    publish(broker, queue, "beyond")
    assert take(broker, queue).body == b"beyond"
    assert broker.get(queue) is None
    gate.open()
    wait_until(lambda: len(gate.ended) == prefetch)


def test_two_consumers_share(broker: Any, queue: str) -> None:
    """Two consumers of one queue each get a part, and none gets what the other has."""
    gates = [Gate(), Gate()]
    for gate in gates:
        broker.consume(queue, gate, prefetch=1)
    publish(broker, queue, *map(str, range(6)))
    wait_until(lambda: all(gate.begun for gate in gates))
    for gate in gates:
        gate.open()
    wait_until(lambda: len(gates[0].ended) + len(gates[1].ended) == 6)
    found = sorted(gates[0].ended + gates[1].ended)
    assert found == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_consumers_take_turns(broker: Any, queue: str) -> None:
    """Messages go round among consumers that are free."""
    found: tuple[list[bytes], list[bytes]] = ([], [])
    for mine in found:
        broker.consume(queue, lambda delivery, mine=mine: mine.append(delivery.body))
    for number in range(6):
        publish(broker, queue, str(number))
        wait_until(lambda number=number: len(found[0]) + len(found[1]) == number + 1)
    assert [len(mine) for mine in found] == [3, 3]


def test_consumers_of_two_queues_share_no_thread(broker: Any, queue: str) -> None:
    """A handler that is slow on one queue stops none of another."""
    other = name()
    broker.declare_queue(other)
    gate, found = Gate(), []
    broker.consume(queue, gate)
    broker.consume(other, lambda delivery: found.append(delivery.body))
    publish(broker, queue, "slow")
    wait_until(lambda: gate.begun)
    publish(broker, other, "quick")
    wait_until(lambda: found == [b"quick"])
    gate.open()


def test_the_dead_letters_can_be_consumed(broker: Any, queue: str) -> None:
    """A consumer of the dead letters gets what is rejected and what expires, as it dies."""
    found: list[tuple[bytes, str]] = []
    broker.consume(
        f"{queue}.dead",
        lambda delivery: found.append((delivery.body, death_of(delivery)["reason"])),
    )
    publish(broker, queue, "bad")
    take(broker, queue).reject()
    broker.publish("late", routing_key=queue, expires_in=0.1)
    wait_until(lambda: len(found) == 2)
    assert found == [(b"bad", "rejected"), (b"late", "expired")]


def test_what_expires_in_a_handler_is_not_handled_again(broker: Any, queue: str) -> None:
    """A message whose time is over as its handler raises goes to the dead letters."""
    calls: list[bytes] = []

    def handle(delivery: Any) -> None:
        calls.append(delivery.body)
        time.sleep(0.5)  # longer than the message lives
        raise ValueError("slow")

    broker.consume(queue, handle)
    broker.publish(b"x", routing_key=queue, expires_in=0.3)
    dead = take(broker, f"{queue}.dead")
    dead.ack()
    assert (death_of(dead)["reason"], calls) == ("expired", [b"x"])


def test_stop_takes_no_more(broker: Any, queue: str) -> None:
    """After stop no handler is called, and `running` is False."""
    found: list[bytes] = []
    consumer = broker.consume(queue, lambda delivery: found.append(delivery.body))
    assert consumer.stop(DEADLINE) is True
    assert consumer.running is False
    publish(broker, queue, "later")
    assert take(broker, queue).body == b"later"
    assert found == []


def test_stop_waits_for_who_runs(broker: Any, queue: str) -> None:
    """stop returns True once the handler that runs has ended, and its message is dealt with."""
    gate = Gate()
    consumer = broker.consume(queue, gate)
    publish(broker, queue, "x")
    wait_until(lambda: gate.begun)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(consumer.stop, DEADLINE)
        wait_until(lambda: not consumer.running)
        assert not stopping.done()
        gate.open()
        assert stopping.result(timeout=DEADLINE) is True
    assert gate.ended == [b"x"]
    assert broker.get(queue, timeout=0.3) is None
    assert broker.get(f"{queue}.dead") is None


def test_stop_gives_the_rest_back(broker: Any, queue: str) -> None:
    """What was taken and not begun goes back to the queue, marked as redelivered."""
    gate = Gate()
    consumer = broker.consume(queue, gate, prefetch=5)
    publish(broker, queue, "0", "1", "2", "3", "4")
    wait_until(lambda: gate.begun)
    assert broker.get(queue, timeout=0.3) is None
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(consumer.stop, DEADLINE)
        wait_until(lambda: not consumer.running)
        gate.open()
        assert stopping.result(timeout=DEADLINE) is True
    assert gate.begun == [b"0"]
    left = [take(broker, queue) for _ in range(4)]
    assert sorted(delivery.body for delivery in left) == [b"1", b"2", b"3", b"4"]
    assert all(delivery.redelivered for delivery in left)
    for delivery in left:
        delivery.ack()


def test_stop_waits_no_longer_than_it_may(broker: Any, queue: str) -> None:
    """stop returns False where a handler still runs after its timeout; a second stop waits on."""
    gate = Gate()
    consumer = broker.consume(queue, gate)
    publish(broker, queue, "x")
    wait_until(lambda: gate.begun)
    start = time.monotonic()
    assert consumer.stop(0.2) is False
    assert time.monotonic() - start < 6
    gate.open()
    assert consumer.stop(DEADLINE) is True
    assert gate.ended == [b"x"]


def test_stopping_without_a_timeout_waits_as_long_as_a_call(
    build: Callable[..., Any],
) -> None:
    """The timeout of stop is AMQP_TIMEOUT, unless it is told."""
    broker, queue, gate = build(timeout=1), name(), Gate()
    broker.declare_queue(queue)
    consumer = broker.consume(queue, gate)
    publish(broker, queue, "x")
    wait_until(lambda: gate.begun)
    start = time.monotonic()
    assert consumer.stop() is False
    assert 0.9 <= time.monotonic() - start < 6
    gate.open()
    assert consumer.stop()


def test_stopping_twice_is_a_no_op(broker: Any, queue: str) -> None:
    """A second stop returns what the first did."""
    consumer = broker.consume(queue, print)
    assert [consumer.stop(DEADLINE), consumer.stop(DEADLINE)] == [True, True]


def test_a_handler_may_stop_its_consumer(broker: Any, queue: str) -> None:
    """stop inside a handler does not wait for that handler; its message is acknowledged."""
    stopped: list[bool] = []

    def handle(delivery: Any) -> None:
        stopped.append(consumer.stop(DEADLINE))

    consumer = broker.consume(queue, handle, prefetch=1)
    publish(broker, queue, "last", "left")
    wait_until(lambda: stopped)
    assert stopped == [True]
    assert consumer.stop(DEADLINE)
    assert drain(broker, queue, wait=1) == [b"left"]
    assert broker.get(f"{queue}.dead") is None


def test_a_handler_may_use_the_broker(broker: Any, queue: str) -> None:
    """A handler may publish, declare, take and consume."""
    other, found = name(), []

    def handle(delivery: Any) -> None:
        broker.declare_queue(other)
        broker.publish(delivery.body, routing_key=other)
        taken = take(broker, other)
        taken.ack()
        broker.publish(taken.body + b"!", routing_key=other)
        broker.consume(other, lambda each: found.append(each.body))

    broker.consume(queue, handle)
    publish(broker, queue, "hello")
    wait_until(lambda: found == [b"hello!"])


def test_a_handler_may_close_the_broker(broker: Any, queue: str) -> None:
    """close inside a handler does not wait for that handler."""
    closed = threading.Event()

    def handle(delivery: Any) -> None:
        broker.close()
        closed.set()

    broker.consume(queue, handle)
    publish(broker, queue, "x")
    assert closed.wait(6)
    with pytest.raises(Unavailable):
        broker.ping()


def test_close_stops_consumers(broker: Any, queue: str) -> None:
    """After close no consumer runs; the handlers that ran have ended."""
    gate = Gate()
    consumers = [broker.consume(queue, gate) for _ in range(2)]
    publish(broker, queue, "x")
    wait_until(lambda: gate.begun)
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(broker.close)
        wait_until(lambda: not any(consumer.running for consumer in consumers))
        gate.open()
        closing.result(timeout=DEADLINE)
    assert gate.ended == [b"x"]
    assert [consumer.stop() for consumer in consumers] == [True, True]


def test_close_waits_no_longer_than_a_call(build: Callable[..., Any]) -> None:
    """Handlers that do not end hold close up for AMQP_TIMEOUT in all, however many there are."""
    broker, queue, gate = build(timeout=1), name(), Gate()
    broker.declare_queue(queue)
    for _ in range(4):
        broker.consume(queue, gate, prefetch=1)
    publish(broker, queue, *map(str, range(4)))
    wait_until(lambda: len(gate.begun) == 4)
    start = time.monotonic()
    broker.close()
    assert time.monotonic() - start < 3
    gate.open()
    wait_until(lambda: len(gate.ended) == 4)


def test_handlers_run_in_the_scope(build: Callable[..., Any]) -> None:
    """Each handler runs inside a context of its own, that is left before the next."""
    events: list[str] = []

    @contextmanager
    def scope() -> Iterator[None]:
        events.append("enter")
        try:
            yield
        finally:
            events.append("leave")

    def handle(delivery: Any) -> None:
        events.append(delivery.body.decode())
        if delivery.body == b"bad" and not delivery.redelivered:
            raise ValueError("bad")

    broker, queue = build(scope=scope), name()
    broker.declare_queue(queue)
    publish(broker, queue, "good", "bad")
    broker.consume(queue, handle)
    wait_until(lambda: len(events) == 9)
    assert events == ["enter", "good", "leave", "enter", "bad", "leave", "enter", "bad", "leave"]


def test_a_scope_that_fails_fails_the_handler(build: Callable[..., Any]) -> None:
    """Where the context cannot be entered no handler is called, and the message is given back."""

    @contextmanager
    def scope() -> Iterator[None]:
        raise RuntimeError("no application")
        yield

    broker, queue, calls = build(scope=scope), name(), []
    broker.declare_queue(queue, delivery_limit=2)
    broker.consume(queue, calls.append)
    publish(broker, queue, "x")
    take(broker, f"{queue}.dead").ack()
    assert calls == []


def test_handlers_are_counted(broker: Any, queue: str) -> None:
    """A consumer counts the calls of its handler, and those that raised."""

    def handle(delivery: Any) -> None:
        if delivery.body == b"bad":
            raise ValueError("bad")

    consumer = broker.consume(queue, handle)
    publish(broker, queue, "good", "bad")
    take(broker, f"{queue}.dead").ack()
    wait_until(lambda: consumer.counts.calls == 7)
    assert consumer.counts.failures == 6


def test_many_threads_lose_no_message(broker: Any, queue: str) -> None:
    """What 8 threads publish while 4 handlers take is handled once each."""
    found: list[int] = []
    consumer = broker.consume(queue, lambda delivery: found.append(delivery.json()), threads=4)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: broker.publish(number, routing_key=queue), range(400)))
    wait_until(lambda: len(found) >= 400)
    assert consumer.stop(DEADLINE)
    assert sorted(found) == list(range(400))
    assert broker.get(queue, timeout=0.3) is None


def test_consumers_that_come_and_go_lose_no_message(broker: Any) -> None:
    """A message is dealt with once, however often its consumers are stopped and started."""
    queue, found = name(), []
    broker.declare_queue(queue, delivery_limit=1000)
    publish(broker, queue, *map(str, range(100)))
    while len(found) < 100:
        consumer = broker.consume(
            queue, lambda delivery: found.append(delivery.body), prefetch=20, threads=2
        )
        count = len(found)
        wait_until(lambda count=count: len(found) > min(count, 99))
        assert consumer.stop(DEADLINE)
    assert sorted(found, key=int) == [str(number).encode() for number in range(100)]
    assert broker.get(queue, timeout=0.3) is None
    assert broker.get(f"{queue}.dead") is None


def test_each_message_comes_to_one_end(broker: Any) -> None:
    """Whatever handlers do, while consumers come and go, a message is acknowledged or dead once."""
    queue, acknowledged = name(), []
    broker.declare_queue(queue, delivery_limit=1000)

    def handle(delivery: Any) -> None:
        number = delivery.json()
        if number % 4 == 1 and not delivery.redelivered:
            raise SystemExit
        if number % 4 == 2:
            delivery.reject(requeue=not delivery.redelivered)
            return
        delivery.ack()
        acknowledged.append(number)
        if number % 4 == 3:
            raise ValueError("after the answer")

    broker.consume(queue, handle, prefetch=5, threads=2)
    with ThreadPoolExecutor(4) as pool:
        publishing = [pool.submit(broker.publish, each, routing_key=queue) for each in range(200)]
        for _ in range(5):
            passing = broker.consume(queue, handle, prefetch=5)
            if (delivery := broker.get(queue)) is not None:
                delivery.reject(requeue=True)
            assert passing.stop(DEADLINE)
        for each in publishing:
            each.result(timeout=DEADLINE)
    dead = [take(broker, f"{queue}.dead") for _ in range(50)]
    wait_until(lambda: len(acknowledged) >= 150)
    assert broker.get(f"{queue}.dead", timeout=0.5) is None
    assert sorted(acknowledged) == [each for each in range(200) if each % 4 != 2]
    assert sorted(each.json() for each in dead) == [n for n in range(200) if n % 4 == 2]


def test_a_consumer_of_a_closed_broker_may_be_stopped(broker: Any, queue: str) -> None:
    """stop after close raises nothing."""
    consumer = broker.consume(queue, print)
    broker.close()
    assert consumer.stop() is True
    with pytest.raises(ServiceError):
        broker.consume(queue, print)
