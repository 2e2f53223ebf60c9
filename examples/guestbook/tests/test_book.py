"""The book: what is written into it, and what is let go."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from flask import Flask
from guestbook.entries import Entry, Guestbook
from guestbook.pictures import Pictures

from quorum import ServiceError
from quorum.testing import Fakes

pytestmark = pytest.mark.usefixtures("quorum_fakes")

_forms = count()


@pytest.fixture
def book(app: Flask) -> Guestbook:
    """The book of the application, which keeps three entries."""
    book: Guestbook = app.extensions["quorum"].guestbook()
    return book


@pytest.fixture
def pictures(app: Flask) -> Pictures:
    """The pictures of the application."""
    pictures: Pictures = app.extensions["quorum"].pictures()
    return pictures


def sign(book: Guestbook, name: str, picture: str | None = None) -> Entry | None:
    """Sign with a form of its own."""
    return book.sign(name, f"Hello from {name}", f"form {next(_forms)}", picture)


def kept(fakes: Fakes) -> set[str]:
    """Return the names of all that is in the database, shown or not."""
    return {each["name"] for each in fakes.mongo.collection("entries").find()}


def test_gives_the_newest_first(book: Guestbook) -> None:
    """Entries are given back as they were written, the newest first."""
    for name in ("Ana", "Ben"):
        sign(book, name)
    assert [(each.name, each.message) for each in book.entries()] == [
        ("Ben", "Hello from Ben"),
        ("Ana", "Hello from Ana"),
    ]


def test_keeps_the_newest(book: Guestbook, quorum_fakes: Fakes) -> None:
    """A full book lets the oldest entries go."""
    for name in ("Ana", "Ben", "Cid", "Dea", "Eve"):
        sign(book, name)
    book.trim()
    assert kept(quorum_fakes) == {"Cid", "Dea", "Eve"}


def test_shows_no_more_than_it_keeps(book: Guestbook) -> None:
    """An entry that should have gone is not shown, though it is still there."""
    for name in ("Ana", "Ben", "Cid", "Dea"):
        sign(book, name)
    assert [each.name for each in book.entries()] == ["Dea", "Cid", "Ben"]


def test_lets_pictures_go_with_their_entries(
    book: Guestbook, pictures: Pictures, quorum_fakes: Fakes, picture: bytes
) -> None:
    """With an old entry its picture goes, and no other."""
    names = [pictures.add(picture) for _ in range(4)]
    for name in names:
        sign(book, "Ana", name)
    book.trim()
    assert set(quorum_fakes.storage.names()) == set(names[1:])


def test_keeps_what_leads_to_a_picture(
    book: Guestbook, pictures: Pictures, quorum_fakes: Fakes, picture: bytes
) -> None:
    """An old entry stays while its picture cannot be deleted, so that neither is left over."""
    sign(book, "Ana", pictures.add(picture))
    for name in ("Ben", "Cid", "Dea"):
        sign(book, name)
    quorum_fakes.storage.close()
    with pytest.raises(ServiceError):
        book.trim()
    assert kept(quorum_fakes) == {"Ana", "Ben", "Cid", "Dea"}


def test_knows_when(book: Guestbook) -> None:
    """An entry has the moment at which it was signed, in UTC."""
    sign(book, "Ana")
    (entry,) = book.entries()
    assert entry.at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - entry.at) < timedelta(minutes=1)


def test_takes_a_form_once(book: Guestbook) -> None:
    """One form makes one entry, however often it is sent."""
    assert book.sign("Ana", "Hello", "the form of Ana")
    assert not book.sign("Ana", "Hello", "the form of Ana")
    assert len(book.entries()) == 1


def test_returns_what_was_written(book: Guestbook) -> None:
    """Whoever signs is given the entry as the book has it, but for what MongoDB rounds off."""
    signed = sign(book, "Ana")
    (entry,) = book.entries()
    assert signed is not None
    assert (signed.id, signed.name, signed.stamp) == (entry.id, entry.name, entry.stamp)


def test_gives_what_is_new(book: Guestbook) -> None:
    """Since a stamp, entries are given the oldest first, with that of the stamp itself."""
    for name in ("Ana", "Ben", "Cid"):
        sign(book, name)
        wait_for_the_next_millisecond()
    newest, middle, _ = book.entries()
    assert [each.name for each in book.since(middle.stamp)] == ["Ben", "Cid"]
    assert book.since(newest.stamp + 1) == []


def wait_for_the_next_millisecond() -> None:
    """Return once an entry would have another stamp."""
    began = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == began:
        pass


@pytest.mark.parametrize("stamp", [0, 9_999_999_999_999])
def test_bears_any_stamp(book: Guestbook, stamp: int) -> None:
    """A stamp of long ago, and one of the far future, are stamps."""
    sign(book, "Ana")
    assert len(book.since(stamp)) == (stamp == 0)


def test_loses_no_entry_to_threads(book: Guestbook, quorum_fakes: Fakes) -> None:
    """Visitors who sign at the same time are all in the book."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: sign(book, str(number)), range(100)))
    assert kept(quorum_fakes) == {str(number) for number in range(100)}


def test_takes_a_form_once_from_many_threads(book: Guestbook) -> None:
    """One form that is sent from many threads at once makes one entry."""
    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(lambda _: book.sign("Ana", "Hello", "the form of Ana"), range(20)))
    assert len(new) - new.count(None) == 1
    assert len(book.entries()) == 1


def test_is_read_by_an_index(book: Guestbook, quorum_fakes: Fakes) -> None:
    """The newest are found by an index, and so is a form that was sent before."""
    sign(book, "Ana")
    indexes = quorum_fakes.mongo.collection("entries").index_information().values()
    assert [("at", -1), ("_id", -1)] in [each["key"] for each in indexes]
    assert [each["key"] for each in indexes if each.get("unique")] == [[("form", 1)]]
