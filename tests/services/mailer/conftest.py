"""Servers and mailers for the tests of the mailer."""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from quorum.services.mailer.memory import MemoryMailer
from quorum.services.mailer.smtp import SmtpMailer
from quorum.services.templates import Templates
from quorum.settings import MailerSettings
from tests.services.mailer.servers import FaultyServer, SmtpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what a test opens, in the reverse order."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def serve(stack: ExitStack) -> Callable[..., SmtpServer]:
    """Start a real server."""
    return lambda **options: stack.enter_context(SmtpServer(**options))


@pytest.fixture
def misbehave(stack: ExitStack) -> Callable[..., FaultyServer]:
    """Start a server that answers as it is told to."""
    return lambda **answers: stack.enter_context(FaultyServer(**answers))


@pytest.fixture
def connect(stack: ExitStack, tmp_path: Path) -> Callable[..., SmtpMailer]:
    """Build an SMTP mailer on a server; `host`, `timeout` and the like are settings."""

    def build(server: Any = None, encryption: Any = None, **settings: Any) -> SmtpMailer:
        settings = {"host": "127.0.0.1", "sender": "shop@example.org"} | settings
        if server is not None:
            settings["port"] = server.port
        mailer = SmtpMailer(MailerSettings(**settings), Templates(tmp_path), encryption)
        stack.callback(mailer.close)
        return mailer

    return build


@pytest.fixture
def twin(tmp_path: Path) -> MemoryMailer:
    """Build an embedded twin."""
    return MemoryMailer(MailerSettings(sender="shop@example.org"), Templates(tmp_path))


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Issue certificates of servers."""
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    """Identify a server by a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "2130706433").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the authority, by SSL_CERT_FILE."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
