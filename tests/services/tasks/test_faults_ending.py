"""What the end of a process does to background work: row W3 of the table of faults."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quorum.services.tasks.threads import ThreadTasks
from tests.programs import BIN, serving
from tests.services.tasks.chores import diary

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., ThreadTasks]

ROOT = Path(__file__).parents[3]

PROGRAM = """
import sys, time
from quorum import Container, Settings

def outlast(seconds):
    time.sleep(seconds)
    with open("diary.txt", "a") as file:
        file.write("ended\\n")

settings = Settings(name="ending", tasks={"threads": 2, "timeout": %(timeout)s})
container = Container(settings=settings)
tasks = container.tasks()
for _ in range(%(jobs)s):
    tasks.submit(outlast, %(seconds)s)
%(end)s
"""


@pytest.mark.parametrize(
    "end", ["", "sys.exit(0)", "raise ValueError"], ids=["ends", "exits", "fails"]
)
def test_a_program_that_ends_lets_its_jobs_end(end: str) -> None:
    """The interpreter waits for what was submitted."""
    done = _python(timeout=10, jobs=8, seconds=0.1, end=end)
    assert diary() == ["ended"] * 8
    assert "outlast" not in done.stderr


def test_a_program_that_ends_tells_what_it_leaves() -> None:
    """It waits for TASKS_TIMEOUT at most, and names the jobs that did not end."""
    start = time.monotonic()
    done = _python(timeout=0.5, jobs=5, seconds=30, end="")
    assert time.monotonic() - start < 15
    assert "outlast" in done.stderr
    assert diary() == []


def test_a_program_that_is_killed_runs_a_job_at_most_once() -> None:
    """What waited is lost, and what ran is not run again; on a broker it is the other way."""
    kill = "import os, signal\ntime.sleep(0.5)\nos.kill(os.getpid(), signal.SIGKILL)"
    assert _python(timeout=10, jobs=100, seconds=0.1, end=kill).returncode == -signal.SIGKILL
    ran = len(diary())
    assert 0 < ran < 100
    assert _python(timeout=10, jobs=0, seconds=0.1, end="").returncode == 0
    assert len(diary()) == ran


def _python(**values: Any) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", PROGRAM % values]
    return subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=60, env=environment
    )


APPLICATION = """
import time
import quorum
from quorum import Container, Provide, inject

app = quorum.load(name=__name__)

def outlast(seconds):
    time.sleep(seconds)
    with open("diary.txt", "a") as file:
        file.write("ended\\n")

@app.post("/<int:jobs>/<float:seconds>")
@inject
def submit(jobs, seconds, tasks=Provide[Container.tasks]):
    for _ in range(jobs):
        tasks.submit(outlast, seconds)
    return "submitted"

if __name__ == "__main__":
    quorum.run()
"""


@pytest.mark.parametrize("command", ["quorum run", "python"])
def test_a_server_that_is_stopped_lets_its_jobs_end(tmp_path: Path, command: str) -> None:
    """At SIGTERM all that was submitted ends, if it does within TASKS_TIMEOUT."""
    with _serving(tmp_path, command, TASKS_TIMEOUT="10", TASKS_THREADS="4") as server:
        server.get("/20/0.2", "POST")
        server.stop()
        assert diary() == ["ended"] * 20


@pytest.mark.parametrize("command", ["quorum run", "python"])
def test_a_server_that_is_stopped_tells_what_it_leaves(tmp_path: Path, command: str) -> None:
    """What has not ended in TASKS_TIMEOUT is named; nothing keeps the process."""
    with _serving(tmp_path, command, TASKS_TIMEOUT="0.5", TASKS_THREADS="2") as server:
        server.get("/5/60.0", "POST")
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 15
        assert "outlast" in server.output
        assert diary() == []


def _serving(folder: Path, command: str, **variables: str) -> Any:
    (folder / "ending.py").write_text(APPLICATION)
    words = ["quorum", "--app", "ending", "run"] if command != "python" else ["python", "ending.py"]
    assert (BIN / words[0]).exists()
    return serving(folder / "server.log", *words, PORT="0", PYTHONPATH=str(folder), **variables)
