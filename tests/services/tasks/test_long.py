"""Many durable jobs over many kills: minutes, with `pytest -m long`."""

from __future__ import annotations

import importlib
import os
import random
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import TimedOut, Unavailable
from quorum.services.tasks.dramatiq import DramatiqTasks
from quorum.settings import AmqpSettings, RedisSettings, TasksSettings
from tests.programs import serving
from tests.servers import AmqpServer, RedisServer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.programs import Server

JOBS = int(os.environ.get("LONG_JOBS", "10_000"))
KILLS = int(os.environ.get("LONG_WORKER_KILLS", "10"))
BROKER_KILLS = int(os.environ.get("LONG_BROKER_KILLS", "2"))
WORKERS = 2
APP = """\
import quorum

app = quorum.load(name="shop")
"""
JOBS_OF_APP = """\
import os

def append(path, number):
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, b"%d\\n" % number)
    finally:
        os.close(file)
"""


class Workers:
    """Workers in processes of their own, one of which is killed at a time."""

    def __init__(self, folder: Path, variables: dict[str, str], stack: ExitStack) -> None:
        self._folder = folder
        self._variables = {"TASKS": "dramatiq"} | variables
        self._stack = stack
        self._number = 0
        self._running: list[Server] = []

    def start(self) -> None:
        """Start one more."""
        self._number += 1
        log = self._folder / f"worker-{self._number}.log"
        words = ("quorum", "worker", "--threads", "4")
        self._running.append(self._stack.enter_context(serving(log, *words, **self._variables)))

    def kill(self) -> None:
        """Kill one at once, while it works, and start another."""
        victim = self._running.pop(random.randrange(len(self._running)))
        victim.process.kill()
        victim.process.wait(15)
        self.start()


def submit_all(tasks: DramatiqTasks, path: Path, function: object) -> tuple[set[int], set[int]]:
    """Submit the jobs; return which were accepted, and of which nobody knows."""
    accepted, unknown = set(), set()
    for number in range(JOBS):
        while number not in accepted:
            try:
                tasks.submit(function, str(path), number)  # type: ignore[arg-type]
                accepted.add(number)
            except (Unavailable, TimedOut):
                unknown.add(number)
                time.sleep(0.1)
    return accepted, unknown


def lines(path: Path) -> list[int]:
    """Return what the jobs wrote so far."""
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


class FlushedRedis(RedisServer):
    """Redis that has written down all that it confirmed."""

    @property
    def command(self) -> Sequence[str]:
        return [*super().command, "--appendfsync", "always"]


@pytest.mark.long
@pytest.mark.parametrize(
    "noun",
    [
        pytest.param("amqp", marks=pytest.mark.live("amqp")),
        pytest.param("redis", marks=pytest.mark.live("redis")),
    ],
)
def test_no_durable_job_is_lost_over_kills_of_workers_and_broker(
    noun: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """10,000 jobs, ten kills of workers and two of the broker: none lost, under 1 % run twice."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "long_jobs.py").write_text(JOBS_OF_APP)
    monkeypatch.syspath_prepend(tmp_path)
    append = importlib.import_module("long_jobs").append
    out = tmp_path / "out"
    start = time.monotonic()
    kind, group = {
        "amqp": (AmqpServer, AmqpSettings),
        "redis": (FlushedRedis, RedisSettings),
    }[noun]
    with kind(tmp_path) as server, ExitStack() as stack:
        settings: Any = {noun: group(url=server.url)}
        tasks = DramatiqTasks(TasksSettings(engine="dramatiq"), name="shop", **settings)
        stack.callback(tasks.close)
        workers = Workers(tmp_path, {f"{noun.upper()}_URL": server.url}, stack)
        for _ in range(WORKERS):
            workers.start()
        found: list[set[int]] = []
        submitting = threading.Thread(target=lambda: found.extend(submit_all(tasks, out, append)))
        submitting.start()
        kills = ["worker"] * KILLS + ["broker"] * BROKER_KILLS
        random.Random(5).shuffle(kills)
        for place, kill in enumerate(kills, 1):
            wait_for(out, JOBS * place // (len(kills) + 1))
            if kill == "worker":
                workers.kill()
            else:
                server.kill()
                server.start()
        submitting.join()
        wait_for(out, JOBS)
        settle(out)
        accepted, unknown = found
    seconds = time.monotonic() - start
    ran = Counter(lines(out))
    lost = accepted - set(ran)
    # What was submitted again after an unknown outcome is no repetition of the engine's.
    twice = sum(count - 1 for number, count in ran.items() if number not in unknown)
    figures = (
        f"\n{noun}: {JOBS} jobs, {KILLS} kills of workers, {BROKER_KILLS} of the broker, in "
        f"{seconds:.0f} s: {len(lost)} lost, {twice} runs too many "
        f"({len(unknown)} of unknown outcome when submitted)\n"
    )
    with capsys.disabled():
        sys.stdout.write(figures)
    assert lost == set()
    assert twice < JOBS / 100


def wait_for(out: Path, count: int, seconds: float = 120) -> None:
    """Wait until so many jobs have run."""
    end = time.monotonic() + seconds
    while len(set(lines(out))) < count:
        assert time.monotonic() < end, f"{len(set(lines(out)))} of {count} jobs ran in time"
        time.sleep(0.05)


def settle(out: Path, seconds: float = 5) -> None:
    """Wait until nothing has run for a while: what would run twice has done so."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        if len(lines(out)) != count:
            count, since = len(lines(out)), time.monotonic()
        time.sleep(0.1)
