"""The services of the application."""

import pytest
from flask import Flask
from guestbook import create_app

import quorum


@pytest.mark.parametrize("noun", ["guestbook", "pictures", "visits", "days", "events", "live"])
def test_are_one_each_for_the_application(app: Flask, noun: str) -> None:
    """The container gives every view the same service."""
    service = getattr(app.extensions["quorum"], noun)
    assert service() is service()


def test_are_others_for_another_application(app: Flask) -> None:
    """Two applications of the factory, with nothing configured, have two books."""
    other = create_app("testing")
    other.extensions["quorum"].guestbook().sign("Ana", "Hello", "form")
    assert app.extensions["quorum"].guestbook().entries() == []
    quorum.unload(other)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SMTP_URL", "smtp://mail.example.org", "Mailer, <strong>smtp</strong>"),
        ("SMTP_URL", "", "Mailer, <strong>embedded twin</strong>"),
        ("MONGO_URL", "", "Mongo, <strong>embedded twin</strong>"),
        ("REDIS_URL", "", "Redis, <strong>embedded twin</strong>"),
        ("AMAZON_BUCKET", "pictures", "Storage, <strong>s3</strong>"),
        ("AMAZON_BUCKET", "", "Storage, <strong>embedded twin</strong>"),
        ("AMQP_URL", "amqp://broker.example.org", "AMQP, <strong>server</strong>"),
        ("AMQP_URL", "", "AMQP, <strong>embedded twin</strong>"),
        ("PUSHER_APP_ID", "", "Pusher, <strong>embedded twin</strong>"),
        ("TASKS", "threads", "Tasks, <strong>threads</strong>"),
    ],
)
def test_are_named_on_the_page(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    """The foot of the page says what serves it."""
    monkeypatch.setenv(variable, value)
    app = create_app("testing")
    assert said in app.test_client().get("/").text
    quorum.unload(app)


@pytest.mark.parametrize("variable", ["GUESTBOOK_KEEP", "GUESTBOOK_PICTURE_SIZE"])
def test_refuse_a_setting_that_makes_no_sense(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A book that keeps nothing is refused before it is opened, by the name of the setting."""
    monkeypatch.setenv(variable, "0")
    with pytest.raises(quorum.ConfigurationError, match=variable):
        create_app("testing")
