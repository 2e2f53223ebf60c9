"""Fixtures for the tests of an application: `quorum_fakes` and `outbox`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from quorum import current
from quorum.testing import Fakes, fakes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


@pytest.fixture
def quorum_fakes(request: pytest.FixtureRequest) -> Iterator[Fakes]:
    """Swap every service of the `app` fixture, else of the loaded application, for its twin."""
    try:
        app = request.getfixturevalue("app")
    except pytest.FixtureLookupError as error:
        if error.argname != "app":
            raise
        app = current.get_app()
    with fakes(app) as twins:
        yield twins


@pytest.fixture
def outbox(quorum_fakes: Fakes) -> list[EmailMessage]:
    """Return the mails sent in this test, the oldest first; it grows as they are sent."""
    return quorum_fakes.mailer.outbox
