"""The MIME tree of a mail: which parts there are, and how they hang together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from quorum import Attachment

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

    from quorum.services.mailer.memory import MemoryMailer

PDF = Attachment("a.pdf", b"%PDF")
LOGO = Attachment("logo.png", b"png", content_id="logo")


def tree(message: Any) -> Any:
    """Return the types of a message, as nested tuples."""
    if not message.is_multipart():
        return message.get_content_type()
    return (message.get_content_subtype(), *(tree(part) for part in message.iter_parts()))


def send(twin: MemoryMailer, **fields: Any) -> EmailMessage:
    twin.send(to="ana@example.org", **fields)
    return twin.outbox[-1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"text": "a"}, "text/plain"),
        ({"html": "a"}, "text/html"),
        ({"text": "a", "html": "a"}, ("alternative", "text/plain", "text/html")),
        ({"text": "a", "attachments": [PDF]}, ("mixed", "text/plain", "application/pdf")),
        ({"html": "a", "attachments": [PDF]}, ("mixed", "text/html", "application/pdf")),
        ({"html": "a", "attachments": [LOGO]}, ("related", "text/html", "image/png")),
        (
            {"text": "a", "html": "a", "attachments": [PDF]},
            ("mixed", ("alternative", "text/plain", "text/html"), "application/pdf"),
        ),
        (
            {"text": "a", "html": "a", "attachments": (LOGO,)},
            ("alternative", "text/plain", ("related", "text/html", "image/png")),
        ),
        (
            {"html": "a", "attachments": [PDF, LOGO]},
            ("mixed", ("related", "text/html", "image/png"), "application/pdf"),
        ),
        (
            {"text": "a", "html": "a", "attachments": [LOGO, PDF, LOGO, PDF]},
            (
                "mixed",
                (
                    "alternative",
                    "text/plain",
                    ("related", "text/html", "image/png", "image/png"),
                ),
                "application/pdf",
                "application/pdf",
            ),
        ),
    ],
)
def test_the_tree_fits_what_was_given(twin: MemoryMailer, fields: Any, expected: Any) -> None:
    """Each combination of bodies, inline images and attachments has its tree (RFC 2046)."""
    assert tree(send(twin, **fields)) == expected


@pytest.mark.parametrize("content_id", ["logo", "<logo>"])
def test_an_inline_image_is_found_by_its_content_id(twin: MemoryMailer, content_id: str) -> None:
    """`cid:logo` in the HTML names the part whose Content-ID is <logo>."""
    image = Attachment("logo.png", b"png", content_id=content_id)
    message = send(twin, text="a", html='<img src="cid:logo">', attachments=[image])
    related = message.get_payload(1)
    shown = related.get_payload(1)
    assert related.get_param("type") == "text/html"
    assert shown["Content-ID"] == "<logo>"
    assert (shown.get_content_disposition(), shown.get_filename()) == ("inline", "logo.png")


@pytest.mark.parametrize(
    ("attachment", "content_type"),
    [
        (Attachment("a.png", b""), "image/png"),
        (Attachment("a.tar.gz", b""), "application/octet-stream"),
        (Attachment("a", b""), "application/octet-stream"),
        (Attachment("a.png", b"", "application/x-own"), "application/x-own"),
        (Attachment("a.eml", "Subject: é\r\n\r\né".encode()), "application/octet-stream"),
        (Attachment("a", b"x", "message/partial"), "application/octet-stream"),
    ],
)
def test_the_type_is_given_guessed_or_general(
    twin: MemoryMailer, attachment: Attachment, content_type: str
) -> None:
    """A type that was given wins, then the name's; what may not travel in base64 has none."""
    (part,) = send(twin, text="a", attachments=[attachment]).iter_attachments()
    assert part.get_content_type() == content_type
    assert part.get_content() == attachment.data


def test_a_text_file_says_that_it_is_utf8(twin: MemoryMailer) -> None:
    """A guessed text type has the charset of its data, where that is UTF-8."""
    files = [
        Attachment("a.csv", "ação".encode()),
        Attachment("b.csv", b"\xff\xfe"),
        Attachment("c.csv", b"abc", "text/csv; charset=ascii"),
    ]
    parts = list(send(twin, text="a", attachments=files).iter_attachments())
    assert [part.get_content_charset() for part in parts] == ["utf-8", None, "ascii"]
    assert parts[0].get_content() == "ação"
    assert parts[1].get_payload(decode=True) == b"\xff\xfe"


