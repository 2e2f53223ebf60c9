"""The name of the database: the URL's, MONGO_DATABASE, load's, the application's; the instance."""

from __future__ import annotations

from typing import Any

import pytest

import quorum
from quorum import Container, Settings

URL = "mongodb://127.0.0.1:1"


def name_of(container: Any) -> str:
    name: str = container.mongo().database.name
    container.ledger.close()
    return name


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "till"),
        ({"MONGO_DATABASE": "shop"}, "shop"),
        ({"MONGO_URL": f"{URL}/orders", "MONGO_DATABASE": "shop"}, "orders"),
        ({"MONGO_URL": URL, "MONGO_DATABASE": "shop"}, "shop"),
        ({"MONGO_URL": f"{URL}/?maxPoolSize=5"}, "till"),
        ({"MONGO_URL": f"{URL}/my%2Dorders"}, "my-orders"),
        ({"MONGOHQ_URL": f"{URL}/hq"}, "hq"),
    ],
    ids=str,
)
@pytest.mark.parametrize("instance", [None, "pt"])
def test_what_names_the_database(
    monkeypatch: pytest.MonkeyPatch, environment: Any, expected: str, instance: str | None
) -> None:
    """The first that names one wins, and each is suffixed with the instance."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = quorum.load(name="till", instance=instance)
    assert name_of(app.container) == (f"{expected}-{instance}" if instance else expected)


@pytest.mark.parametrize("instance", [None, "pt"])
@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, "books"), ({"MONGO_DATABASE": "shop"}, "shop"), ({"MONGO_URL": f"{URL}/url"}, "url")],
    ids=str,
)
def test_load_names_the_database_where_no_setting_does(
    monkeypatch: pytest.MonkeyPatch, environment: Any, expected: str, instance: str | None
) -> None:
    """`load(mongo_database=)` comes before the name of the application, and after the settings."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = quorum.load(name="till", mongo_database="books", instance=instance)
    assert name_of(app.container) == (f"{expected}-{instance}" if instance else expected)


def test_a_container_without_an_application_is_named_by_its_settings() -> None:
    """What a database must not have becomes an underscore."""
    assert name_of(Container(settings=Settings(name="my.shop"))) == "my_shop"


def test_the_driver_is_chosen_by_the_url() -> None:
    """The twin serves without one."""
    container = Container(settings=Settings(mongo={"url": URL}))
    assert type(container.mongo()).__name__ == "ServerMongo"
    container.ledger.close()
    assert type(Container(settings=Settings()).mongo()).__name__ == "MemoryMongo"


def test_a_database_that_no_server_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the service is asked for, with what to mend."""
    monkeypatch.setenv("MONGO_URL", f"{URL}/{'a' * 60}")
    app = quorum.load(name="till", instance="test")
    with pytest.raises(quorum.Rejected, match=r"is no name of a database.* mend MONGO_DATABASE"):
        app.container.mongo()
