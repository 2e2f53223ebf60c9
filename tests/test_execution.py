"""Which processes begin the background work of an application, and how it ends with them."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.programs import run, serving

if TYPE_CHECKING:
    from pathlib import Path

APP = """\
import os, threading, time
import quorum

def said(what):
    print(f"[{what} in {os.getpid()}]", flush=True)

@quorum.background(timeout=0.2)
def tick():
    said("tick")

@quorum.background()
def once():
    said("once")

app = quorum.load(name="shop")
app.container.tasks().cron("0 3 * * *", tick)

@app.get("/")
def index():
    return "open"

@app.get("/jobs")
def jobs():
    for seconds in (1, 60, 61):
        started = threading.Event()
        quorum.run_background(work, [started, seconds], description=f"work of {seconds} s")
        started.wait(5)
    quorum.run_background(work, target_time=time.time() + 3600, description="work of tomorrow")
    return "begun"

def work(started, seconds):
    started.set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
    said(f"worked {seconds} s")

@app.cli.command("do")
def do():
    print(quorum.run_background(lambda: "done in the background").result(10))

if __name__ == "__main__":
    quorum.run()
"""


@pytest.fixture(autouse=True)
def shop(tmp_path: Path) -> Path:
    """An application with background work in `app.py`, where Flask looks for one."""
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("quorum", "run", "--port", "0"),
        ("flask", "run", "--port", "0"),
        ("flask", "--debug", "run", "--port", "0"),
        ("python", "app.py"),
    ],
    ids=" ".join,
)
def test_work_begins_where_the_application_is_served(tmp_path: Path, words: tuple[str, ...]):
    """What serves an application begins its work, once: under the reloader the one that serves."""
    with serving(tmp_path / "log", *words, PORT="0") as server:
        server.wait_for(r"\[tick in \d+\]\s+(?:.*\s+)*?\[tick in \d+\]")
        assert server.get("/") == (200, "open")
        ticking = set(server.output.split("[tick in ")[1:])
        assert len({each.partition("]")[0] for each in ticking}) == 1
        assert server.output.count("[once in ") == 1
        server.stop(signal.SIGINT)
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    "words",
    [("quorum", "tasks"), ("quorum", "services"), ("quorum", "check"), ("flask", "routes")],
    ids=" ".join,
)
def test_no_work_begins_in_another_command(words: tuple[str, ...]):
    """A command that does not serve begins neither functions nor schedules."""
    done = run(*words)
    assert done.returncode == 0
    assert "[" not in done.stdout + done.stderr


def test_a_command_submits_jobs():
    """What a command of the application submits runs, though its schedules do not."""
    done = run("flask", "do")
    assert (done.stdout, done.returncode) == ("done in the background\n", 0)


def test_the_schedules_are_listed_where_they_do_not_run():
    """`quorum tasks` lists declared schedules and made ones."""
    found = json.loads(run("quorum", "tasks", "--json").stdout)["schedules"]
    assert [(each["id"], each["rule"]) for each in found] == [
        ("tick", "0.2 seconds after each run"),
        ("tick-2", "0 3 * * * UTC"),
    ]
    assert found[1]["next_run"].endswith("T03:00:00+00:00")


def test_nothing_is_begun_where_the_port_is_taken(tmp_path: Path):
    """`quorum run` that cannot listen begins no work."""
    with serving(tmp_path / "log", "quorum", "run", "--port", "0") as server:
        port = server.url.rpartition(":")[2]
        done = run("quorum", "run", "--port", port)
    assert done.returncode == 78
    assert "[once in " not in done.stdout


def test_eager_work_begins_with_the_server_too(tmp_path: Path):
    """With TASKS=eager what is declared once runs as the server begins; schedules wait."""
    words = ("quorum", "run", "--port", "0")
    with serving(tmp_path / "log", *words, TASKS="eager") as server:
        assert server.get("/") == (200, "open")
        assert server.output.count("[once in ") == 1
        assert server.stop() == 0
    assert "[tick in " not in server.output


@pytest.mark.parametrize("level", ["INFO", "DEBUG"], ids=["waitress", "werkzeug"])
def test_sigterm_lets_jobs_end_and_reports_the_rest(tmp_path: Path, level: str):
    """At SIGTERM running jobs have TASKS_TIMEOUT to end in; the rest is reported by name."""
    variables = {"TASKS_TIMEOUT": "5", "LEVEL": level}
    with serving(tmp_path / "log", "quorum", "run", "--port", "0", **variables) as server:
        assert server.get("/jobs") == (200, "begun")
        assert server.stop() == 0
        assert "[worked 1 s in " in server.output
        (line,) = [each for each in server.output.splitlines() if "jobs left" in each]
    assert all(f"work of {each}" in line for each in ("60 s", "61 s", "tomorrow"))
    assert "work of 1 s" not in line
    assert "shop was stopped" in server.output
    assert "Traceback" not in server.output
