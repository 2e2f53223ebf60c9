"""The page while a server is down: what does not need that server goes on."""

import io
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask.testing import FlaskClient
from guestbook import create_app

import quorum
from quorum.testing import Fakes, fakes

ANA = {"name": "Ana", "email": "ana@example.org", "message": "What a lovely idea."}

Visit = Callable[[str], tuple[FlaskClient, Fakes]]


@pytest.fixture(params=["refuses", "is silent"])
def nowhere(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address that refuses every connection, or takes it and never says a word."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if request.param == "is silent":
            bound.listen(100)
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch, nowhere: str) -> Iterator[Visit]:
    """Gives a visitor's browser, and the twins, of a guestbook with one server that is down.

    The driver of that server is the real one; the twins serve in the place of all others.
    """
    variables = {
        "mongo": {"MONGO_URL": f"mongodb://{nowhere}/", "MONGO_TIMEOUT": "0.5"},
        "redis": {"REDIS_URL": f"redis://{nowhere}/", "REDIS_TIMEOUT": "0.5"},
        "storage": {
            "AMAZON_ENDPOINT": f"http://{nowhere}",
            "AMAZON_BUCKET": "pictures",
            "AMAZON_ID": "an id",
            "AMAZON_SECRET": "a secret",
            "AMAZON_TIMEOUT": "0.5",
        },
        "amqp": {"AMQP_URL": f"amqp://guest:guest@{nowhere}/", "AMQP_TIMEOUT": "0.5"},
        "pusher": {
            "PUSHER_HOST": nowhere.partition(":")[0],
            "PUSHER_PORT": nowhere.partition(":")[2],
            "PUSHER_SSL": "no",
            "PUSHER_APP_ID": "1001",
            "PUSHER_KEY": "a-key",
            "PUSHER_SECRET": "a-secret",
            "PUSHER_TIMEOUT": "0.5",
        },
    }
    with ExitStack() as undo:

        def visit(noun: str) -> tuple[FlaskClient, Fakes]:
            for name, value in variables[noun].items():
                monkeypatch.setenv(name, value)
            app = create_app("testing", TESTING=True)
            undo.callback(quorum.unload, app)
            return app.test_client(), undo.enter_context(fakes(app, except_=noun))

        yield visit


def test_is_closed_without_mongo(without: Visit) -> None:
    """Where MongoDB is down, the page says so politely, and when to come again."""
    client, _ = without("mongo")
    answer = client.get("/")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert "The guestbook cannot be opened right now." in answer.text
    assert "Traceback" not in answer.text


def test_counts_no_visit_of_a_closed_book(without: Visit) -> None:
    """A page without its entries is no visit."""
    client, twins = without("mongo")
    client.get("/")
    assert twins.redis.client.keys() == []


def test_keeps_what_was_typed_without_mongo(without: Visit) -> None:
    """Where an entry cannot be written, the visitor is told, and nothing typed is lost."""
    client, twins = without("mongo")
    answer = client.post("/", data=ANA | {"ticket": "abc"})
    assert answer.status_code == 503
    assert "We could not open the guestbook." in answer.text
    for kept in (
        'value="Ana"',
        'value="ana@example.org"',
        'value="abc"',
        "lovely idea.</textarea>",
    ):
        assert kept in answer.text
    twins.mailer.assert_nothing_sent()


def test_says_what_is_wrong_without_mongo(without: Visit) -> None:
    """What is wrong with a form is said also while the book is closed."""
    client, _ = without("mongo")
    answer = client.post("/", data=ANA | {"name": ""})
    assert answer.status_code == 503
    assert "Please tell us your name." in answer.text


def test_leaves_the_counter_out_without_redis(without: Visit) -> None:
    """Where Redis is down, the page has no counter, and all the rest."""
    client, twins = without("redis")
    page = client.post("/", data=ANA, follow_redirects=True)
    assert page.status_code == 200
    assert "What a lovely idea." in page.text
    assert "This page was opened" not in page.text
    twins.mailer.assert_sent(to="ana@example.org", times=1)


def test_takes_an_entry_without_its_picture(without: Visit, picture: bytes) -> None:
    """Where the storage is down, the entry stands without its picture, and the visitor is told."""
    client, twins = without("storage")
    data = ANA | {"picture": (io.BytesIO(picture), "ana.png")}
    page = client.post("/", data=data, follow_redirects=True)
    assert page.status_code == 200
    assert "only your picture could not be kept" in page.text
    assert "What a lovely idea." in page.text
    assert "<img" not in page.text
    twins.mailer.assert_sent(to="ana@example.org", times=1)


def test_shows_the_entries_without_the_storage(without: Visit) -> None:
    """Where the storage is down, entries with pictures are shown; the page asks nothing of it."""
    client, twins = without("storage")
    client.post("/", data=ANA)
    twins.mongo.collection("entries").update_one({}, {"$set": {"picture": "pictures/ana.png"}})
    page = client.get("/")
    assert page.status_code == 200
    assert 'alt="Picture from Ana"' in page.text


def test_shows_the_entries_of_a_closed_storage(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Where no address of a picture can be had, the page says that there is one."""
    client.post("/", data=ANA)
    quorum_fakes.mongo.collection("entries").update_one({}, {"$set": {"picture": "pictures/a.png"}})
    quorum_fakes.storage.close()
    assert "There is a picture, which cannot be shown right now." in client.get("/").text


@pytest.mark.parametrize("noun", ["amqp", "pusher"])
def test_keeps_an_entry_that_nobody_hears_of(without: Visit, noun: str) -> None:
    """Where nobody can be told of an entry, it is in the book all the same, and mail goes out."""
    client, twins = without(noun)
    page = client.post("/", data=ANA, follow_redirects=True)
    assert page.status_code == 200
    assert "Thank you for signing!" in page.text
    assert page.text.count("What a lovely idea.") == 1
    twins.mailer.assert_sent(to="ana@example.org", times=1)


def test_tells_open_pages_without_the_broker(without: Visit) -> None:
    """Where AMQP is down, open pages see a new entry; the summary of the day is left out."""
    client, twins = without("amqp")
    page = client.post("/", data=ANA, follow_redirects=True).text
    twins.pusher.assert_triggered(channel="guestbook", times=1)
    assert '<div class="today">' not in page


def test_counts_an_entry_without_pusher(without: Visit) -> None:
    """Where Pusher is down, the summary of the day counts a new entry."""
    client, twins = without("pusher")
    client.post("/", data=ANA)
    twins.amqp.drain()
    assert '<div class="today">' in client.get("/").text


def test_writes_what_is_wrong_to_the_log(without: Visit, caplog: pytest.LogCaptureFixture) -> None:
    """That nobody was told is in the log of the application, without a password."""
    client, _ = without("amqp")
    client.post("/", data=ANA)
    said = [each for each in caplog.records if each.name == "guestbook.events"]
    assert [each.levelname for each in said] == ["WARNING"]
    assert "guest:guest" not in caplog.text


@pytest.mark.parametrize("noun", ["mongo", "redis", "storage", "amqp", "pusher"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_answers_in_time(without: Visit, picture: bytes, noun: str, method: str) -> None:
    """With any one server down, nobody waits for longer than 6 seconds."""
    client, _ = without(noun)
    began = time.monotonic()
    data = ANA | {"picture": (io.BytesIO(picture), "ana.png")} if method == "POST" else None
    client.open("/", method=method, data=data)
    assert time.monotonic() - began < 6
