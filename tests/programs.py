"""Running the project's own programs in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
DEADLINE = 15.0


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment, with Python's output unbuffered."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", **variables}


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one of the programs beside the interpreter to its end."""
    return subprocess.run(
        [str(BIN / words[0]), *words[1:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(**variables),
    )


class Server:
    """A program that serves HTTP; what it printed so far is in `output`."""

    def __init__(self, log: Path, *words: str, **variables: str) -> None:
        self._log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                # A shell that runs the tests in the background has its children ignore Ctrl-C.
                ["env", "--default-signal=INT", str(BIN / words[0]), *words[1:]],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment(**variables),
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until the output matches, and return the match."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            found = re.search(pattern, self.output)
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} did not come:\n{self.output}")

    @property
    def url(self) -> str:
        """The address that it says it serves on."""
        return self.wait_for(r"(?:runs|Running) on (http://[\d.]+:\d+)")[1]

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            return response.status, response.read().decode()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@contextmanager
def serving(log: Path, *words: str, **variables: str) -> Iterator[Server]:
    """Run a serving program for the time of the block, and end it by its pid."""
    server = Server(log, *words, **variables)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait(DEADLINE)
