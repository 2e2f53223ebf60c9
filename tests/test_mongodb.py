"""The documented names of flask-quorum's module for MongoDB."""

from __future__ import annotations

from typing import Any

import pytest

import quorum
from quorum import mongodb
from quorum.testing import fakes


def test_the_connection_is_the_client_of_the_running_application():
    """And the database is its own."""
    app = quorum.load(name="books")
    assert mongodb.get_connection() is app.container.mongo().client
    assert mongodb.get_db() == app.container.mongo().database
    assert mongodb.get_db().name == "books"


def test_the_running_application_is_the_one_of_the_context():
    """Of two applications each has its own."""
    first = quorum.load(app=quorum.Quorum("first"))
    second = quorum.load(app=quorum.Quorum("second"))
    for app in (first, second):
        with app.app_context():
            mongodb.get_db()["entries"].insert_one({"app": app.name})
            assert mongodb.get_db().name == app.name
    assert first.container.mongo().collection("entries").find_one()["app"] == "first"


def test_a_fake_takes_its_place():
    """As for a service that is injected."""
    app = quorum.load(name="books")
    mongodb.get_db()["entries"].insert_one({"_id": 1})
    with fakes(app) as fake:
        assert mongodb.get_connection() is fake.mongo.client
        assert mongodb.get_db()["entries"].find_one() is None
    assert mongodb.get_db()["entries"].find_one() == {"_id": 1}


@pytest.mark.parametrize("ask", [mongodb.get_connection, mongodb.get_db])
def test_without_an_application_it_says_so(ask: Any):
    """NotLoaded, as everywhere."""
    with pytest.raises(quorum.NotLoaded):
        ask()


def test_after_unload_it_says_so():
    """Nothing is handed out any more."""
    quorum.load(name="books")
    mongodb.get_db()
    quorum.unload()
    with pytest.raises(quorum.NotLoaded):
        mongodb.get_db()


def test_what_is_kept_under_data_path_is_there_for_the_next_application(tmp_path, monkeypatch):
    """`unload` saves it."""
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    quorum.load(name="books")
    mongodb.get_db()["entries"].insert_one({"_id": 1})
    quorum.unload()
    quorum.load(name="books")
    assert mongodb.get_db()["entries"].find_one() == {"_id": 1}