def test_a_mail_may_carry_a_mail(twin: MemoryMailer) -> None:
    """A message/rfc822 attachment is a mail of its own."""
    inner = b"Subject: Inner\r\n\r\nHello\r\n"
    (part,) = send(twin, text="a", attachments=[Attachment("a.eml", inner)]).iter_attachments()
    assert part.get_content_type() == "message/rfc822"
    assert part.get_content()["Subject"] == "Inner"
    assert part.get_filename() == "a.eml"


@pytest.mark.parametrize(
    "name",
    [
        "a.txt",
        "relatório final.txt",
        'quo"te.txt',
        "x" * 200 + ".txt",
        "日本語" * 30 + ".txt",
        "a;b",
        "back\\slash",
        "=?utf-8?q?x=0D=0ABcc:_evil@example.org?=.txt",
    ],
)
def test_any_file_name_is_read_back(twin: MemoryMailer, name: str) -> None:
    """Whatever its length and alphabet, a file name arrives unchanged."""
    (part,) = send(twin, text="a", attachments=[Attachment(name, b"x")]).iter_attachments()
    assert part.get_filename() == name


@pytest.mark.parametrize(
    "attachment",
    [
        Attachment("=?utf-8?q?x=0D=0AX-Evil:_1?=", b"x"),
        Attachment("a", b"x", "text/plain; name*=utf-8''a%0D%0AX-Evil:%201"),
        Attachment("a", b"x", 'text/plain; name="=?utf-8?q?x=0D=0AX-Evil:_1?="'),
        Attachment("a", b"x", None, "=?utf-8?q?x=0D=0AX-Evil:_1?="),
    ],
    ids=repr,
)
def test_no_line_break_is_decoded_into_a_part(
    misbehave: Any, connect: Any, attachment: Attachment
) -> None:
    """What is encoded in a name or a type stays so: no part gets a header of another's making."""
    server = misbehave()
    connect(server).send(to="ana@example.org", html="a", attachments=[attachment])
    assert not re.search(rb"(?m)^X-Evil", server.contents[0])


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    """`Attachment.read` takes name and data from a path; a missing one is an OSError."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc")
    assert Attachment.read(path) == Attachment("a.txt", b"abc")
    assert Attachment.read(str(path), content_id="a").content_id == "a"
    with pytest.raises(FileNotFoundError):
        Attachment.read(tmp_path / "missing.txt")


def test_everything_travels_in_seven_bits_and_short_lines(misbehave: Any, connect: Any) -> None:
    """No line passes 998 octets and no byte passes 127, so that any server takes it."""
    server = misbehave()
    connect(server).send(
        subject="é" * 500,
        to=[f'"{"n" * 40}, {number}" <{number}@example.org>' for number in range(60)],
        text="é" * 3000,
        html="x" * 3000,
        headers={"References": " ".join(f"<{number}{'r' * 60}@x.org>" for number in range(50))},
        attachments=[
            Attachment("é.bin", bytes(range(256)) * 50),
            Attachment("a.eml", b"S: x\n\nx"),
        ],
    )
    (content,) = server.contents
    assert content.isascii()
    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    assert not re.search(rb"\r\n[ \t]+\r\n", content.partition(b"\r\n\r\n")[0])


def test_a_sender_header_is_an_address(twin: MemoryMailer) -> None:
    """Headers of one address are written as addresses, names outside ASCII included."""
    message = send(twin, text="a", headers={"Sender": "José <jose@example.org>"})
    assert message["Sender"].address.display_name == "José"


def test_a_date_of_ones_own_is_kept(twin: MemoryMailer) -> None:
    """A Date that is given is not replaced."""
    date = "Tue, 01 Sep 2026 09:00:00 +0000"
    message = send(twin, text="a", headers={"date": date, "message-id": "<7@example.org>"})
    assert message.get_all("Date") == [date]
    assert message.get_all("Message-ID") == ["<7@example.org>"]
