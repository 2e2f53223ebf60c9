"""`quorum tasks`: what the application repeats, and what failed for good."""

from __future__ import annotations

import json
import re
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from quorum.services.tasks.dramatiq import DramatiqTasks
from quorum.settings import AmqpSettings, TasksSettings
from tests.programs import run, serving
from tests.servers import LOCAL, free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import AmqpServer

APP = """\
import quorum
import listed_jobs

app = quorum.load(name="shop")
tasks = app.container.tasks()
tasks.cron("0 3 * * *", listed_jobs.prune, timezone="Europe/Lisbon")
tasks.every(3600, listed_jobs.greet, "everybody")
tasks.pause(tasks.every(60, listed_jobs.greet, "nobody"))
"""
JOBS = """\
from pathlib import Path

def prune():
    pass

def greet(whom):
    if not Path("polite").exists():
        raise ValueError("no manners\\nat all")
    print(f"hello {whom}")
"""
SECRET = "marker-password"


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An application with three schedules in `app.py`, where Flask looks for one."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "listed_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("listed_jobs", None)


@pytest.fixture
def failed(amqp_server: AmqpServer) -> tuple[dict[str, str], str]:
    """Let a job fail for good, and give the variables of the application, and its id."""
    import listed_jobs  # noqa: PLC0415 - the test has just written it

    name = f"shop-{uuid.uuid4().hex[:8]}"
    tasks = DramatiqTasks(
        TasksSettings(engine="dramatiq"),
        name=name,
        amqp=AmqpSettings(url=amqp_server.url),
        retries=0,
    )
    workers = tasks.work(1)
    job = tasks.submit(listed_jobs.greet, SECRET).id
    wait_until(lambda: workers.performer.failed and tasks.dead())
    tasks.close()
    return {"TASKS": "dramatiq", "AMQP_URL": amqp_server.url, "NAME": name}, job


def test_schedules_are_listed():
    """Each with its rule and when it is due next, in the order in which they were made."""
    done = run("quorum", "tasks")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    moment = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
    assert lines[0].split() == ["schedule", "rule", "next", "run"]
    assert re.fullmatch(rf"prune +0 3 \* \* \* Europe/Lisbon +{moment}", lines[1])
    assert re.fullmatch(rf"greet +every 3600 seconds +{moment}", lines[2])
    assert re.fullmatch(r"greet-2 +every 60 seconds +paused", lines[3])
    assert "dead" not in done.stdout


def test_programs_get_json():
    """The same, and whether each is paused."""
    done = run("flask", "quorum", "tasks", "--json")
    found = json.loads(done.stdout)
    assert [each["id"] for each in found["schedules"]] == ["prune", "greet", "greet-2"]
    assert [each["paused"] for each in found["schedules"]] == [False, False, True]
    assert found["schedules"][2]["next_run"] is None
    assert found["dead"] == []


def test_an_application_without_schedules_says_so(shop: Path):
    """In a sentence."""
    (shop / "app.py").write_text('import quorum\napp = quorum.load(name="shop")\n')
    assert run("quorum", "tasks").stdout == "The application declares no schedules.\n"


@pytest.mark.live("amqp")
def test_dead_letters_are_listed(failed: tuple[dict[str, str], str]):
    """With id, name, error and when, and without arguments; they stay."""
    variables, job = failed
    for _ in range(2):
        done = run("quorum", "tasks", **variables)
        assert done.returncode == 0, done.stderr
        assert re.search(rf"{job} +greet +20\d\d-\S+ +ValueError: no manners\n", done.stdout)
        assert SECRET not in done.stdout
    (dead,) = json.loads(run("quorum", "tasks", "--json", **variables).stdout)["dead"]
    assert dead["id"] == job
    assert dead["error"] == "ValueError: no manners\nat all"


@pytest.mark.live("amqp")
def test_a_dead_letter_is_run_again(failed: tuple[dict[str, str], str], shop: Path):
    """By the next worker; it is none any more."""
    variables, job = failed
    (shop / "polite").touch()
    done = run("quorum", "tasks", "retry", job, **variables)
    assert done.stdout == f"greet ({job}) is run again\n"
    assert "There are no dead letters." in run("quorum", "tasks", **variables).stdout
    with serving(shop / "log", "quorum", "worker", **variables) as worker:
        worker.wait_for(f"hello {SECRET}")
        assert worker.stop() == 0


@pytest.mark.live("amqp")
def test_an_unknown_dead_letter_is_an_error(failed: tuple[dict[str, str], str]):
    """The status is 1."""
    done = run("quorum", "tasks", "retry", "no-such-job", **failed[0])
    assert done.returncode == 1
    assert "no dead letter 'no-such-job'" in done.stderr


def test_without_a_broker_there_is_nothing_to_run_again():
    """The status is 78, and the sentence says what to set."""
    done = run("quorum", "tasks", "retry", "any")
    assert done.returncode == 78
    assert "set TASKS=dramatiq" in done.stderr


def test_a_broker_that_cannot_be_reached_is_an_error():
    """The status is 1; the sentence names the address, and no secret."""
    port = free_port()
    url = f"amqp://marker-user:{SECRET}@{LOCAL}:{port}/"
    done = run("quorum", "tasks", TASKS="dramatiq", AMQP_URL=url)
    assert done.returncode == 1
    assert f"{LOCAL}:{port}" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
