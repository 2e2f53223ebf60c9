"""Confirmed publishing from eight threads, one broker: `python -m benchmarks.amqp`."""

from __future__ import annotations

import random
import threading
import time
import uuid
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pika

from benchmarks.measure import at_least
from quorum import Container, Settings
from tests.servers import AmqpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pika.adapters.blocking_connection import BlockingChannel

    Publish = Callable[[int], object]

QUORUM, EACH, LOCKED = "quorum's broker", "eight connections", "one behind a lock"
ROUNDS, THREADS, MESSAGES = 9, 8, 100
BODY = b"x" * 200
TARGETS = {EACH: 1.0, LOCKED: 2.5}


@contextmanager
def channel_of(url: str) -> Iterator[BlockingChannel]:
    """Give a channel that waits for each confirmation."""
    with warnings.catch_warnings():
        # pika 1.5 deprecates the very thing that is compared with.
        warnings.simplefilter("ignore", DeprecationWarning)
        connection = pika.BlockingConnection(pika.URLParameters(url))
    with connection:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel


def send(channel: BlockingChannel, queue: str) -> None:
    properties = pika.BasicProperties(delivery_mode=2, message_id=uuid.uuid4().hex)
    channel.basic_publish("", queue, BODY, properties, mandatory=True)


def contenders(url: str, queue: str, stack: ExitStack) -> dict[str, Publish]:
    """Return what publishes a message, given the number of the thread."""
    broker = Container(settings=Settings(amqp={"url": url})).amqp()
    stack.callback(broker.close)
    broker.declare_queue(queue)
    own = [stack.enter_context(channel_of(url)) for _ in range(THREADS)]
    shared, lock = stack.enter_context(channel_of(url)), threading.Lock()

    def locked(_: int) -> None:
        with lock:
            send(shared, queue)

    return {
        QUORUM: lambda _: broker.publish(BODY, routing_key=queue),
        EACH: lambda thread: send(own[thread], queue),
        LOCKED: locked,
    }


def rate(publish: Publish, pool: ThreadPoolExecutor) -> float:
    """Publish from all threads at once; return the messages a second."""

    def work(thread: int) -> None:
        for _ in range(MESSAGES):
            publish(thread)

    start = time.perf_counter()
    list(pool.map(work, range(THREADS)))
    return THREADS * MESSAGES / (time.perf_counter() - start)


def measure(ways: dict[str, Publish], empty: Callable[[], object]) -> dict[str, list[float]]:
    """Let each way publish once a round, in another order each time, to a queue that is empty."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with ThreadPoolExecutor(THREADS) as pool:
        for publish in ways.values():
            rate(publish, pool)
        for _ in range(ROUNDS):
            for name in random.sample(list(ways), len(ways)):
                empty()
                rates[name].append(rate(ways[name], pool))
    return rates


def main() -> None:
    queue = "benchmark"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        url = stack.enter_context(AmqpServer(folder)).url
        ways = contenders(url, queue, stack)
        purging = stack.enter_context(channel_of(url))
        rates = measure(ways, lambda: purging.queue_purge(queue))
    print(f"{THREADS} threads, {len(BODY)} bytes, persistent and confirmed    messages/s")
    for name, found in rates.items():
        print(f"{name:50}{median(found):10.0f}")
    print()
    for name, target in TARGETS.items():
        ratios = [ours / other for ours, other in zip(rates[QUORUM], rates[name], strict=True)]
        print(at_least(f"messages a second, to {name}", median(ratios), target))


if __name__ == "__main__":
    main()
