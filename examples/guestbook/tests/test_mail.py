"""The mail that thanks who signed."""

from email.message import EmailMessage

import pytest
from flask.testing import FlaskClient

from quorum.testing import Fakes

ANA = {"name": "Ana & Zoë", "email": "ana@example.org", "message": "What a lovely idea."}


def body(mail: EmailMessage, kind: str) -> str:
    """Return one of the two bodies of a mail, "plain" or "html"."""
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_thanks_who_signed(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Who leaves an address gets one mail."""
    client.post("/", data=ANA)
    quorum_fakes.mailer.assert_sent(
        to="ana@example.org", subject="Thank you for signing The guestbook under test", times=1
    )


def test_says_it_in_text_and_in_html(client: FlaskClient, outbox: list[EmailMessage]) -> None:
    """The mail greets by name in both its bodies, escaped in the one that is HTML."""
    client.post("/", data=ANA)
    (mail,) = outbox
    assert mail.get_content_type() == "multipart/alternative"
    assert body(mail, "plain").startswith("Dear Ana & Zoë,")
    assert "Dear Ana &amp; Zoë," in body(mail, "html")


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_leads_back(client: FlaskClient, outbox: list[EmailMessage], kind: str) -> None:
    """The mail says where the entry can be read."""
    client.post("/", data=ANA)
    assert "http://localhost/" in body(outbox[0], kind)


def test_is_answered_by_the_owner(client: FlaskClient, outbox: list[EmailMessage]) -> None:
    """An answer to the mail goes to the owner of the book."""
    client.post("/", data=ANA)
    assert outbox[0]["Reply-To"] == "owner@example.org"


def test_repeats_no_message(client: FlaskClient, outbox: list[EmailMessage]) -> None:
    """The message is not in the mail: nobody can have words of theirs mailed to a stranger."""
    client.post("/", data=ANA)
    assert "lovely" not in outbox[0].as_string()


@pytest.mark.parametrize("wrong", [{"name": ""}, {"email": "nonsense"}, {"message": "a" * 1001}])
def test_waits_until_all_is_right(
    client: FlaskClient, quorum_fakes: Fakes, wrong: dict[str, str]
) -> None:
    """A form with something wrong in it sends no mail."""
    client.post("/", data=ANA | wrong)
    quorum_fakes.mailer.assert_nothing_sent()


def test_needs_an_address(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Who leaves no address is in the book, and gets no mail."""
    page = client.post("/", data=ANA | {"email": ""}, follow_redirects=True)
    assert "What a lovely idea." in page.text
    quorum_fakes.mailer.assert_nothing_sent()


def test_costs_no_entry(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Where the mail cannot go out, the entry stands, and the visitor is told."""
    quorum_fakes.mailer.close()
    page = client.post("/", data=ANA, follow_redirects=True)
    assert "our mail to you could not be sent" in page.text
    assert "What a lovely idea." in page.text


def test_comes_once(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Who sends the same form twice is thanked once."""
    for _ in range(2):
        client.post("/", data=ANA | {"ticket": "abc"})
    quorum_fakes.mailer.assert_sent(to="ana@example.org", times=1)
