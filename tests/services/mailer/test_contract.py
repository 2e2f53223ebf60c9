"""What every mailer promises: one suite for the embedded twin and for SMTP."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass
from email.header import decode_header, make_header
from typing import TYPE_CHECKING, Any

import pytest

from quorum import Attachment, Message
from quorum.errors import Rejected, Unavailable
from quorum.services.mailer.memory import MemoryMailer
from quorum.services.templates import Templates
from quorum.settings import MailerSettings

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

    from tests.services.mailer.servers import SmtpServer


@dataclass
class Post:
    """A mailer, and what arrives where it sends to."""

    mailer: Any
    server: SmtpServer | None

    @property
    def messages(self) -> list[EmailMessage]:
        if self.server is None:
            return list(self.mailer.outbox)
        return [each.message for each in self.server.deliveries]

    @property
    def recipients(self) -> list[tuple[str, ...]]:
        if self.server is None:
            return [each.accepted for each in self.mailer.sent]
        return [each.recipients for each in self.server.deliveries]


@pytest.fixture(params=["memory", "maildir", "smtp"])
def post(request: pytest.FixtureRequest, tmp_path: Path) -> Post:
    """Give each mailer in turn."""
    if request.param != "smtp":
        folder = tmp_path / "data" if request.param == "maildir" else None
        settings = MailerSettings(sender="shop@example.org")
        return Post(MemoryMailer(settings, Templates(tmp_path), folder), None)
    server = request.getfixturevalue("serve")(enable_SMTPUTF8=True)
    return Post(request.getfixturevalue("connect")(server), server)


def test_a_mail_arrives_as_it_was_given(post: Post) -> None:
    """Subject, sender, recipients and text are read back as they were written."""
    post.mailer.send(
        subject="Order 7",
        to=["ana@example.org", '"Silva, Rui" <rui@example.org>'],
        cc="eva@example.org",
        sender="The Shop <shop@example.org>",
        reply_to="help@example.org",
        text="Thank you.",
    )
    (message,) = post.messages
    assert message["Subject"] == "Order 7"
    assert message["From"] == "The Shop <shop@example.org>"
    assert message["To"] == 'ana@example.org, "Silva, Rui" <rui@example.org>'
    assert message["Cc"] == "eva@example.org"
    assert message["Reply-To"] == "help@example.org"
    assert message.get_content() == "Thank you.\n"


def test_the_result_names_the_message_and_its_recipients(post: Post) -> None:
    """What send returns is what arrived: every recipient once, of whichever field."""
    sent = post.mailer.send(
        to=["ana@example.org", "Ana <ana@example.org>"],
        cc="rui@example.org",
        bcc=["eva@example.org", "rui@example.org"],
        text="Hello",
    )
    assert sent.accepted == ("ana@example.org", "rui@example.org", "eva@example.org")
    assert post.recipients == [sent.accepted]
    assert post.messages[0]["Message-ID"] == sent.message_id
    assert not sent.refused


def test_bcc_is_nowhere_in_the_content(post: Post) -> None:
    """Blind copies are delivered and not told of."""
    post.mailer.send(to="ana@example.org", bcc="eva@example.org", text="Hello")
    assert b"eva@" not in bytes(post.messages[0])
    assert post.recipients == [("ana@example.org", "eva@example.org")]


def test_bcc_alone_is_enough(post: Post) -> None:
    """A mail to blind copies only has no To."""
    post.mailer.send(bcc="eva@example.org", text="Hello")
    assert post.messages[0]["To"] is None


@pytest.mark.parametrize(
    "subject",
    [
        "Olá, José: são 3 € por mês",
        "çãé " * 60,
        "日本語の件名" * 20,
        "plain words " * 20 + "end",
        "a" * 2000,
        "=?utf-8?q?not_decoded?=",
        "two  spaces and a colon: and ; semicolon",
        " around ",
        "tab\there",
        "🎉" * 40,
        "",
    ],
)
def test_any_subject_is_read_back(post: Post, subject: str) -> None:
    """Whatever its length and alphabet, a subject arrives unchanged."""
    post.mailer.send(subject=subject, to="ana@example.org", text="Hello")
    assert post.messages[0]["Subject"] == subject


@pytest.mark.parametrize(
    "name",
    [
        "Ana",
        "Silva, Ana",
        "José Ação",
        "Ana M. Silva",
        'Ana "the boss" Silva',
        "back\\slash",
        "ana@example.org",
        "Re: Ana; (home) [x] <y>",
        "日本 語",
        "=?utf-8?q?Ana?=",
        "many words in a name " * 10 + "end",
    ],
)
def test_any_name_is_read_back(post: Post, name: str) -> None:
    """A name in quotes arrives unchanged, and stays one recipient."""
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    post.mailer.send(to=f"{quoted} <ana@example.org>", text="Hello")
    (address,) = post.messages[0]["To"].addresses
    assert (address.display_name, address.addr_spec) == (name.strip(), "ana@example.org")
    assert post.recipients == [("ana@example.org",)]


@pytest.mark.parametrize("name", ["çãé " * 40 + "fim", "x" * 950])
def test_a_long_name_is_written_in_several_words(post: Post, name: str) -> None:
    """The space between two encoded words is none (RFC 2047, section 6.2)."""
    post.mailer.send(to=f'"{name}" <ana@example.org>', text="Hello")
    (message,) = post.messages
    raw = message.as_bytes(policy=message.policy.clone(refold_source="none"))
    header = email.message_from_bytes(raw, policy=email.policy.compat32)["To"]
    assert str(make_header(decode_header(header))) == f"{name} <ana@example.org>"


@pytest.mark.parametrize(
    "text",
    [
        "Olá, tudo bem?",
        "line\n" * 50,
        "x" * 5000,
        "\x0b\x0c\x1c\x85\u2028 odd spaces é",
        "From here on\n.\n..\n.dot",
        "trailing \t\n",
        "a\0b",
        "日本語" * 500,
        "",
    ],
)
def test_any_text_is_read_back(post: Post, text: str) -> None:
    """A body arrives unchanged but for a line end at its end."""
    post.mailer.send(to="ana@example.org", text=text)
    got = post.messages[0].get_content()
    assert got.removesuffix("\n") == text.removesuffix("\n")


def test_text_and_html_are_alternatives(post: Post) -> None:
    """Both bodies make a multipart/alternative, the text first."""
    post.mailer.send(to="ana@example.org", text="Olá", html="<b>Olá</b>")
    (message,) = post.messages
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]
    assert [part.get_content().strip() for part in message.iter_parts()] == ["Olá", "<b>Olá</b>"]


def test_templates_are_rendered_with_their_context(post: Post, tmp_path: Path) -> None:
    """`plain` and `rich` name templates; values are escaped in HTML alone."""
    (tmp_path / "hello.txt").write_text("Hello, {{ name }}", encoding="utf-8")
    (tmp_path / "hello.html.tpl").write_text("<p>Hello, {{ name }}</p>", encoding="utf-8")
    post.mailer.send(
        to="ana@example.org",
        plain="hello.txt",
        rich="hello.html.tpl",
        context={"name": "Ana & Rui"},
    )
    text, html = post.messages[0].iter_parts()
    assert text.get_content() == "Hello, Ana & Rui\n"
    assert html.get_content() == "<p>Hello, Ana &amp; Rui</p>\n"


def test_attachments_arrive_byte_by_byte(post: Post) -> None:
    """A file keeps its name, its type and every byte."""
    data = bytes(range(256)) * 40
    post.mailer.send(
        to="ana@example.org", text="Hello", attachments=[Attachment("relatório.pdf", data)]
    )
    (part,) = post.messages[0].iter_attachments()
    assert part.get_filename() == "relatório.pdf"
    assert part.get_content_type() == "application/pdf"
    assert part.get_content() == data


def test_arguments_win_over_the_message(post: Post) -> None:
    """A message is what the arguments leave open."""
    message = Message(subject="Hello", to="ana@example.org", text="Hello")
    post.mailer.send(message, subject="Good day")
    post.mailer.send(message)
    assert [each["Subject"] for each in post.messages] == ["Good day", "Hello"]


def test_headers_are_added(post: Post) -> None:
    """A header of one's own arrives as it was given, however long."""
    link = f"<https://example.org/{'x' * 300}>"
    post.mailer.send(
        to="ana@example.org",
        text="Hello",
        headers={"X-Order": "número 7", "List-Unsubscribe": link, "Content-Language": "pt"},
    )
    (message,) = post.messages
    assert [message["X-Order"], message["List-Unsubscribe"]] == ["número 7", link]
    assert message["Content-Language"] == "pt"


