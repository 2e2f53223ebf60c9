"""What the tests share: the application of the profile `testing`, and a visitor's browser."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from guestbook import create_app

import quorum


@pytest.fixture
def app() -> Iterator[Flask]:
    """The application, closed after the test."""
    app = create_app("testing", TESTING=True)
    yield app
    quorum.unload(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A visitor's browser."""
    return app.test_client()
