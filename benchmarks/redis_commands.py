"""Redis commands against the bare client, one server: `python -m benchmarks.redis_commands`."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import redis

from benchmarks.measure import at_most
from quorum import Container, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BARE, QUORUM = "redis-py, as it comes", "quorum's client"
ROUNDS, COMMANDS, THREADS = 101, 100, 8
VALUE = b"v" * 32
TARGET = 1.05


@contextmanager
def server() -> Iterator[str]:
    """Run Debian's redis-server on a free port, and give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
    words = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", ""]
    with TemporaryDirectory() as folder:
        log = subprocess.DEVNULL
        with subprocess.Popen([*words, "--dir", folder], stdout=log) as process:
            url = f"redis://127.0.0.1:{port}/0"
            wait_for(redis.Redis.from_url(url))
            yield url
            process.terminate()


def wait_for(client: redis.Redis) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with suppress(redis.ConnectionError):
            client.ping()
            return
    raise RuntimeError("redis-server does not serve")


def pipelined(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        for _ in range(10):
            pipe.get("key")
        pipe.execute()


def in_threads(client: redis.Redis) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda _: client.incr("count"), range(THREADS * 4)):
            pass


WORK: dict[str, Callable[[redis.Redis], object]] = {
    "GET": lambda client: client.get("key"),
    "SET": lambda client: client.set("key", VALUE),
    "a pipeline of 10": pipelined,
    f"32 INCR on {THREADS} threads": in_threads,
}


def batch(work: Callable[[redis.Redis], object], client: redis.Redis) -> tuple[float, float]:
    """Do it many times; return the seconds of one by the clock, and those of this process."""
    number = COMMANDS if work in (WORK["GET"], WORK["SET"]) else COMMANDS // 20
    clock, process = time.perf_counter(), time.process_time()
    for _ in range(number):
        work(client)
    return (time.perf_counter() - clock) / number, (time.process_time() - process) / number


def measure(work: Callable[[redis.Redis], object], clients: dict[str, redis.Redis]) -> Rounds:
    """Do a batch with each client in every round, in another order each time."""
    rounds: Rounds = {name: [] for name in clients}
    for client in clients.values():
        batch(work, client)
    for _ in range(ROUNDS):
        for name in random.sample(list(clients), len(clients)):
            rounds[name].append(batch(work, clients[name]))
    return rounds


Rounds = dict[str, list[tuple[float, float]]]


def ratio(rounds: Rounds, kind: int) -> float:
    """Return the median of the rounds' ratios: a slow moment of the machine slows both."""
    pairs = zip(rounds[QUORUM], rounds[BARE], strict=True)
    return median(ours[kind] / bare[kind] for ours, bare in pairs)


def main() -> None:
    with server() as url:
        container = Container(settings=Settings(redis={"url": url}))
        clients = {BARE: redis.Redis.from_url(url), QUORUM: container.redis().client}
        clients[BARE].set("key", VALUE)
        results = {name: measure(work, clients) for name, work in WORK.items()}
        container.ledger.close()
    print("one server                  us bare   us ours    ratio   ratio of the client's CPU")
    for name, rounds in results.items():
        bare, ours = (median(each[0] for each in rounds[which]) * 1e6 for which in (BARE, QUORUM))
        figures = f"{bare:10.0f}{ours:10.0f}{ratio(rounds, 0):9.2f}{ratio(rounds, 1):10.2f}"
        print(f"{name:25}{figures}")
    print()
    for name in ("GET", "SET"):
        print(at_most(f"{name}, to {BARE}", ratio(results[name], 0), TARGET))
        print(at_most(f"{name}, CPU, to {BARE}", ratio(results[name], 1), TARGET))


if __name__ == "__main__":
    main()