def test_an_international_address_arrives(post: Post) -> None:
    """An address outside ASCII is delivered as it is."""
    sent = post.mailer.send(to="José <josé@bücher.example>", text="Hello")
    assert sent.accepted == ("josé@xn--bcher-kva.example",)
    assert post.messages[0]["To"].addresses[0].display_name == "José"


ANA = {"to": "ana@example.org", "text": "Hello"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"text": "Hello"}, "no recipient"),
        ({"to": [], "cc": (), "bcc": "", "text": "Hello"}, "no recipient"),
        ({"to": "ana@example.org"}, "no body"),
        ({"to": 5, "text": "Hello"}, "to must be an address"),
        ({"to": [5], "text": "Hello"}, "to must be text"),
        ({"to": {"ana@example.org": "Ana"}, "text": "Hello"}, "to must be an address"),
        ({"to": b"ana@example.org", "text": "Hello"}, "to must be an address"),
        ({"to": "ana", "text": "Hello"}, "to is not one address"),
        (ANA | {"cc": ["ana@example.org", ""]}, "cc is not one address"),
        (ANA | {"sender": 5}, "sender must be text"),
        (ANA | {"sender": ""}, "sender is not one address"),
        (ANA | {"subject": b"Hello"}, "subject must be text, not bytes"),
        (ANA | {"text": b"Hello"}, "text must be text, not bytes"),
        (ANA | {"html": 5}, "html must be text, not int"),
        (ANA | {"rich": 5}, "rich must be text, not int"),
        (ANA | {"context": ["name"]}, "context must be a dictionary, not list"),
        (ANA | {"headers": ["X-A: b"]}, "headers must be a dictionary"),
        (ANA | {"headers": {"X-A": 5}}, "the header 'X-A' must be text"),
        (ANA | {"headers": {5: "b"}}, "the header 5 must be text"),
        (ANA | {"headers": {"X A": "b"}}, "'X A' is not the name of a header"),
        (ANA | {"headers": {"": "b"}}, "is not the name of a header"),
        (ANA | {"headers": {"Bcc": "eva@example.org"}}, "set by an argument"),
        (ANA | {"headers": {"Resent-Bcc": "eva@example.org"}}, "set by the mailer"),
        (ANA | {"headers": {"Content-Type": "text/html"}}, "set by the mailer"),
        (ANA | {"headers": {"X-A": "b", "x-a": "c"}}, "x-a is given twice"),
        (ANA | {"headers": {"Date": "yesterday"}}, "the header Date is not like"),
        (ANA | {"headers": {"Message-ID": "7"}}, "the header Message-ID is not like"),
        (ANA | {"headers": {"Sender": "ana"}}, "the header Sender is not one address"),
        (ANA | {"subject": "a\udcffb"}, "Subject holds a line break or a control character"),
        (ANA | {"text": "a\udcffb"}, "a character that utf-8 cannot write"),
        (ANA | {"attachments": [b"x"]}, "attachments holds bytes"),
        (ANA | {"attachments": Attachment("a.txt", b"x")}, "attachments must be a list"),
        (ANA | {"attachments": [Attachment("a.txt", "x")]}, "data of attachment 'a.txt'"),  # type: ignore[arg-type]
        (ANA | {"attachments": [Attachment("", b"x")]}, "name of an attachment must be text"),
        (ANA | {"attachments": [Attachment("a\r\nb", b"x")]}, "holds a line break"),
        (ANA | {"attachments": [Attachment("a", b"x", "image")]}, "not like image/png"),
        (ANA | {"attachments": [Attachment("a", b"x", 5)]}, "not like image/png"),  # type: ignore[arg-type]
        (ANA | {"attachments": [Attachment("a", b"x", "a/b\r\nX: y")]}, "not like image/png"),
        (ANA | {"attachments": [Attachment("a", b"x", "multipart/mixed")]}, "multipart"),
        (ANA | {"attachments": [Attachment("a", b"x", None, "a")]}, "needs an HTML body"),
        (ANA | {"html": "a", "attachments": [Attachment("a", b"x", None, "a b")]}, "content_id"),
        (ANA | {"html": "a", "attachments": [Attachment("a", b"x", None, 5)]}, "content_id"),  # type: ignore[arg-type]
        (ANA | {"plain": "hello.txt"}, "give text or plain, not both"),
        (ANA | {"html": "a", "rich": "b.html"}, "give html or rich, not both"),
        (ANA | {"rich": "missing.html"}, "no template 'missing.html'"),
        (ANA | {"message": "Hello"}, "message must be a quorum.Message, not str"),
        (ANA | {"recipient": "eva@example.org"}, "no argument recipient"),
        (ANA | {"charset": "klingon"}, "no charset 'klingon'"),
        (ANA | {"charset": "utf-16"}, "cannot be written in utf-16"),
        (ANA | {"charset": "ascii", "text": "é"}, "a character that ascii cannot write"),
        (ANA | {"charset": 5}, "charset must be text"),
    ],
    ids=str,
)
def test_bad_input_is_told_and_nothing_is_sent(post: Post, given: Any, sentence: str) -> None:
    """Each mistake is an error of ours that names the thing; no half of a mail goes out."""
    with pytest.raises(Rejected, match=sentence):
        post.mailer.send(**given)
    assert post.messages == []


