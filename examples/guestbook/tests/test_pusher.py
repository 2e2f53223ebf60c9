"""New entries on pages that are open, over Pusher."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from guestbook import create_app

import quorum
from quorum.testing import Fakes, fakes


@pytest.fixture
def with_pusher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application with a Pusher configured; all else are twins."""
    for name, value in {
        "PUSHER_APP_ID": "1001",
        "PUSHER_KEY": "the-key",
        "PUSHER_SECRET": "the-secret",
        "PUSHER_HOST": "push.example.org",
        "PUSHER_PORT": "6001",
        "PUSHER_SSL": "no",
        "GUESTBOOK_PUSHER_JS": "https://js.example.org/pusher.js",
    }.items():
        monkeypatch.setenv(name, value)
    app = create_app("testing", TESTING=True)
    with fakes(app, except_="pusher"):
        yield app
    quorum.unload(app)


def test_leaves_it_to_pusher(with_pusher: Flask) -> None:
    """Where Pusher is configured, the page is told how to follow it, and not the secret."""
    page = with_pusher.test_client().get("/").text
    assert '<script src="https://js.example.org/pusher.js" defer></script>' in page
    for said in (
        'data-key="the-key"',
        'data-host="push.example.org"',
        'data-port="6001"',
        'data-tls="false"',
        'data-cluster="mt1"',
    ):
        assert said in page
    assert "the-secret" not in page
    assert "data-live" not in page


def test_is_not_there_beside_pusher(with_pusher: Flask) -> None:
    """Where Pusher is configured, nobody holds a thread of the server."""
    assert with_pusher.test_client().get("/live?after=0").status_code == 404


def test_every_entry_is_triggered(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Each new entry is an event on the channel of the guestbook, with what a page shows of it."""
    client.post("/", data={"name": "Ana", "message": "What a lovely idea."})
    quorum_fakes.pusher.assert_triggered(channel="guestbook", event="entry", times=1)
    (event,) = quorum_fakes.pusher.events
    assert event.data.keys() == {"id", "name", "message", "at", "when", "picture"}


def test_the_longest_entry_is_an_event(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """What a visitor may write is never too large for an event, whatever the characters."""
    client.post("/", data={"name": "😀" * 80, "message": "\x01" * 1000})
    client.post("/", data={"name": "😀" * 80, "message": "😀" * 1000})
    quorum_fakes.pusher.assert_triggered(times=2)
