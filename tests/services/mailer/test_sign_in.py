"""Signing in to a server."""

from __future__ import annotations

import base64
import hmac
import logging
from typing import Any

import pytest

from quorum.errors import Unavailable, Unsupported
from tests.services.mailer.servers import PASSWORD, USER, mail

OFFERS_AUTH = "250-here\n250 AUTH PLAIN LOGIN CRAM-MD5"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("excluded", [[], ["PLAIN"]])
def test_a_password_signs_in(
    serve: Any, connect: Any, certificate: Any, excluded: list[str]
) -> None:
    """By AUTH PLAIN, and by LOGIN where that is all there is."""
    server = serve(
        tls_context=certificate,
        require_starttls=True,
        asks_password=True,
        auth_exclude_mechanism=excluded,
    )
    mail(connect(server, user=USER, password=PASSWORD))
    assert len(server.deliveries) == 1


def test_a_server_without_auth_is_served(
    serve: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The mail is sent without signing in, and the log says so, without the password."""
    server = serve()
    with caplog.at_level(logging.WARNING, "quorum.mailer"):
        mail(connect(server, user=USER, password=PASSWORD))
    assert len(server.deliveries) == 1
    assert "has no AUTH" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_user_without_password_is_a_sender_only(misbehave: Any, connect: Any) -> None:
    """SMTP_USER alone signs in nowhere; it is the sender where none is set."""
    server = misbehave(EHLO=OFFERS_AUTH)
    mail(connect(server, user="ana@example.org", sender=None))
    assert server.count("AUTH") == 0
    assert server.heard[1].lower() == "mail from:<ana@example.org>"


def test_a_server_may_ask_for_plain_in_two_lines(misbehave: Any, connect: Any) -> None:
    """A server that overlooks the initial response gets it again."""
    token = encoded(f"\0{USER}\0{PASSWORD}")
    server = misbehave(
        EHLO="250-here\n250 AUTH PLAIN", AUTH="334 ", **{token.upper(): "235 welcome"}
    )
    mail(connect(server, user=USER, password=PASSWORD))
    assert server.heard[1:3] == [f"AUTH PLAIN {token}", token]


def test_a_password_may_be_any_text(misbehave: Any, connect: Any) -> None:
    """Letters outside ASCII travel as UTF-8; what the environment could not decode, as it was."""
    server = misbehave(EHLO="250-here\n250 AUTH PLAIN")
    mail(connect(server, user="josé", password="pälé\udcff"))
    sent = base64.b64decode(server.heard[1].removeprefix("AUTH PLAIN "))
    assert sent == b"\0" + "josé".encode() + b"\0" + "pälé".encode() + b"\xff"


def test_in_clear_a_challenge_is_preferred(misbehave: Any, connect: Any) -> None:
    """On an unencrypted connection CRAM-MD5 does not show the password."""
    digest = hmac.new(PASSWORD.encode(), b"<1@here>", "md5").hexdigest()
    answer = encoded(f"{USER} {digest}")
    server = misbehave(
        EHLO=OFFERS_AUTH, AUTH=f"334 {encoded('<1@here>')}", **{answer.upper(): "235 welcome"}
    )
    mail(connect(server, user=USER, password=PASSWORD))
    assert server.heard[1:3] == ["AUTH CRAM-MD5", answer]


def test_a_challenge_that_cannot_be_read_is_told(misbehave: Any, connect: Any) -> None:
    """A server's nonsense is an error of ours."""
    server = misbehave(EHLO=OFFERS_AUTH, AUTH="334 x")
    with pytest.raises(Unavailable, match="its challenge is not base64"):
        mail(connect(server, user=USER, password=PASSWORD))


def test_a_mechanism_we_do_not_have_is_unsupported(misbehave: Any, connect: Any) -> None:
    """The error names what the server has."""
    server = misbehave(EHLO="250-here\n250 AUTH XOAUTH2")
    with pytest.raises(Unsupported, match="XOAUTH2"):
        mail(connect(server, user=USER, password=PASSWORD))