def test_a_charset_is_used(post: Post) -> None:
    """A body may travel in another charset than UTF-8."""
    post.mailer.send(Message(to="ana@example.org", text="Olá", charset="iso-8859-1"))
    (message,) = post.messages
    assert message.get_content_charset() == "iso-8859-1"
    assert message.get_content() == "Olá\n"


def test_none_is_the_same_as_left_out(post: Post) -> None:
    """An argument of None leaves the default."""
    post.mailer.send(None, subject=None, to="ana@example.org", context=None, text="Hello")
    assert post.messages[0]["Subject"] == ""


def test_an_error_in_a_template_goes_through(post: Post, tmp_path: Path) -> None:
    """What a template's own code raises is the user's to see, and nothing is sent."""
    (tmp_path / "bad.txt").write_text("{{ 1 // 0 }}")
    with pytest.raises(ZeroDivisionError):
        post.mailer.send(to="ana@example.org", plain="bad.txt")
    assert post.messages == []


def test_calls_are_counted(post: Post) -> None:
    """Each mail is a call, each refusal a failure."""
    post.mailer.send(to="ana@example.org", text="Hello")
    with pytest.raises(Rejected):
        post.mailer.send(to="ana", text="Hello")
    counts = post.mailer.counts
    assert (counts.calls, counts.failures) == (2, 1)
    assert counts.seconds > 0


def test_ping_returns(post: Post) -> None:
    """A mailer that could send answers a ping."""
    assert post.mailer.ping() is None


def test_ping_delivers_nothing(post: Post) -> None:
    """A ping is no mail, before one as after."""
    post.mailer.ping()
    post.mailer.send(to="ana@example.org", text="Hello")
    post.mailer.ping()
    assert len(post.messages) == 1


def test_close_is_final(post: Post) -> None:
    """A closed mailer neither sends nor answers, however often it was closed."""
    post.mailer.send(to="ana@example.org", text="Hello")
    post.mailer.close()
    post.mailer.close()
    with pytest.raises(Unavailable, match="closed"):
        post.mailer.send(to="ana@example.org", text="Hello")
    with pytest.raises(Unavailable, match="closed"):
        post.mailer.ping()
    assert len(post.messages) == 1


def test_a_message_is_shown_without_its_data() -> None:
    """The repr of an attachment does not hold the file."""
    assert "secret bytes" not in repr(Attachment("a.txt", b"secret bytes"))
