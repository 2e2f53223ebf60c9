"""The README's first screen is true: its commands stand in CI, its code runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import quorum
from quorum import Settings
from quorum.testing import fakes

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


def test_the_first_example_and_its_test_run():
    """The example loads, and the test that stands below it passes."""
    namespace = {"__name__": "shop"}
    exec(PYTHON[0], namespace)
    exec(PYTHON[1], namespace)
    namespace["test_welcome"]()
    assert quorum.get_app() is namespace["app"]


@pytest.mark.parametrize("code", PYTHON[2:])
def test_every_other_block_of_code_runs(code: str):
    """Every other block of code runs below the first one."""
    namespace = {"__name__": "shop"}
    exec(PYTHON[0], namespace)
    before = set(namespace)
    exec(code, namespace)
    assert set(namespace) > before


def test_the_report_is_stored_and_its_url_serves_it():
    """The view of the stores counts, stores, and gives a URL that works."""
    namespace = {"__name__": "shop"}
    exec(PYTHON[0], namespace)
    exec(next(code for code in PYTHON if "/reports/" in code), namespace)
    visitor = namespace["app"].test_client()
    url = visitor.post("/reports/spring").json["url"]
    assert visitor.get(url).text == "0 orders"


def test_the_order_is_published_and_confirmed():
    """The view of the messages publishes, and its handler triggers the event."""
    namespace = {"__name__": "shop"}
    exec(PYTHON[0], namespace)
    exec(next(code for code in PYTHON if "/orders/" in code), namespace)
    app = namespace["app"]
    with fakes(app) as twins:
        assert app.test_client().post("/orders/7").status_code == 202
        twins.amqp.assert_published(routing_key="orders", json={"number": 7}, times=1)
        twins.amqp.consume("orders", namespace["confirm"])
        twins.amqp.drain()
        twins.pusher.assert_triggered(channel="orders", event="confirmed", data={"number": 7})


def test_the_test_of_messages_runs():
    """The test that stands below the messages passes, and passes again."""
    namespace = {"__name__": "shop"}
    for code in PYTHON[:2] + [code for code in PYTHON if "/orders/" in code]:
        exec(code, namespace)
    namespace["test_order"]()
    namespace["test_order"]()


def test_the_count_is_made_in_the_background():
    """The view of the tasks submits a job, which counts; the schedule is the application's."""
    namespace = {"__name__": "shop"}
    exec(PYTHON[0], namespace)
    with fakes(namespace["app"]) as twins:
        exec(next(code for code in PYTHON if "/counts/" in code), namespace)
        answer = namespace["app"].test_client().post("/counts/monday")
        twins.mongo.collection("orders").insert_one({"day": "monday"})
        twins.tasks.run_due()
    (handle,) = twins.tasks.handles
    assert (answer.json, handle.result()) == ({"job": handle.id}, 1)


def test_the_profile_is_right(tmp_path: Path):
    """The YAML profile is one that the settings take."""
    (document,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yml").write_text(document)
    assert Settings().mailer.host == yaml.safe_load(document)["mailer"]["host"]


def test_ci_runs_the_test_command():
    """CI runs the README's test command, to the letter."""
    commands = [line for line in SHELL[1].splitlines() if line]
    assert len(commands) == 1
    assert commands[0] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_first_screen_has_both_commands():
    """Both commands stand in the first forty-five lines."""
    first_screen = "\n".join(TEXT.splitlines()[:45])
    assert all(command in first_screen for command in SHELL[:2])
