"""A Pusher trigger against the bare client, one server: `python -m benchmarks.pusher`."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pusher

from benchmarks.measure import at_most
from quorum import Container, Settings
from tests.servers import LOCAL, PusherServer
from tests.services.pusher.keeping import KeepingServer

if TYPE_CHECKING:
    from collections.abc import Callable

    Trigger = Callable[..., object]

BARE, QUORUM = "pusher's client, as it comes", "quorum"
ROUNDS, CALLS, THREADS = 61, 20, 8
DATA = {"by": "ana", "text": "x" * 200}
TARGET = 1.1

Rounds = dict[str, list[tuple[float, float]]]


def one(trigger: Trigger) -> None:
    trigger("channel", "event", DATA)


def to_many(trigger: Trigger) -> None:
    trigger([f"channel-{number}" for number in range(100)], "event", DATA)


def in_threads(trigger: Trigger) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda _: one(trigger), range(THREADS * 2)):
            pass


WORK: dict[str, Callable[[Trigger], None]] = {
    "a trigger": one,
    "a trigger to 100 channels": to_many,
    f"16 triggers on {THREADS} threads": in_threads,
}


def batch(work: Callable[[Trigger], None], trigger: Trigger) -> tuple[float, float]:
    """Do it many times; return the seconds of one by the clock, and those of this process."""
    number = CALLS if work is one else CALLS // 10
    clock, process = time.perf_counter(), time.process_time()
    for _ in range(number):
        work(trigger)
    return (time.perf_counter() - clock) / number, (time.process_time() - process) / number


def measure(work: Callable[[Trigger], None], triggers: dict[str, Trigger]) -> Rounds:
    """Do a batch with each client in every round, in another order each time."""
    rounds: Rounds = {name: [] for name in triggers}
    for trigger in triggers.values():
        batch(work, trigger)
    for _ in range(ROUNDS):
        for name in random.sample(list(triggers), len(triggers)):
            rounds[name].append(batch(work, triggers[name]))
    return rounds


def ratio(rounds: Rounds, kind: int) -> float:
    """Return the median of the rounds' ratios: a slow moment of the machine slows both."""
    pairs = zip(rounds[QUORUM], rounds[BARE], strict=True)
    return median(ours[kind] / bare[kind] for ours, bare in pairs)


def against(port: int) -> dict[str, Rounds]:
    """Measure all work on one server."""
    keys = (PusherServer.app_id, PusherServer.key, PusherServer.secret)
    place = {"host": LOCAL, "port": port, "ssl": False}
    settings = Settings(pusher=dict(zip(("app_id", "key", "secret"), keys, strict=True), **place))
    container = Container(settings=settings)
    triggers = {BARE: pusher.Pusher(*keys, **place).trigger, QUORUM: container.pusher().trigger}
    results = {name: measure(work, triggers) for name, work in WORK.items()}
    container.ledger.close()
    return results


def main() -> None:
    with TemporaryDirectory() as folder, PusherServer(Path(folder)) as soketi:
        results = {"soketi, which closes each connection": against(soketi.port)}
    with KeepingServer() as keeping:
        results["a server that keeps them (in this process)"] = against(keeping.server_port)
    for server, found in results.items():
        print(f"{server:42} us bare   us ours    ratio   ratio of CPU")
        for name, rounds in found.items():
            bare, ours = (median(each[0] for each in rounds[who]) * 1e6 for who in (BARE, QUORUM))
            figures = f"{bare:10.0f}{ours:10.0f}{ratio(rounds, 0):9.2f}{ratio(rounds, 1):15.2f}"
            print(f"{name:40}{figures}")
        print()
    for server, found in results.items():
        print(at_most(f"a trigger, to {BARE}, on {server}", ratio(found["a trigger"], 0), TARGET))


if __name__ == "__main__":
    main()
