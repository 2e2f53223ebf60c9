"""What every storage promises: one suite for the embedded twin and for S3."""

from __future__ import annotations

import hashlib
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import NotFound, Rejected, Unavailable
from tests.services.storage.site import ask

if TYPE_CHECKING:
    from pathlib import Path

ODD_NAMES = [
    "a",
    "a/b",
    "a/b/c.txt",
    "A",
    "a ",
    " a",
    "a b+c&d=e?f#g",
    "100%",
    "%2e%2e%2fa",
    "a%2Fb",
    "..a",
    "a..",
    ".hidden/.more",
    "...",
    "back\\slash",
    "q\"uo'te",
    "<xml>&amp;",
    "a:b.html",
    "~tilde",
    "semi;colon,comma",
    "caf\u00e9",
    "cafe\u0301",
    "日本語/ファイル.txt",
    "🎉.png",
    "\u2028line",
    "a" * 255,
    "b" * 256,
    "é" * 512,
    "/".join(["x" * 100] * 10),
    "x" * 1023 + "y",
    "x" * 1024,
]


class Pipe(io.RawIOBase):
    """A stream that cannot be rewound, and gives little at a time."""

    def __init__(self, *parts: object) -> None:
        self._parts = list(parts)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> Any:
        if not size or not self._parts:
            return b""
        part = self._parts.pop(0)
        if isinstance(part, BaseException):
            raise part
        return part


@pytest.mark.parametrize(
    "data", [b"", b"x", bytes(range(256)), b"\r\n\0" * 100_000], ids=["0", "1", "256", "300000"]
)
def test_bytes_come_back(storage: Any, data: bytes) -> None:
    """What is put is what is got, whatever is in it."""
    storage.put("report.bin", data)
    assert storage.get("report.bin") == data


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_bytes_come_back(storage: Any, kind: Any) -> None:
    """A buffer is stored as its bytes are."""
    storage.put("report.bin", kind(b"figures"))
    assert storage.get("report.bin") == b"figures"


def test_a_stream_is_stored_from_where_it_is(storage: Any) -> None:
    """What was read of it before is not stored; and it stays open."""
    stream = io.BytesIO(b"head and body")
    stream.read(5)
    storage.put("report.bin", stream)
    assert storage.get("report.bin") == b"and body"
    assert not stream.closed


def test_a_stream_of_unknown_size_is_stored_whole(storage: Any) -> None:
    """A pipe that gives little at a time is read to its end."""
    storage.put("report.bin", Pipe(b"one ", b"two ", b"three"))
    assert storage.get("report.bin") == b"one two three"


def test_an_empty_stream_is_an_empty_object(storage: Any) -> None:
    """Nothing in it is no error."""
    storage.put("report.bin", Pipe())
    assert storage.get("report.bin") == b""


def test_a_put_takes_the_place_of_all_that_was_there(storage: Any) -> None:
    """Neither bytes, nor type, nor metadata of the old object stay."""
    storage.put("page", b"a long old body", content_type="text/html", metadata={"by": "ana"})
    storage.put("page", b"new")
    assert storage.get("page") == b"new"
    found = storage.stat("page")
    assert (found.size, found.content_type) == (3, "application/octet-stream")
    assert dict(found.metadata) == {}


@pytest.mark.parametrize(
    "data",
    ["text", io.StringIO("text"), None, 7, ["list"], ("text",), (None,), (b"a", None)],
    ids=["str", "StringIO", "None", "int", "list", "text pipe", "None pipe", "b and None pipe"],
)
def test_what_is_not_bytes_is_refused(storage: Any, data: Any) -> None:
    """Text, and a stream that gives anything but bytes, is Rejected; nothing is stored."""
    if isinstance(data, tuple):
        data = Pipe(*data)
    with pytest.raises(Rejected, match=r"bytes"):
        storage.put("report.bin", data)
    assert not storage.exists("report.bin")


