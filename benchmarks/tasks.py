"""Background work on threads of one process, and its peers: `python -m benchmarks.tasks`."""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.background import BackgroundScheduler

import quorum
from benchmarks.measure import at_least, at_most
from quorum.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

QUORUM, BACKGROUND = "tasks.submit", "run_background"
EXECUTOR, APSCHEDULER = "ThreadPoolExecutor", "APScheduler"
THREADS = 8
SINGLE, MOMENTS, JOBS, OFFERS = 2000, 200, 10_000, 1_000_000
ROUNDS, PAUSE, AHEAD, IDLE = 5, 0.002, 0.05, 5.0


class Peers:
    """What is compared, each with eight threads; Quorum's jobs run in the application's context."""

    def __init__(self, stack: ExitStack) -> None:
        settings = quorum.Settings(name="benchmark", level="ERROR", tasks={"threads": THREADS})
        self.app = quorum.load(name="benchmark", settings=settings)
        stack.callback(quorum.unload, self.app)
        self.tasks = self.app.container.tasks()
        self.executor = stack.enter_context(ThreadPoolExecutor(THREADS))
        self.scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None}
        )
        self.scheduler.start()
        stack.callback(self.scheduler.shutdown)

    def background(self, function: Callable[..., Any], *args: Any) -> None:
        """Submit a job by the documented function."""
        quorum.run_background(function, args)

    def scheduled(self, moment: float, function: Callable[..., Any], *args: Any) -> None:
        """Have APScheduler call a function at a moment."""
        date = datetime.fromtimestamp(moment, UTC)
        self.scheduler.add_job(function, "date", run_date=date, args=args)


def latency(submit: Callable[..., Any]) -> float:
    """Submit a job when all is quiet; return how long it waited, in seconds."""
    begun = threading.Event()
    waited: list[float] = []

    def job(submitted: float) -> None:
        waited.append(time.perf_counter() - submitted)
        begun.set()

    time.sleep(PAUSE)
    submit(job, time.perf_counter())
    begun.wait()
    return waited[0]


def lateness(at: Callable[..., Any]) -> float:
    """Have a job called at a moment; return how late it was, in seconds."""
    begun = threading.Event()
    late: list[float] = []

    def job(moment: float) -> None:
        late.append(time.time() - moment)
        begun.set()

    moment = time.time() + AHEAD
    at(moment, job, moment)
    begun.wait()
    return late[0]


def seconds(submit: Callable[..., Any]) -> float:
    """Submit many small jobs; return the time until the last has run."""
    ended, number = threading.Event(), count(1)

    def job() -> None:
        if next(number) == JOBS:
            ended.set()

    start = time.perf_counter()
    for _ in range(JOBS):
        submit(job)
    ended.wait()
    return time.perf_counter() - start


def each_round(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Let each way do its work once a round, in another order each round."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name in random.sample(list(ways), len(ways)):
            found[name].append(ways[name]())
    return found


def ratio(found: dict[str, list[float]], name: str, to: str) -> float:
    """Return the median of the rounds' ratios: a slow moment of the machine slows both."""
    return median(one / other for one, other in zip(found[name], found[to], strict=True))


def compare(title: str, found: dict[str, list[float]], to: str, target: float) -> list[str]:
    """Print p50 and p99 in microseconds; return the verdicts on each against one peer."""
    print(f"{title:50}{'p50 µs':>10}{'p99 µs':>10}")
    parts = {name: quantiles(values, n=100) for name, values in found.items()}
    for name, part in parts.items():
        print(f"{name:50}{part[49] * 1e6:10.0f}{part[98] * 1e6:10.0f}")
    print()
    return [
        at_most(f"{title} of {name}, p{p}, to {to}", part[p - 1] / parts[to][p - 1], target)
        for name, part in parts.items()
        for p in (50, 99)
        if name != to
    ]


def rates(peers: Peers) -> list[str]:
    """Print the jobs a second; return the verdicts."""
    ways = {
        QUORUM: lambda: seconds(peers.tasks.submit),
        BACKGROUND: lambda: seconds(peers.background),
        EXECUTOR: lambda: seconds(peers.executor.submit),
        APSCHEDULER: lambda: seconds(peers.scheduler.add_job),
    }
    found = each_round(ways, ROUNDS)
    print(f"{f'{JOBS:,} small jobs':50}{'jobs/s':>10}")
    for name, times in found.items():
        print(f"{name:50}{JOBS / median(times):10.0f}")
    print()
    return [
        at_least(f"jobs a second of {name}, to {peer}", ratio(found, peer, name), target)
        for name in (QUORUM, BACKGROUND)
        for peer, target in ((EXECUTOR, 0.4), (APSCHEDULER, 5.0))
    ]


def idle(peers: Peers) -> str:
    """Return the verdict on the CPU time of an application with a schedule an hour away."""
    peers.tasks.every(3600, int)
    peers.tasks.at(time.time() + 3600, int)
    # Until it leads, and every thread waits.
    time.sleep(1)
    before = time.process_time()
    time.sleep(IDLE)
    return at_most(f"CPU in {IDLE:g} idle seconds", time.process_time() - before, 0.01, " s")


def offered(peers: Peers) -> str:
    """Return the verdict on the memory of a process whose full queue is offered jobs."""
    tasks, go_on = peers.tasks, threading.Event()
    for _ in range(THREADS):
        tasks.submit(go_on.wait)
    with suppress(Unavailable):
        while True:
            tasks.submit(int)
    before, refused = resident(), 0
    for _ in range(OFFERS):
        try:
            tasks.submit(int)
        except Unavailable:
            refused += 1
    after = resident()
    go_on.set()
    print(f"{refused:,} jobs refused; MB before and after: {before / 1e6:.1f}, {after / 1e6:.1f}\n")
    return at_most("memory after a million offers, to before", after / before, 1.02)


def resident() -> int:
    """Return the bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    with ExitStack() as stack:
        peers = Peers(stack)
        ways = {
            QUORUM: lambda: latency(peers.tasks.submit),
            BACKGROUND: lambda: latency(peers.background),
            EXECUTOR: lambda: latency(peers.executor.submit),
        }
        verdicts = compare("latency", each_round(ways, SINGLE), EXECUTOR, 2.0)
        ways = {
            QUORUM: lambda: lateness(peers.tasks.at),
            APSCHEDULER: lambda: lateness(peers.scheduled),
        }
        verdicts += compare("lateness of a moment", each_round(ways, MOMENTS), APSCHEDULER, 1.0)
        verdicts += rates(peers)
        verdicts.append(offered(peers))
    with ExitStack() as stack:
        # Without the peers' threads.
        alone = Peers(stack)
        alone.scheduler.pause()
        verdicts.append(idle(alone))
    print("\n".join(verdicts))


if __name__ == "__main__":
    main()
