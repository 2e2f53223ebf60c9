"""MongoDB operations against the bare client, one server: `python -m benchmarks.mongo`."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo.errors import PyMongoError

from benchmarks.measure import at_most
from quorum import Container, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BARE = "pymongo, as it comes"
SAFE = "pymongo, as safe"
QUORUM = "quorum's service"
CONFIRMED = "/?w=majority&journal=true"
ROUNDS, OPERATIONS = 61, 20
TARGET = 1.05

Collection = Any
Rounds = dict[str, list[tuple[float, float]]]


@contextmanager
def server() -> Iterator[str]:
    """Run SecantusDB, which speaks MongoDB's protocol, on a free port, and give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
    program = [str(Path(sys.executable).with_name("secantusd-py")), "--host", "127.0.0.1"]
    with TemporaryDirectory() as folder:
        options = ["--port", port, "--storage-path", folder, "--log-level", "WARNING"]
        with subprocess.Popen([*program, *options], stdout=subprocess.DEVNULL) as process:
            url = f"mongodb://127.0.0.1:{port}"
            wait_for(url)
            yield url
            process.kill()


def wait_for(url: str) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(PyMongoError), pymongo.MongoClient[Any](url) as client:
            client.admin.command("ping")
            return
    raise RuntimeError("the server does not serve")


WORK: dict[str, Callable[[Callable[[], Collection]], object]] = {
    "find_one": lambda entries: entries().find_one({"_id": 1}),
    "find, 100 documents": lambda entries: list(entries().find({}, limit=100)),
    "insert_one": lambda entries: entries().insert_one({"n": 1}),
    "update_one": lambda entries: entries().update_one({"_id": 1}, {"$inc": {"n": 1}}),
}


def batch(
    work: Callable[[Callable[[], Collection]], object], entries: Callable[[], Collection]
) -> tuple[float, float]:
    """Do it many times; return the seconds of one by the clock, and those of this process."""
    clock, process = time.perf_counter(), time.process_time()
    for _ in range(OPERATIONS):
        work(entries)
    seconds = time.perf_counter() - clock, time.process_time() - process
    return seconds[0] / OPERATIONS, seconds[1] / OPERATIONS


def measure(
    work: Callable[[Callable[[], Collection]], object], ways: dict[str, Callable[[], Collection]]
) -> Rounds:
    """Do a batch each way in every round, in another order each time."""
    rounds: Rounds = {name: [] for name in ways}
    for entries in ways.values():
        batch(work, entries)
    for _ in range(ROUNDS):
        for name in random.sample(list(ways), len(ways)):
            rounds[name].append(batch(work, ways[name]))
    return rounds


def ratio(rounds: Rounds, kind: int, to: str) -> float:
    """Return the median of the rounds' ratios: a slow moment of the machine slows both."""
    pairs = zip(rounds[QUORUM], rounds[to], strict=True)
    return median(ours[kind] / bare[kind] for ours, bare in pairs)


def main() -> None:
    with server() as url:
        container = Container(settings=Settings(mongo={"url": url, "database": "bench"}))
        mongo = container.mongo()
        bare, safe = (pymongo.MongoClient[Any](url + query) for query in ("", CONFIRMED))
        ways = {
            BARE: lambda: bare.bench.entries,
            SAFE: lambda: safe.bench.entries,
            QUORUM: lambda: mongo.collection("entries"),
        }
        mongo.collection("entries").insert_many([{"_id": n, "n": n} for n in range(200)])
        results = {name: measure(work, ways) for name, work in WORK.items()}
        bare.close()
        safe.close()
        container.ledger.close()
    print("one server, us an operation     bare    safe    ours   ours to bare   to safe   CPU")
    for name, rounds in results.items():
        clocks = "".join(f"{median(each[0] for each in rounds[way]) * 1e6:8.0f}" for way in ways)
        figures = (ratio(rounds, 0, BARE), ratio(rounds, 0, SAFE), ratio(rounds, 1, SAFE))
        print(f"{name:28}{clocks}{figures[0]:15.2f}{figures[1]:10.2f}{figures[2]:6.2f}")
    print()
    for name, rounds in results.items():
        # A write that waits for the disk is compared with one that does.
        to = SAFE if name.endswith("_one") and name != "find_one" else BARE
        print(at_most(f"{name}, to {to}", ratio(rounds, 0, to), TARGET))


if __name__ == "__main__":
    main()