def test_a_closed_stream_is_refused(storage: Any) -> None:
    """It is not taken for an empty one."""
    stream = io.BytesIO(b"figures")
    stream.close()
    with pytest.raises(Rejected, match="the stream is closed"):
        storage.put("report.bin", stream)
    assert not storage.exists("report.bin")


@pytest.mark.parametrize("error", [OSError("the disk of the caller"), ZeroDivisionError()])
def test_what_the_callers_stream_raises_is_raised(storage: Any, error: Exception) -> None:
    """It is not ours, it comes unchanged, and the old object stays."""
    storage.put("report.bin", b"old")
    with pytest.raises(type(error)) as caught:
        storage.put("report.bin", Pipe(b"half of", error))
    assert caught.value is error
    assert storage.get("report.bin") == b"old"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a/photo.png", "image/png"),
        ("notes.txt", "text/plain"),
        ("archive.tar.gz", "application/octet-stream"),
        ("noextension", "application/octet-stream"),
        ("data:text", "application/octet-stream"),
    ],
)
def test_the_type_is_guessed_from_the_name(storage: Any, name: str, content_type: str) -> None:
    """Where none is given."""
    storage.put(name, b"x")
    assert storage.stat(name).content_type == content_type


@pytest.mark.parametrize("given", ["text/x-own", "text/plain; charset=utf-8", 'a/b; c="d, e"'])
def test_the_type_is_as_it_was_given(storage: Any, given: str) -> None:
    """Parameters too."""
    storage.put("photo.png", b"x", content_type=given)
    assert storage.stat("photo.png").content_type == given


@pytest.mark.parametrize(
    "given",
    ["", "text", "text/", "/plain", "text/plain\r\nX: y", "a/b, c/d", "té/xt", 7, "a/" + "b" * 999],
)
def test_what_is_no_type_is_refused(storage: Any, given: Any) -> None:
    """Nor can it bring a header of its own."""
    with pytest.raises(Rejected, match="content type"):
        storage.put("photo.png", b"x", content_type=given)
    assert not storage.exists("photo.png")


def test_metadata_comes_back_in_lower_case(storage: Any) -> None:
    """Names are as HTTP has them; values are as they were given."""
    storage.put("page", b"x", metadata={"Author": "Ana Silva", "x-1_y.z": "a  b = c; d, e"})
    assert dict(storage.stat("page").metadata) == {
        "author": "Ana Silva",
        "x-1_y.z": "a  b = c; d, e",
    }


@pytest.mark.parametrize(
    "metadata",
    [
        {"näme": "x"},
        {"": "x"},
        {"two words": "x"},
        {"colon:": "x"},
        {"name": "é"},
        {"name": "line\r\nx-amz-acl: public-read"},
        {"name": "nul\0"},
        {"name": " around "},
        {"name": 7},
        {7: "x"},
        {"name": "a", "NAME": "b"},
        {"name": "x" * 2048},
        [("name", "x")],
        "name",
    ],
    ids=repr,
)
def test_metadata_that_cannot_travel_is_refused(storage: Any, metadata: Any) -> None:
    """What HTTP would change, cut or take for another header is Rejected."""
    with pytest.raises(Rejected, match="metadata"):
        storage.put("page", b"x", metadata=metadata)
    assert not storage.exists("page")


def test_metadata_of_2_kb_is_kept(storage: Any) -> None:
    """The limit of S3 is allowed in full."""
    storage.put("page", b"x", metadata={"name": "x" * 2044})
    assert len(storage.stat("page").metadata["name"]) == 2044


def test_stat_tells_what_is_known(storage: Any) -> None:
    """The name, the size, the type, the moment in UTC and the digest, without the bytes."""
    before = datetime.now(UTC) - timedelta(seconds=2)
    storage.put("a/notes.txt", b"figures", metadata={"by": "ana"})
    found = storage.stat("a/notes.txt")
    assert (found.name, found.size, found.content_type) == ("a/notes.txt", 7, "text/plain")
    assert found.etag == hashlib.md5(b"figures", usedforsecurity=False).hexdigest()
    assert before <= found.modified <= datetime.now(UTC) + timedelta(seconds=2)
    assert found.modified.utcoffset() == timedelta(0)
    assert found.modified.microsecond == 0


