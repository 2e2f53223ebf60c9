"""Tasks on threads in a program that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import sys, time, threading, logging
logging.basicConfig(format="%(message)s", stream=sys.stdout)
from quorum.services.tasks.threads import ThreadTasks
from quorum.settings import TasksSettings

tasks = ThreadTasks(TasksSettings(threads=2, timeout={timeout}), name="program")

def job(number):
    time.sleep({seconds})
    print("ran", number, flush=True)
"""


def program(tmp_path: Path, lines: str, *, timeout: float = 5, seconds: float = 0.05) -> Any:
    """Start a program that has tasks."""
    text = PROGRAM.format(timeout=timeout, seconds=seconds) + textwrap.dedent(lines)
    return subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )


def output_of(process: Any) -> str:
    """Wait for a program to end, and return what it wrote."""
    try:
        output: str = process.communicate(timeout=30)[0]
    finally:
        process.kill()
    return output


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise KeyboardInterrupt", "del tasks"])
def test_what_was_submitted_runs_before_a_program_ends(tmp_path: Path, end: str) -> None:
    """However it ends of itself."""
    lines = f"""
    for each in range(20): tasks.submit(job, each)
    {end}
    """
    assert output_of(program(tmp_path, lines)).count("ran") == 20


def test_a_program_ends_within_the_limit_and_says_what_is_left(tmp_path: Path) -> None:
    """By name, in the log."""
    lines = """
    for each in range(4): tasks.submit(job, each)
    tasks.at(time.time() + 60, job, 9)
    """
    start = time.monotonic()
    output = output_of(program(tmp_path, lines, timeout=0.3, seconds=20))
    assert time.monotonic() - start < 15
    assert output == "closed with 5 jobs left: job, job, job, job, job\n"


def test_a_program_that_ended_its_tasks_says_nothing(tmp_path: Path) -> None:
    """Nor does one whose tasks had nothing to do."""
    assert output_of(program(tmp_path, "tasks.submit(job, 1); tasks.close()")) == "ran 1\n"
    assert output_of(program(tmp_path, "tasks.every(60, job, 1)")) == ""


def test_a_job_may_use_an_executor_as_the_program_ends(tmp_path: Path) -> None:
    """As boto3 does for a large upload: executors end after the tasks."""
    lines = """
    def upload():
        time.sleep(0.3)
        from concurrent.futures import ThreadPoolExecutor
        print("uploaded", ThreadPoolExecutor(1).submit(int, "5").result(), flush=True)
    tasks.submit(upload)
    """
    assert output_of(program(tmp_path, lines)) == "uploaded 5\n"


def test_sigterm_ends_a_program_as_its_end_does(tmp_path: Path) -> None:
    """Where somebody made an exit of it, as `load` and servers do."""
    lines = """
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for each in range(10): tasks.submit(job, each)
    print("ready", flush=True)
    time.sleep(60)
    """
    process = program(tmp_path, lines)
    assert process.stdout.readline() in {"ready\n", "ran 0\n", "ran 1\n"}
    process.send_signal(signal.SIGTERM)
    assert output_of(process).count("ran") >= 8
    assert process.returncode == 143


def test_a_child_of_multiprocessing_runs_what_it_submitted_before_it_ends(tmp_path: Path) -> None:
    """Its end calls nothing that atexit was told."""
    lines = """
    import multiprocessing
    def submit():
        for each in range(5): tasks.submit(job, each)
    child = multiprocessing.get_context("fork").Process(target=submit)
    child.start()
    child.join()
    """
    assert output_of(program(tmp_path, lines)).count("ran") == 5
