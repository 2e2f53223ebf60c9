"""The counter of visits."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient

from quorum.testing import Fakes


@pytest.mark.parametrize("count", [1, 2, 1234])
def test_are_shown(client: FlaskClient, quorum_fakes: Fakes, count: int) -> None:
    """The page says how often it was opened, this time included."""
    quorum_fakes.redis.client.set("guestbook-testing:visits", count - 1)
    assert (
        f"opened <strong>{count:,}</strong> time{'s' if count > 1 else ''}." in client.get("/").text
    )


def test_are_counted_once_a_page(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Who signs, and is led back to the page, has opened it once."""
    client.post("/", data={"name": "Ana", "message": "Hello"}, follow_redirects=True)
    assert quorum_fakes.redis.client.get("guestbook-testing:visits") == b"1"


def test_are_counted_by_every_thread(app: Flask, quorum_fakes: Fakes) -> None:
    """No visit is lost, and none counted twice, where many come at once."""
    visits = app.extensions["quorum"].visits()
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: visits.count(), range(200)))
    assert sorted(each for each in counts if each) == list(range(1, 201))
    assert quorum_fakes.redis.client.get("guestbook-testing:visits") == b"200"