@pytest.mark.parametrize(
    "read",
    [
        lambda storage: storage.get("missing.txt"),
        lambda storage: storage.open("missing.txt"),
        lambda storage: storage.stat("missing.txt"),
        lambda storage: storage.copy("missing.txt", "b"),
        lambda storage: storage.copy("missing.txt", "missing.txt"),
        lambda storage: storage.download("missing.txt", "target"),
    ],
    ids=["get", "open", "stat", "copy", "copy to itself", "download"],
)
def test_what_is_not_there_is_not_found(storage: Any, read: Any) -> None:
    """The error says which name."""
    storage.put("missing.txt/below", b"x")
    with pytest.raises(NotFound, match=r"storage: there is no object 'missing\.txt'"):
        read(storage)


def test_a_stream_is_read_piece_by_piece(storage: Any) -> None:
    """It is a binary stream as any other, and a context manager."""
    storage.put("report.bin", b"0123456789" * 10_000)
    with storage.open("report.bin") as stream:
        assert stream.readable()
        assert stream.read(4) == b"0123"
        assert stream.read(0) == b""
        assert stream.read() == (b"0123456789" * 10_000)[4:]
        assert stream.read(1) == b""
    assert stream.closed


def test_a_download_is_the_object(storage: Any, tmp_path: Path) -> None:
    """The file has the bytes, and what was in it before is gone."""
    target = tmp_path / "target.bin"
    target.write_bytes(b"a longer body from before")
    storage.put("report.bin", b"figures")
    storage.download("report.bin", target)
    storage.download("report.bin", str(tmp_path / "other.bin"))
    assert target.read_bytes() == b"figures"
    assert (tmp_path / "other.bin").read_bytes() == b"figures"


def test_a_download_of_nothing_leaves_the_file_as_it_was(storage: Any, tmp_path: Path) -> None:
    """And nothing beside it."""
    target = tmp_path / "own" / "target.bin"
    target.parent.mkdir()
    target.write_bytes(b"before")
    with pytest.raises(NotFound):
        storage.download("missing", target)
    assert [each.name for each in target.parent.iterdir()] == ["target.bin"]
    assert target.read_bytes() == b"before"


@pytest.mark.parametrize("target", ["nowhere/target", "folder", "/", "."])
def test_a_file_that_cannot_be_written_is_an_os_error(
    storage: Any, tmp_path: Path, target: str
) -> None:
    """It is the caller's file, and the caller knows that error; no draft stays."""
    (tmp_path / "folder").mkdir()
    storage.put("report.bin", b"figures")
    with pytest.raises(OSError):
        storage.download("report.bin", target)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
    assert not list((tmp_path / "folder").iterdir())


def test_exists_tells(storage: Any) -> None:
    """A name that others start with is not there for that."""
    storage.put("a/b", b"x")
    assert storage.exists("a/b")
    assert not storage.exists("a")
    assert not storage.exists("a/b/c")


def test_a_deleted_object_is_gone(storage: Any) -> None:
    """Only that one; and deleting what is not there is no error."""
    storage.put("a", b"x")
    storage.put("a/b", b"y")
    storage.delete("a")
    storage.delete("a")
    assert not storage.exists("a")
    assert list(storage.names()) == ["a/b"]


def test_clear_deletes_what_starts_with_the_prefix(storage: Any) -> None:
    """Without one, everything."""
    for name in ("tmp/1", "tmp/2/3", "tmpx", "other"):
        storage.put(name, b"x")
    storage.clear("tmp/")
    assert list(storage.names()) == ["other", "tmpx"]
    storage.clear()
    assert list(storage.names()) == []
    storage.clear()


def test_names_are_in_the_order_of_their_bytes(storage: Any) -> None:
    """As S3 gives them, not as a tree or a language would."""
    names = ["b", "a", "B", "a/b", "a-b", "a.b", "ab", "é", "z", "\uffdc", "🎉", "a/b/c", "a0"]
    for name in names:
        storage.put(name, b"x")
    assert list(storage.names()) == sorted(names, key=str.encode)


