"""`quorum worker`, as whoever runs the application starts it."""

from __future__ import annotations

import importlib
import signal
import sys
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from quorum.services.tasks.dramatiq import DramatiqTasks
from quorum.settings import AmqpSettings, RedisSettings, TasksSettings
from tests.programs import run, serving
from tests.servers import LOCAL, free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.programs import Server

APP = """\
import quorum

app = quorum.load(name="shop")
"""
JOBS = """\
import sys
import time
from pathlib import Path

from flask import current_app
from quorum import Container, Mailer, Provide, inject

@inject
def tell(what, mailer: Mailer = Provide[Container.mailer]):
    print(f"{current_app.name}: {type(mailer).__name__} {what}")

def wait(what):
    # In one piece: another thread may print at the same time.
    sys.stdout.write(f"begun {what}\\n")
    while not Path("go").exists():
        time.sleep(0.02)
    sys.stdout.write(f"ended {what}\\n")
"""
SECRET = "marker-password"


class Shop:
    """The application in a folder, its broker, and tasks as another process of it has them."""

    def __init__(self, folder: Path, variables: dict[str, str], tasks: DramatiqTasks) -> None:
        self.folder = folder
        self.variables = variables
        self.tasks = tasks

    def submit(self, name: str, *args: object) -> None:
        """Submit a function of the application."""
        self.tasks.submit(getattr(importlib.import_module("shop_jobs"), name), *args)

    @contextmanager
    def worker(
        self, *words: str, program: tuple[str, ...] = ("quorum",), log: str = "log"
    ) -> Iterator[Server]:
        """Run the command for the time of the block; it works when this yields."""
        with serving(self.folder / log, *program, "worker", *words, **self.variables) as started:
            started.wait_for("works, until Ctrl-C")
            yield started


@pytest.fixture(
    params=[
        pytest.param("amqp", marks=pytest.mark.live("amqp")),
        pytest.param("redis", marks=pytest.mark.live("redis")),
    ]
)
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """The application on each broker in turn, under a name of its own."""
    name = f"shop-{uuid.uuid4().hex[:8]}"
    server = request.getfixturevalue(f"{request.param}_server")
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "shop_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    groups = {"amqp": AmqpSettings, "redis": RedisSettings}
    group: Any = {request.param: groups[request.param](url=server.url)}
    tasks = DramatiqTasks(TasksSettings(engine="dramatiq"), name=name, **group)
    variables = {"TASKS": "dramatiq", f"{request.param.upper()}_URL": server.url, "NAME": name}
    yield Shop(tmp_path, variables, tasks)
    tasks.close()
    sys.modules.pop("shop_jobs", None)


@pytest.mark.parametrize("program", [("quorum",), ("flask", "quorum")], ids=" ".join)
def test_a_job_runs_inside_the_application(shop: Shop, program: tuple[str, ...]):
    """Its parameters are injected."""
    shop.submit("tell", "hello")
    with shop.worker(program=program) as started:
        started.wait_for("shop: MemoryMailer hello")
        assert started.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_a_job_that_runs_may_end(shop: Shop, number: signal.Signals):
    """At SIGTERM or Ctrl-C no other job is begun; the rest stays on the broker for another."""
    shop.submit("wait", "first")
    with shop.worker("--threads", "1") as started:
        started.wait_for("begun first")
        shop.submit("wait", "second")
        started.process.send_signal(number)
        started.wait_for("no more jobs")
        (shop.folder / "go").touch()
        assert started.process.wait(15) == 0
        assert "ended first" in started.output
        assert "begun second" not in started.output
    with shop.worker("--threads", "1", log="other") as other:
        other.wait_for("ended second")
        assert other.stop() == 0
        assert "first" not in other.output


def test_a_job_that_does_not_end_in_time_is_told_and_left(shop: Shop):
    """The status is 1, and the sentence names the job."""
    shop.submit("wait", "first")
    with shop.worker("--timeout", "0.2") as started:
        started.wait_for("begun first")
        assert started.stop() == 1
        assert "did not end in time, and is run again: wait" in started.output


def test_a_second_signal_ends_at_once(shop: Shop):
    """Whatever the time limit."""
    shop.submit("wait", "first")
    with shop.worker("--timeout", "600") as started:
        started.wait_for("begun first")
        started.process.send_signal(signal.SIGTERM)
        started.wait_for("no more jobs")
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(15) == -signal.SIGTERM


def test_as_many_jobs_run_at_once_as_there_are_threads(shop: Shop):
    """With --threads 2, the third waits."""
    for each in ("first", "second", "third"):
        shop.submit("wait", each)
    with shop.worker("--threads", "2") as started:
        started.wait_for("begun first")
        started.wait_for("begun second")
        assert "begun third" not in started.output
        (shop.folder / "go").touch()
        started.wait_for("ended third")
        assert started.stop() == 0


def test_schedules_run_while_there_is_a_worker(shop: Shop):
    """Two workers run each once when it is due; one takes over from the other."""
    (shop.folder / "app.py").write_text(
        APP + "import shop_jobs\napp.container.tasks().every(1, shop_jobs.tell, 'again')\n"
    )
    with shop.worker() as first:
        with shop.worker(log="other") as second:
            wait_until(lambda: (first.output + second.output).count("Mailer again") >= 3)
            assert second.stop() == 0
        before = first.output.count("Mailer again")
        wait_until(lambda: first.output.count("Mailer again") >= before + 2)
        assert first.stop() == 0


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "set TASKS=dramatiq"),
        ({"TASKS": "dramatiq"}, "AMQP_URL or REDIS_URL"),
        ({"TASKS": "dramatiq", "AMQP_URL": "http://mq.example"}, "AMQP_URL"),
    ],
)
def test_settings_that_give_it_no_jobs_end_with_78(
    tmp_path: Path, variables: dict[str, str], sentence: str
):
    """The sentence says what to set."""
    (tmp_path / "app.py").write_text(APP)
    done = run("quorum", "worker", **variables)
    assert done.returncode == 78
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_a_broker_that_cannot_be_reached_is_an_error(tmp_path: Path, scheme: str):
    """The status is 1; the sentence names the address, and no secret."""
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    url = f"{scheme}://marker-user:{SECRET}@{LOCAL}:{port}/"
    done = run("quorum", "worker", TASKS="dramatiq", **{f"{scheme.upper()}_URL": url})
    assert done.returncode == 1
    assert f"{LOCAL}:{port}" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
