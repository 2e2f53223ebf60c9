"""New entries on pages that are open, over server-sent events; served by a real server."""

import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from quorum.testing import Fakes

ANA = {"name": "Ana", "message": "What a lovely idea."}
NOW = datetime.now(UTC)
DEADLINE = 15.0


@dataclass
class Stream:
    """What a browser has of `/live`: a response that goes on."""

    response: HTTPResponse

    def read(self) -> dict[str, str]:
        """Return the fields of the next message, a comment under `""`; none at the end."""
        fields: dict[str, str] = {}
        for line in iter(self.response.readline, b""):
            if line == b"\n":
                break
            name, _, value = line.decode().rstrip("\n").partition(": ")
            fields[name] = value
        return fields

    def entries(self) -> Iterator[dict[str, str]]:
        """Give what each message says of an entry, until the stream ends."""
        while fields := self.read():
            if "data" in fields:
                yield json.loads(fields["data"])


Open = Callable[..., Stream]


@contextmanager
def serving(app: Flask) -> Iterator[Open]:
    """Serve an application on threads, and give what opens a stream of it."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    connections: list[HTTPConnection] = []

    def opened(path: str = "/live?after=0", **headers: str) -> Stream:
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=DEADLINE)
        connections.append(connection)
        connection.request("GET", path, headers=headers)
        return Stream(connection.getresponse())

    try:
        yield opened
    finally:
        for each in connections:
            each.close()
        server.shutdown()
        thread.join(DEADLINE)
        server.server_close()


@pytest.fixture
def live(app: Flask, quorum_fakes: Fakes) -> Iterator[Open]:  # noqa: ARG001 - the twins come first
    """Opens a stream of the application."""
    with serving(app) as opened:
        yield opened


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stream give signs of life often, and end soon."""
    monkeypatch.setattr("guestbook.live.KEEP_ALIVE", 0.05)
    monkeypatch.setattr("guestbook.live.LIFETIME", 0.5)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once a condition holds."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)


def sign(client: FlaskClient, name: str = "Ana") -> None:
    """Sign, as another visitor."""
    assert client.post("/", data=ANA | {"name": name}).status_code == 303


def write(fakes: Fakes, name: str, at: datetime) -> None:
    """Put an entry into the book, as another process would."""
    entry = {"name": name, "message": "Hello", "at": at, "form": name, "picture": None}
    fakes.mongo.collection("entries").insert_one(entry)


def test_gives_an_entry_as_it_is_signed(live: Open, client: FlaskClient) -> None:
    """Who has the page open is told of a new entry at once, with all that is shown of it."""
    stream = live()
    assert stream.response.getheader("Content-Type", "").startswith("text/event-stream")
    assert stream.read() == {"retry": "500"}
    began = time.monotonic()
    sign(client)
    message = stream.read()
    assert time.monotonic() - began < 2
    assert message["event"] == "entry"
    entry = json.loads(message["data"])
    page = client.get("/").text
    assert f'data-entry="{entry["id"]}"' in page
    assert f">{entry['when']}</time>" in page
    assert (entry["name"], entry["message"], entry["picture"]) == (*ANA.values(), None)


@pytest.mark.usefixtures("quick")
def test_gives_each_entry_once(live: Open, client: FlaskClient) -> None:
    """However often the stream looks into the book, it gives an entry once, in their order."""
    stream = live()
    for name in ("Ana", "Ben", "Cid"):
        sign(client, name)
    assert [each["name"] for each in stream.entries()] == ["Ana", "Ben", "Cid"]


@pytest.mark.usefixtures("quick")
def test_gives_what_was_missed(live: Open, quorum_fakes: Fakes) -> None:
    """Who comes back is given what was signed since the message whose id the browser tells."""
    for second, name in enumerate(("Ana", "Ben", "Cid")):
        write(quorum_fakes, name, NOW + timedelta(seconds=second))
    stream = live()
    _, _, last = (stream.read() for _ in range(3))
    found = live("/live?after=0", **{"Last-Event-ID": last["id"]}).entries()
    assert [each["name"] for each in found] == ["Ben", "Cid"]