def test_names_start_with_the_prefix(storage: Any) -> None:
    """It is a start of the name, and no folder."""
    for name in ("a/1", "a/2", "a/b/3", "ab", "A/4", "b"):
        storage.put(name, b"x")
    assert list(storage.names("a/")) == ["a/1", "a/2", "a/b/3"]
    assert list(storage.names("a")) == ["a/1", "a/2", "a/b/3", "ab"]
    assert list(storage.names("zz")) == []
    assert list(storage.names("b/../a")) == []


def test_more_names_than_a_page_come_and_go(storage: Any) -> None:
    """1,001 objects, where S3 gives and deletes 1,000 at a time."""
    names = [f"many/{number:04}" for number in range(1001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.put(name, b"x"), names))
    assert list(storage.names("many/")) == names
    storage.clear("many/")
    assert list(storage.names()) == []


def test_names_may_be_deleted_as_they_come(storage: Any) -> None:
    """A loop that deletes what it is given sees every name once."""
    for number in range(20):
        storage.put(f"{number:02}", b"x")
    seen = []
    for name in storage.names():
        storage.delete(name)
        seen.append(name)
    assert seen == [f"{number:02}" for number in range(20)]
    assert list(storage.names()) == []


def test_odd_names_are_kept_apart_and_come_back(storage: Any) -> None:
    """Any UTF-8 up to 1,024 bytes: each is its own object, by every verb."""
    for number, name in enumerate(ODD_NAMES):
        storage.put(name, str(number).encode())
    assert [storage.get(name) for name in ODD_NAMES] == [
        str(number).encode() for number in range(len(ODD_NAMES))
    ]
    assert list(storage.names()) == sorted(ODD_NAMES, key=str.encode)
    assert all(storage.stat(name).name == name for name in ODD_NAMES)
    for name in ODD_NAMES:
        storage.copy(name, "target")
        assert storage.get("target") == storage.get(name)
        storage.delete(name)
        assert not storage.exists(name)
    assert list(storage.names()) == ["target"]


def test_odd_names_travel_in_urls(storage: Any) -> None:
    """A signed URL of each gives its object."""
    for number, name in enumerate(ODD_NAMES):
        storage.put(name, str(number).encode())
        answer = ask(storage.url(name))
        assert (name, answer.status, answer.body) == (name, 200, str(number).encode())


def test_a_copy_has_type_and_metadata(storage: Any) -> None:
    """The source stays; the target is replaced."""
    storage.put("a", b"body", content_type="text/x-own", metadata={"by": "ana"})
    storage.put("b.png", b"other", metadata={"old": "x"})
    storage.copy("a", "b.png")
    found = storage.stat("b.png")
    assert (found.name, found.content_type, dict(found.metadata)) == (
        "b.png",
        "text/x-own",
        {"by": "ana"},
    )
    assert storage.get("b.png") == storage.get("a") == b"body"


def test_a_copy_onto_itself_changes_nothing(storage: Any) -> None:
    """Nor is it an error, as it is to S3."""
    storage.put("a", b"body", metadata={"by": "ana"})
    storage.copy("a", "a")
    assert storage.get("a") == b"body"
    assert dict(storage.stat("a").metadata) == {"by": "ana"}


def test_a_url_gives_the_object(storage: Any) -> None:
    """To whoever has it, with its type."""
    storage.put("a/photo.png", b"pixels")
    answer = ask(storage.url("a/photo.png", expires_in=60))
    assert (answer.status, answer.body) == (200, b"pixels")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["ETag"] == f'"{storage.stat("a/photo.png").etag}"'
    assert answer.headers["Content-Length"] == "6"


def test_a_url_of_put_stores(storage: Any) -> None:
    """What is put there is the object, with the type that it is put with."""
    answer = ask(storage.url("up/a.png", method="PUT"), "PUT", b"pixels", Content_Type="image/x")
    assert answer.status == 200
    assert storage.get("up/a.png") == b"pixels"
    assert storage.stat("up/a.png").content_type == "image/x"


