"""What is done in the background: mail, and the book is pruned at night."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from guestbook import create_app

import quorum
from quorum.testing import Fakes, fakes

FOLDER = Path(__file__).parents[1]
QUORUM = Path(sys.executable).with_name("quorum")
ANA = {"name": "Ana", "email": "ana@example.org", "message": "What a lovely idea."}


def test_thanks_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the mail: it is sent after the page, in a job."""
    monkeypatch.setenv("TASKS", "threads")
    app = create_app("testing", TESTING=True, execution=False)
    with fakes(app) as twins:
        assert app.test_client().post("/", data=ANA).status_code == 303
        twins.mailer.assert_nothing_sent()
        twins.tasks.run_due()
        twins.mailer.assert_sent(to="ana@example.org", times=1)
    quorum.unload(app)


def test_prunes_at_night(app: Flask, quorum_fakes: Fakes) -> None:
    """At three the oldest entries go where the book is over-full, and not before."""
    book = app.extensions["quorum"].guestbook()
    for number in range(5):
        book.sign("Ana", "Hello", f"form {number}")
    entries = quorum_fakes.mongo.collection("entries")
    (schedule,) = quorum_fakes.tasks.schedules
    at_three = schedule.next_run
    assert at_three is not None
    assert (at_three.hour, at_three.minute) == (3, 0)
    quorum_fakes.tasks.run_due(at_three - timedelta(seconds=1))
    assert entries.count_documents({}) == 5
    quorum_fakes.tasks.run_due(at_three)
    assert entries.count_documents({}) == 3


@pytest.mark.usefixtures("quorum_fakes")
def test_shows_more_than_it_keeps_to_nobody(client: FlaskClient) -> None:
    """Before the night the page shows no more than the book keeps."""
    for number in range(5):
        client.post("/", data=ANA | {"message": f"Hello {number}"})
    page = client.get("/").text
    assert [f"Hello {number}" in page for number in range(5)] == [False, False, True, True, True]


def test_tells_what_it_does_when() -> None:
    """`quorum tasks` has the schedule, and when it is due next."""
    done = subprocess.run(  # noqa: S603 - the words are ours
        [str(QUORUM), "tasks", "--json"], cwd=FOLDER, capture_output=True, check=True, timeout=60
    )
    (schedule,) = json.loads(done.stdout)["schedules"]
    assert (schedule["name"], schedule["rule"]) == ("prune", "0 3 * * * UTC")
    assert datetime.fromisoformat(schedule["next_run"]).hour == 3


@pytest.mark.parametrize("execution", [True, False])
def test_is_scheduled_once(execution: bool) -> None:
    """Each application has the schedule once, run here or not."""
    app = create_app("testing", execution=execution)
    assert [each.name for each in app.extensions["quorum"].tasks().schedules] == ["prune"]
    quorum.unload(app)
