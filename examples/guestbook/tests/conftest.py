"""What the tests share: the application under test, a visitor's browser, a picture."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from guestbook import create_app

import quorum

DOT = (
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63d8ea220d0002c6011593b9dbd50000000049454e44ae426082"
)
"""One pixel, as a PNG file."""


@pytest.fixture
def app() -> Iterator[Flask]:
    """The application, closed after the test; what it would do at night, a test has to do."""
    app = create_app("testing", TESTING=True, execution=False)
    yield app
    quorum.unload(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A visitor's browser."""
    return app.test_client()


@pytest.fixture
def picture() -> bytes:
    """A small picture."""
    return bytes.fromhex(DOT)