def test_a_url_of_nothing_is_not_found(storage: Any) -> None:
    """It is signed without asking; whoever follows it is told."""
    assert ask(storage.url("missing")).status == 404


@pytest.mark.parametrize(
    "expires_in",
    [0, -1, 604801, float("nan"), float("inf"), "60", None, True, 10**5000],
    ids=["0", "-1", "too long", "nan", "inf", "text", "None", "True", "10**5000"],
)
def test_a_url_of_another_time_is_refused(storage: Any, expires_in: Any) -> None:
    """More than nothing, and at most 7 days."""
    with pytest.raises(Rejected, match="expires_in"):
        storage.url("a", expires_in=expires_in)


@pytest.mark.parametrize("expires_in", [0.001, 1, 604800])
def test_the_times_allowed_are_all_of_them(storage: Any, expires_in: float) -> None:
    """From a part of a second to 7 days."""
    assert storage.url("a", expires_in=expires_in).startswith("http://127.0.0.1:")


@pytest.mark.parametrize("method", ["DELETE", "POST", "get", "", None, ["GET"]])
def test_a_url_of_another_method_is_refused(storage: Any, method: Any) -> None:
    """There are GET and PUT."""
    with pytest.raises(Rejected, match="GET or PUT"):
        storage.url("a", method=method)


def test_ping_returns(storage: Any) -> None:
    """Where the bucket can be reached."""
    storage.ping()
    assert list(storage.names()) == []


VERBS = {
    "put": lambda storage: storage.put("a", b"x"),
    "get": lambda storage: storage.get("a"),
    "open": lambda storage: storage.open("a"),
    "download": lambda storage: storage.download("a", "target"),
    "exists": lambda storage: storage.exists("a"),
    "delete": lambda storage: storage.delete("a"),
    "clear": lambda storage: storage.clear(),
    "names": lambda storage: list(storage.names()),
    "stat": lambda storage: storage.stat("a"),
    "copy": lambda storage: storage.copy("a", "b"),
    "url": lambda storage: storage.url("a"),
    "ping": lambda storage: storage.ping(),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_storage_refuses(own: Any, verb: str) -> None:
    """Every verb says that it is closed."""
    own.close()
    with pytest.raises(Unavailable, match="it is closed"):
        VERBS[verb](own)


def test_closing_twice_does_no_harm(own: Any) -> None:
    """Also before any use."""
    own.close()
    own.close()
    with pytest.raises(Unavailable):
        own.ping()


def test_names_that_are_asked_for_after_the_close_are_refused(own: Any) -> None:
    """The listing that was begun does not go on."""
    for number in range(3):
        own.put(str(number), b"x")
    names = own.names()
    own.close()
    with pytest.raises(Unavailable, match="closed"):
        next(names)


def test_calls_and_failures_are_counted(own: Any) -> None:
    """A missing object is a failure of get, and an answer of exists."""
    own.put("a", b"x")
    own.exists("b")
    with pytest.raises(NotFound):
        own.get("b")
    with pytest.raises(Rejected):
        own.get("../b")
    assert (own.counts.calls, own.counts.failures) == (4, 2)


def test_of_many_writers_one_wins_whole(storage: Any) -> None:
    """Readers see one object or another, never half of one nor a mixture."""
    bodies = [bytes([65 + number]) * 50_000 for number in range(8)]
    storage.put("shared", bodies[0])
    ended = threading.Event()
    seen: list[bytes] = []

    def write(body: bytes) -> None:
        for _ in range(10):
            storage.put("shared", body)

    def read() -> None:
        while not ended.is_set():
            seen.append(storage.get("shared"))

    with ThreadPoolExecutor(10) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            list(pool.map(write, bodies))
        finally:
            ended.set()
        for reader in readers:
            reader.result()
    assert seen
    assert set(seen) <= set(bodies)
    assert list(storage.names()) == ["shared"]
