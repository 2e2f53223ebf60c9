"""A job of every second under gunicorn, whose leading worker is killed meanwhile."""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.test_gunicorn import gunicorn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Server

SECONDS = 10
DEADLINE = 15.0

APPLICATION = """\
import os
import time

import quorum

app = quorum.load(name="till")


@quorum.background(timeout=1)
def tick():
    with open(os.environ["RUNS"], "a") as file:
        file.write(f"{time.monotonic()} {os.getpid()} {os.getppid()}\\n")


@app.get("/")
def index():
    return ""
"""


class Run(NamedTuple):
    """One run of the job: when, on the monotonic clock, and in which process of which parent."""

    at: float
    process: int
    parent: int


@dataclass
class Outcome:
    """What is left: the runs before a worker was killed, and when that was."""

    master: int
    before: list[Run]
    seconds: float
    killed: Run
    killed_at: float
    after: list[Run]
    status: int
    log: str


class Runs:
    """The runs that the job wrote down."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def read(self) -> list[Run]:
        lines = self._path.read_text().split("\n")[:-1]
        words = [line.split() for line in lines]
        return [Run(float(at), int(process), int(parent)) for at, process, parent in words]

    def wait(self, count: int, seconds: float, server: Server) -> list[Run]:
        """Wait until there were so many, and return them."""
        end = time.monotonic() + seconds
        while len(found := self.read()) < count:
            assert time.monotonic() < end, f"{found} after {seconds:g} s:\n{server.output}"
            time.sleep(0.02)
        return found


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(((), False), id="own"),
        pytest.param((("--preload",), False), id="preload"),
        pytest.param(((), True), id="own-redis", marks=pytest.mark.live("redis")),
        pytest.param((("--preload",), True), id="preload-redis", marks=pytest.mark.live("redis")),
    ],
)
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What came of three workers, one of which was killed after ten seconds."""
    options, has_redis = request.param
    folder = tmp_path_factory.mktemp("gunicorn")
    (folder / "application.py").write_text(APPLICATION)
    runs = Runs(folder / "runs")
    variables = {"RUNS": str(folder / "runs"), "HOME": str(folder), "TMPDIR": str(folder)}
    if has_redis:
        variables["REDIS_URL"] = request.getfixturevalue("redis_server").url
    with gunicorn(folder, "--workers", "3", *options, **variables) as server:
        server.wait_for(r"Listening at: (http://[\d.]+:\d+)")
        start = runs.wait(1, DEADLINE, server)[0].at
        while time.monotonic() < start + SECONDS:
            time.sleep(0.02)
        before = runs.read()
        killed = before[-1]
        os.kill(killed.process, signal.SIGKILL)
        killed_at = time.monotonic()
        runs.wait(len(before) + 5, DEADLINE + 6, server)
        status = server.stop()
        return Outcome(
            master=server.process.pid,
            before=before,
            seconds=SECONDS,
            killed=killed,
            killed_at=killed_at,
            after=[run for run in runs.read() if run.at > killed_at],
            status=status,
            log=server.output,
        )


def gaps(runs: list[Run]) -> list[float]:
    return [after.at - before.at for before, after in itertools.pairwise(runs)]


def test_it_runs_once_a_second_in_all(outcome: Outcome):
    """Three workers run it as often as one would, and never two of them in one second."""
    assert outcome.seconds - 4 <= len(outcome.before) <= outcome.seconds + 2
    assert min(gaps(outcome.before)) > 0.9


def test_a_worker_runs_it_and_not_the_master(outcome: Outcome):
    """Also where the master has loaded the application."""
    runs = outcome.before + outcome.after
    assert outcome.master not in {run.process for run in runs}
    assert {run.parent for run in runs} == {outcome.master}


def test_one_worker_runs_all(outcome: Outcome):
    """The lead does not wander."""
    assert len({run.process for run in outcome.before}) == 1
    assert len({run.process for run in outcome.after}) == 1


def test_it_goes_on_when_the_leading_worker_is_killed(outcome: Outcome):
    """Another runs it within 15 seconds, once a second again."""
    assert outcome.after[0].process != outcome.killed.process
    assert outcome.after[0].at - outcome.killed_at < DEADLINE
    assert min(gaps(outcome.after)) > 0.9


def test_all_stop_when_told_to(outcome: Outcome):
    """No worker hangs, and nothing is logged that should not be."""
    assert outcome.status == 0
    assert not re.search("TIMEOUT|SIGABRT|Traceback|WARNING", outcome.log)