@pytest.mark.usefixtures("quick")
def test_goes_on_from_the_page(live: Open, client: FlaskClient, quorum_fakes: Fakes) -> None:
    """The page says from where to go on: of what it shows, the last comes again at most."""
    for second, name in enumerate(("Ana", "Ben")):
        write(quorum_fakes, name, NOW + timedelta(seconds=second))
    page = client.get("/").text
    (after,) = re.findall('data-after="([0-9]+)"', page)
    (entry,) = live(f"/live?after={after}").entries()
    # The script knows it by its id.
    assert entry["name"] == "Ben"
    assert f'data-entry="{entry["id"]}"' in page


@pytest.mark.usefixtures("quick")
def test_finds_what_another_process_wrote(live: Open, quorum_fakes: Fakes) -> None:
    """What no event of this process tells of is found at the next sign of life."""
    stream = live()
    stream.read()
    write(quorum_fakes, "Ana", NOW)
    assert [each["name"] for each in stream.entries()] == ["Ana"]


@pytest.mark.usefixtures("quick")
def test_ends(live: Open, quorum_fakes: Fakes) -> None:
    """A stream lasts for its time, with signs of life; then its thread serves others."""
    stream = live()
    messages = list(iter(stream.read, {}))
    assert {"": "still here"} in messages
    wait_until(lambda: quorum_fakes.pusher.channels() == ())


def test_is_left_with_the_page(
    live: Open, quorum_fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that goes away leaves neither follower nor thread behind."""
    monkeypatch.setattr("guestbook.live.KEEP_ALIVE", 0.05)
    threads = threading.active_count()
    stream = live()
    stream.read()
    assert quorum_fakes.pusher.channels() == ("guestbook",)
    stream.response.close()
    wait_until(lambda: quorum_fakes.pusher.channels() == ())
    wait_until(lambda: threading.active_count() <= threads)


def test_leaves_threads_to_others(live: Open, client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Who comes when all places are taken has what is new at once, and is told to ask again."""
    sign(client)
    followers = [live() for _ in range(2)]
    for each in followers:
        each.read()
    one_more = live()
    assert one_more.read() == {"retry": "10000"}
    assert [each["name"] for each in one_more.entries()] == ["Ana"]
    for each in followers:
        each.response.close()
    quorum_fakes.pusher.close()


def test_gives_a_place_back(live: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place is free again once a stream has ended, however it ended."""
    monkeypatch.setattr("guestbook.live.KEEP_ALIVE", 0.05)
    for each in [live() for _ in range(2)]:
        each.read()
        each.response.close()
    wait_until(lambda: live().read() == {"retry": "500"})


def test_ends_with_the_services(live: Open, quorum_fakes: Fakes) -> None:
    """Where the application is closed, a stream does not hold its thread any longer."""
    stream = live()
    stream.read()
    quorum_fakes.pusher.close()
    assert stream.read() == {}


def test_is_polite_to_a_book_that_is_closed(live: Open, quorum_fakes: Fakes) -> None:
    """Where MongoDB does not answer, the browser is told to ask again after half a minute."""
    quorum_fakes.mongo.close()
    assert list(iter(live().read, {}))[-1] == {"retry": "30000"}


def test_says_in_one_line_what_has_many(live: Open, client: FlaskClient) -> None:
    """No words of a visitor end a message of the stream, or begin another."""
    wicked = "one\n\nevent: entry\ndata: {}\r\n\r\n</script><script>steal()</script>\u2028"
    stream = live()
    stream.read()
    client.post("/", data=ANA | {"message": wicked})
    message = stream.read()
    assert message.keys() == {"id", "event", "data"}
    assert json.loads(message["data"])["message"] == wicked.replace("\r\n", "\n").strip()


def test_shows_a_picture(live: Open, client: FlaskClient, picture: bytes) -> None:
    """An entry comes with the address of its picture, signed as on the page."""
    stream = live()
    stream.read()
    client.post("/", data=ANA | {"picture": (io.BytesIO(picture), "ana.png")})
    entry = json.loads(stream.read()["data"])
    assert client.get(entry["picture"]).data == picture


@pytest.mark.parametrize("after", ["", "-1", "1e3", "٣", "1" * 14, "now", "%00"])
def test_needs_a_stamp(client: FlaskClient, quorum_fakes: Fakes, after: str) -> None:  # noqa: ARG001
    """What is no stamp is answered with 404."""
    assert client.get(f"/live?after={after}").status_code == 404
