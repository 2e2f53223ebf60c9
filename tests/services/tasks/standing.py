"""Processes that stand for an application's lead, and a record of who led when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE = 15.0

PROGRAM = """\
import logging
import os
import pathlib
import signal
import sys
import time

from quorum.services.redis.server import ServerRedis
from quorum.services.tasks.leading.leader import Leader
from quorum.settings import RedisSettings

name, folder, record, url, seconds = sys.argv[1:6]
logging.basicConfig(level=logging.INFO)
settings = RedisSettings(url=url or None, timeout=2)


def stand():
    service = ServerRedis(settings, prefix=name) if url else None
    leader = Leader(
        name,
        settings,
        lambda: service,
        folder=pathlib.Path(folder),
        expires_in=float(seconds),
    )
    leader.start(lambda: None)
    return leader


def tell(leader):
    now = time.monotonic()
    if leader.leads:
        os.write(file, f"{now} {os.getpid()}\\n".encode())


leader = stand()
file = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def end(*_):
    leader.stop()
    os._exit(0)


signal.signal(signal.SIGTERM, end)
"""

ALONE = """
while True:
    tell(leader)
    time.sleep(0.02)
"""


class Led(NamedTuple):
    """That a process led at a moment of the monotonic clock."""

    at: float
    process: int


class Standing:
    """The processes of one application that a test started, on one machine or on several."""

    def __init__(self, folder: Path, url: str = "", expires_in: float = 9.0) -> None:
        self._folder = folder
        self._url = url
        self._expires_in = expires_in
        self._record = folder / "record"
        self._record.touch()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def begin(self, program: str = ALONE, *, name: str = "shop", machine: str = "one") -> int:
        """Start a process that stands, and return its pid."""
        words = [name, str(self._folder / machine), str(self._record), self._url]
        words.append(str(self._expires_in))
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM + program, *words],
                stdout=log,
                stderr=log,
                # Its children are ended with it.
                start_new_session=True,
            )
        self._processes[process.pid] = process
        return process.pid

    @property
    def log(self) -> Path:
        """What all of them log."""
        return self._folder / "log"

    def signal(self, process: int, number: signal.Signals) -> float:
        """Send a process a signal, and return when."""
        os.kill(process, number)
        if number in {signal.SIGKILL, signal.SIGTERM} and process in self._processes:
            self._processes[process].wait(DEADLINE)
        return time.monotonic()

    def led(self, since: float = 0.0) -> list[Led]:
        """Return who said when that it led, in the order of time."""
        lines = self._record.read_text().split("\n")[:-1]
        found = [Led(float(at), int(process)) for at, process in map(str.split, lines)]
        return sorted(each for each in found if each.at >= since)

    def leaders(self, since: float = 0.0) -> list[int]:
        """Return who led one after the other: a process that is there twice led with another."""
        return [process for process, _ in groupby(self.led(since), lambda each: each.process)]

    def wait(self, *, within: float = DEADLINE, but: int = 0, since: float | None = None) -> int:
        """Wait until a process leads, other than one; return it."""
        start = time.monotonic() if since is None else since
        found: list[int] = []

        def leads() -> bool:
            found[:] = [each.process for each in self.led(start) if each.process != but]
            return bool(found)

        self.wait_until(leads, within=within)
        return found[0]

    def wait_until(self, condition: Callable[[], object], *, within: float = DEADLINE) -> None:
        """Wait for a condition; fail with what the processes logged."""
        end = time.monotonic() + within
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"it did not come:\n{self.log.read_text()}")
            time.sleep(0.05)

    def watch(self, seconds: float) -> list[int]:
        """Watch for so many seconds; return who led one after the other meanwhile."""
        start = time.monotonic()
        self.wait_until(lambda: time.monotonic() > start + seconds, within=seconds + 1)
        return self.leaders(start)

    def end(self) -> None:
        """Kill all that are left, and their children."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(DEADLINE)


@contextmanager
def standing(folder: Path, url: str = "", expires_in: float = 9.0) -> Iterator[Standing]:
    """Kill, at the end of the block, the processes that were started in it."""
    processes = Standing(folder, url, expires_in)
    try:
        yield processes
    finally:
        processes.end()
