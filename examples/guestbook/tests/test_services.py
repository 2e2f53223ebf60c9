"""The services of the application."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from guestbook import create_app
from guestbook.entries import Guestbook
from guestbook.settings import GuestbookGroup

import quorum


def test_keeps_the_newest() -> None:
    """A full book lets the oldest entry go."""
    book = Guestbook(GuestbookGroup(keep=2))
    for name in ("Ana", "Ben", "Cid"):
        book.sign(name, "Hello")
    assert [entry.name for entry in book.entries()] == ["Cid", "Ben"]


def test_loses_no_entry_to_threads() -> None:
    """Visitors who sign at the same time are all in the book."""
    book = Guestbook(GuestbookGroup(keep=1000))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: book.sign(str(number), "Hello"), range(1000)))
    assert {entry.name for entry in book.entries()} == {str(number) for number in range(1000)}


def test_knows_when() -> None:
    """An entry has the moment at which it was signed, in UTC."""
    entry = Guestbook(GuestbookGroup()).sign("Ana", "Hello")
    assert str(entry.at.tzinfo) == "UTC"


def test_is_one_for_the_application(app: Flask) -> None:
    """The container gives every view the same book."""
    container = app.extensions["quorum"]
    assert container.guestbook() is container.guestbook()


def test_is_another_for_another_application(app: Flask) -> None:
    """Two applications of the factory have two books."""
    other = create_app("testing")
    assert other.extensions["quorum"].guestbook() is not app.extensions["quorum"].guestbook()
    quorum.unload(other)


@pytest.mark.parametrize(
    ("url", "said"),
    [("", "<strong>embedded twin</strong>"), ("smtp://mail.example.org", "<strong>smtp</strong>")],
)
def test_are_named_on_the_page(monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
    """The foot of the page says what sends the mail."""
    monkeypatch.setenv("SMTP_URL", url)
    monkeypatch.delenv("SMTP_HOST", raising=False)
    app = create_app("testing")
    assert said in app.test_client().get("/").text
    quorum.unload(app)


def test_refuse_a_setting_that_makes_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    """A book that keeps nothing is refused before it is opened, by the name of the setting."""
    monkeypatch.setenv("GUESTBOOK_KEEP", "0")
    with pytest.raises(quorum.ConfigurationError, match="GUESTBOOK_KEEP"):
        create_app("testing")
