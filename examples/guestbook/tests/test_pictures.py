"""The pictures: what is taken, and how it is kept and shown."""

import io
import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from guestbook.pictures import Pictures, kind_of

from quorum.testing import Fakes

ANA = {"name": "Ana & Zoë", "message": "What a lovely idea."}


def sign(client: FlaskClient, picture: bytes, name: str = "ana.png") -> str:
    """Sign with a picture, and return the page that the visitor then sees."""
    data = ANA | {"picture": (io.BytesIO(picture), name)}
    return client.post("/", data=data, follow_redirects=True).text


def source(page: str) -> str:
    """Return the address of the one picture on a page."""
    (found,) = re.findall('<img src="([^"]+)"', page)
    return unescape(found)


def test_are_shown(client: FlaskClient, quorum_fakes: Fakes, picture: bytes) -> None:
    """The picture of who signed is on the page, byte for byte."""
    shown = client.get(source(sign(client, picture)))
    assert shown.data == picture
    assert shown.content_type == "image/png"
    assert len(list(quorum_fakes.storage.names("pictures/"))) == 1


@pytest.mark.usefixtures("quorum_fakes")
def test_can_be_shown_by_the_page_alone(client: FlaskClient, picture: bytes) -> None:
    """The address of a picture is signed: without its signature it shows nothing."""
    bare, _, _ = source(sign(client, picture)).partition("?")
    assert client.get(bare).status_code >= 400


@pytest.mark.usefixtures("quorum_fakes")
def test_have_a_text_and_a_place(client: FlaskClient, picture: bytes) -> None:
    """A picture has a text for who cannot see it, and its place is kept before it is loaded."""
    (tag,) = re.findall("<img[^>]+>", sign(client, picture))
    assert 'alt="Picture from Ana &amp; Zoë"' in tag
    assert 'width="400" height="300" loading="lazy"' in tag


@pytest.mark.usefixtures("quorum_fakes")
def test_need_not_be(client: FlaskClient) -> None:
    """Who chooses no picture has an entry without one."""
    page = sign(client, b"", "")
    assert "What a lovely idea." in page
    assert "<img" not in page


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "jpeg"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
        (b"RIFF\x0a\x00\x00\x00WEBPVP8 ", "webp"),
        (b"RIFF\x0a\x00\x00\x00WAVEfmt ", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
        (b"<html>\x89PNG\r\n\x1a\n", None),
        (b"", None),
    ],
)
def test_are_known_by_their_bytes(start: bytes, kind: str | None) -> None:
    """What kind a picture is of is read from its first bytes."""
    assert kind_of(start) == kind


def test_must_be_pictures(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """A page that is called a picture is refused, and nothing of it is kept."""
    page = sign(client, b"<script>steal()</script>", "ana.png")
    assert "This is not a JPEG, PNG, GIF or WebP picture." in page
    assert list(quorum_fakes.storage.names()) == []
    assert quorum_fakes.mongo.collection("entries").count_documents({}) == 0


def test_go_by_no_name(client: FlaskClient, quorum_fakes: Fakes, picture: bytes) -> None:
    """The name that a visitor's file has is nowhere in the name under which it is kept."""
    sign(client, picture, "../../etc/passwd.html")
    (name,) = quorum_fakes.storage.names()
    assert re.fullmatch(r"pictures/[0-9a-f]{32}\.png", name)


def test_may_not_be_too_large(client: FlaskClient, quorum_fakes: Fakes, picture: bytes) -> None:
    """A picture above the size that is set is refused kindly, and what was typed is kept."""
    page = sign(client, picture.ljust(300_000, b"\0"))
    assert "This picture has 0.3 MB; 0.2 MB is the most." in page
    assert "What a lovely idea.</textarea>" in page
    assert list(quorum_fakes.storage.names()) == []


@pytest.mark.usefixtures("quorum_fakes")
def test_may_be_as_large_as_is_set(client: FlaskClient, picture: bytes) -> None:
    """A picture of just the size that is set is taken."""
    assert "<img" in sign(client, picture.ljust(200_000, b"\0"))


def test_are_not_read_without_end(app: Flask, client: FlaskClient, quorum_fakes: Fakes) -> None:
    """A request that is far too large is answered with a page that says so."""
    app.config["MAX_CONTENT_LENGTH"] = 300_000
    data = ANA | {"picture": (io.BytesIO(bytes(300_001)), "ana.png")}
    answer = client.post("/", data=data)
    assert answer.status_code == 413
    assert "your words are still there" in answer.text
    assert quorum_fakes.mongo.collection("entries").count_documents({}) == 0


@pytest.mark.usefixtures("quorum_fakes")
def test_must_be_chosen_again(client: FlaskClient, picture: bytes) -> None:
    """Where something else is wrong, the visitor is told that a browser forgets the picture."""
    data = ANA | {"name": "", "picture": (io.BytesIO(picture), "ana.png")}
    assert "choose your picture again" in client.post("/", data=data).text


def test_of_a_form_sent_twice_is_kept_once(
    client: FlaskClient, quorum_fakes: Fakes, picture: bytes
) -> None:
    """A form that is sent twice leaves one entry and one picture, and the visitor is told."""
    for _ in range(2):
        data = ANA | {"ticket": "abc", "picture": (io.BytesIO(picture), "ana.png")}
        page = client.post("/", data=data, follow_redirects=True).text
    assert "Your entry was in the book already." in page
    assert quorum_fakes.storage.exists(source(page).partition("?")[0].partition("/storage/")[2])
    assert len(list(quorum_fakes.storage.names())) == 1


def test_have_names_of_their_own(app: Flask, quorum_fakes: Fakes, picture: bytes) -> None:
    """The same picture, added twice, is kept under two names."""
    pictures: Pictures = app.extensions["quorum"].pictures()
    assert {pictures.add(picture), pictures.add(picture)} == set(quorum_fakes.storage.names())
    assert len(list(quorum_fakes.storage.names())) == 2
