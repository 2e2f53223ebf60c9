"""When TLS is used, and that it is verified."""

from __future__ import annotations

from typing import Any

import pytest

from quorum import Container, Settings
from quorum.errors import Rejected, Unavailable
from quorum.services.mailer.smtp import SmtpMailer
from quorum.settings import MailerSettings
from tests.services.mailer.servers import PASSWORD, USER, mail

OFFERS_AUTH = "250-here\n250 AUTH PLAIN LOGIN CRAM-MD5"


def test_a_plain_server_on_this_machine_is_served(serve: Any, connect: Any) -> None:
    """On a loopback host no STARTTLS is needed."""
    server = serve()
    mail(connect(server))
    assert len(server.deliveries) == 1


def test_false_allows_plain_mail_to_another_host(serve: Any, connect: Any) -> None:
    """SMTP_STARTTLS=false, written out, sends in clear."""
    server = serve()
    mail(connect(server, host="2130706433", starttls=False))
    assert len(server.deliveries) == 1


def test_false_does_not_use_starttls(serve: Any, connect: Any, certificate: Any) -> None:
    """With false an unknown certificate is no matter, for it is not asked for."""
    server = serve(tls_context=certificate)
    mail(connect(server, starttls=False))
    assert len(server.deliveries) == 1


def test_true_requires_starttls_on_this_machine_too(serve: Any, connect: Any) -> None:
    """SMTP_STARTTLS=true makes no exception."""
    server = serve()
    with pytest.raises(Rejected, match=r"use smtps:// or another server, or do not require"):
        mail(connect(server, starttls=True))


def test_no_host_is_this_machine(serve: Any) -> None:
    """A mailer built without a host sends to the local server."""
    server = serve()
    mailer = SmtpMailer(MailerSettings(port=server.port), lambda *_: "")
    mail(mailer)
    mailer.close()
    assert server.deliveries[0].sender == "quorum@localhost"


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433"])
@pytest.mark.parametrize("starttls", [True, None])
def test_starttls_is_used_and_verified(
    serve: Any, connect: Any, certificate: Any, host: str, *, starttls: bool | None
) -> None:
    """The certificate's name is the host's, be it a name or an address."""
    server = serve(tls_context=certificate, require_starttls=True)
    mailer = connect(server, host=host, starttls=starttls)
    mail(mailer)
    server.hang_up()
    mail(mailer)
    assert len(server.deliveries) == server.connections == 2


@pytest.mark.usefixtures("trusted")
def test_implicit_tls_is_used_with_smtps(serve: Any, certificate: Any, stack: Any) -> None:
    """`smtps://` encrypts from the first byte, through a container's settings."""
    server = serve(implicit_tls=certificate)
    url = f"smtps://127.0.0.1:{server.port}"
    container = Container(settings=Settings(mailer=MailerSettings.take_apart(url)))
    mailer = container.mailer()
    stack.callback(mailer.close)
    mail(mailer, sender="shop@example.org")
    assert len(server.deliveries) == 1


def test_port_465_means_implicit_tls() -> None:
    """The port alone says so (RFC 8314)."""
    assert MailerSettings(host="mail.example", port=465).implicit_tls


def test_a_server_that_speaks_no_tls_is_told(serve: Any, connect: Any) -> None:
    """Implicit TLS on a plain port is an error that names the server."""
    server = serve()
    with pytest.raises(Unavailable, match=f"127.0.0.1:{server.port} cannot be used"):
        mail(connect(server, tls=True))


@pytest.mark.usefixtures("trusted")
def test_offered_uses_what_there_is(serve: Any, connect: Any, certificate: Any) -> None:
    """As for a server named in send_mail: STARTTLS if offered, plain if not."""
    mail(connect(serve(), "offered", host="2130706433"))
    encrypting = serve(tls_context=certificate, require_starttls=True)
    mail(connect(encrypting, "offered", host="2130706433"))
    assert len(encrypting.deliveries) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433"])
def test_offered_sends_no_password_in_clear(misbehave: Any, connect: Any, host: str) -> None:
    """With a password and no STARTTLS it is refused, on this machine too."""
    server = misbehave(EHLO=OFFERS_AUTH)
    with pytest.raises(Rejected, match="STARTTLS"):
        mail(connect(server, "offered", host=host, user=USER, password=PASSWORD))
    assert server.count("AUTH") == 0
