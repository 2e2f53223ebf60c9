"""The messages on AMQP, and the summary of the day that a consumer makes of them."""

import inspect
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from types import NoneType
from typing import Any, get_type_hints

import pytest
from flask import Flask
from flask.testing import FlaskClient
from guestbook.days import REMEMBERED, Days
from guestbook.events import SUMMARY, declare
from guestbook.summary import write

from quorum import Delivery
from quorum.testing import Fakes

ANA = {"name": "Ana", "message": "What a lovely idea."}


def now() -> datetime:
    """Return this moment: of a constant the day may be over when its test runs."""
    return datetime.now(UTC)


@pytest.fixture
def days(app: Flask, quorum_fakes: Fakes) -> Days:  # noqa: ARG001 - the twins come first
    """The summaries of the application."""
    days: Days = app.extensions["quorum"].days()
    return days


def today(page: str) -> str:
    """Return what a page says of the day, without its markup; nothing where it says nothing."""
    found = re.search('<div class="today">(.*?)</div>', page, re.DOTALL)
    return " ".join(re.sub("<[^>]+>", " ", found[1]).split()) if found else ""


def test_every_entry_is_published(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Whoever signs makes one message: who, when, and the id of the entry."""
    client.post("/", data=ANA)
    (entry,) = quorum_fakes.mongo.collection("entries").find()
    quorum_fakes.amqp.assert_published(exchange="guestbook", routing_key="entry.signed", times=1)
    (message,) = quorum_fakes.amqp.published
    said = message.json()
    assert message.message_id == said["id"] == str(entry["_id"])
    assert said["name"] == "Ana"
    assert abs(datetime.fromisoformat(said["at"]) - entry["at"]) < timedelta(milliseconds=1)


def test_what_is_refused_is_not_published(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """A form with something wrong in it, or that was sent before, makes no message."""
    client.post("/", data=ANA | {"name": ""})
    quorum_fakes.amqp.assert_nothing_published()
    for _ in range(2):
        client.post("/", data=ANA | {"ticket": "the same"})
    quorum_fakes.amqp.assert_published(times=1)


def test_the_day_is_on_the_page(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """The page says how many signed today, and who was the last."""
    assert today(client.get("/").text) == ""
    for name in ("Ana", "Ben"):
        client.post("/", data=ANA | {"name": name})
        quorum_fakes.amqp.drain()
    said = today(client.get("/").text)
    assert re.fullmatch(r"Today 2 entries until \d\d:\d\d UTC\. Last to sign: Ben, Ana\.", said)


def test_one_entry_is_one_entry(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """A day with one entry says so."""
    client.post("/", data=ANA)
    quorum_fakes.amqp.drain()
    assert today(client.get("/").text).startswith("Today 1 entry until")


def test_names_are_escaped(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Markup that a visitor types as a name is shown in the summary, not run."""
    client.post("/", data=ANA | {"name": "<script>steal()</script>"})
    quorum_fakes.amqp.drain()
    page = client.get("/").text
    assert "Last to sign: &lt;script&gt;steal()&lt;/script&gt;." in page
    assert "<script>" not in page


def deliver(fakes: Fakes, **message: Any) -> None:
    """Publish a message to the queue of the summary, and wait until it is dealt with."""
    body = {"id": "1", "name": "Ana", "at": now().isoformat()}
    fakes.amqp.publish(**{"body": body, "routing_key": SUMMARY, "message_id": "1"} | message)
    fakes.amqp.drain()


@pytest.fixture
def consumed(app: Flask, quorum_fakes: Fakes) -> Fakes:
    """The twins, with a consumer that takes what is published to it."""
    declare(quorum_fakes.amqp)
    app.extensions["quorum"].embedded_consumer().start()
    return quorum_fakes


def test_a_message_that_comes_twice_counts_once(consumed: Fakes, days: Days) -> None:
    """A broker delivers at least once: what it delivers again is not counted again."""
    for _ in range(2):
        deliver(consumed)
    deliver(consumed, message_id="2")
    found = days.today()
    assert found is not None
    assert (found.entries, found.names) == (2, ("Ana", "Ana"))


def test_a_message_given_back_counts_once(app: Flask, quorum_fakes: Fakes, days: Days) -> None:
    """A consumer that dies before it acknowledged leaves one entry counted, not two."""
    declare(quorum_fakes.amqp)
    body = {"id": "1", "name": "Ana", "at": now().isoformat()}
    quorum_fakes.amqp.publish(body, routing_key=SUMMARY, message_id="1")
    for expected in (False, True):
        delivery = quorum_fakes.amqp.get(SUMMARY)
        assert delivery is not None
        assert delivery.redelivered is expected
        with app.app_context():
            write(delivery)
        delivery.reject(requeue=True)
    found = days.today()
    assert found is not None
    assert found.entries == 1


@pytest.mark.parametrize(
    "message",
    [
        {"body": b"\xff"},
        {"body": "no JSON"},
        {"body": {"id": "1"}},
        {"body": {"id": "1", "name": "Ana", "at": "yesterday"}},
        {"body": ["a list"]},
    ],
)
def test_a_message_of_another_kind_is_put_aside(
    consumed: Fakes, days: Days, message: dict[str, Any]
) -> None:
    """What the consumer does not understand ends as a dead letter, and those behind it flow."""
    deliver(consumed, **message)
    assert len(consumed.amqp.messages(f"{SUMMARY}.dead")) == 1
    deliver(consumed, message_id="good")
    found = days.today()
    assert found is not None
    assert found.entries == 1


def test_nothing_is_lost_without_mongo(consumed: Fakes) -> None:
    """Where MongoDB does not answer, a message is tried again, and ends as a dead letter."""
    consumed.mongo.close()
    deliver(consumed)
    assert len(consumed.amqp.messages(f"{SUMMARY}.dead")) == 1


def test_a_day_ends_at_midnight(consumed: Fakes, days: Days) -> None:
    """What was signed yesterday, in UTC, is not in the summary of today, whenever it arrives."""
    before = now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(milliseconds=1)
    for name, at in (("yesterday", before), ("today", now())):
        deliver(consumed, message_id=name, body={"name": name, "at": at.isoformat()})
    found = days.today()
    assert found is not None
    assert (found.entries, found.names) == (1, ("today",))


def test_the_day_is_that_of_the_entry_in_utc(days: Days) -> None:
    """A moment of another time zone counts in the day that it is then in UTC."""
    for hours in (-12, 14):
        days.count(str(hours), "Ana", now().astimezone(timezone(timedelta(hours=hours))))
    found = days.today()
    assert found is not None
    assert found.entries == 2


def test_the_last_is_the_last_that_signed(days: Days) -> None:
    """Messages may come in any order: the summary names those that signed last, five at most."""
    for minute in (3, 1, 6, 2, 5, 4):
        days.count(str(minute), f"minute {minute}", now().replace(minute=minute))
    found = days.today()
    assert found is not None
    assert found.names == tuple(f"minute {each}" for each in (6, 5, 4, 3, 2))
    assert found.last.minute == 6


def test_many_consumers_count_right(days: Days) -> None:
    """Where many count at once, each message counts, and none twice."""
    messages = [str(each) for each in range(40)] * 3
    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(lambda each: days.count(each, each, now()), messages))
    found = days.today()
    assert found is not None
    assert found.entries == new.count(True) == 40


def test_a_day_remembers_a_bounded_number_of_messages(days: Days, quorum_fakes: Fakes) -> None:
    """However many sign in a day, its document does not grow beyond all bounds."""
    many = [str(each) for each in range(REMEMBERED)]
    days.count("first", "Ana", now())
    collection = quorum_fakes.mongo.collection("days")
    collection.update_one({}, {"$set": {"counted": many}})
    assert days.count("last", "Ana", now())
    assert not days.count("last", "Ana", now())
    (day,) = collection.find()
    assert len(day["counted"]) == REMEMBERED


def test_there_is_one_consumer(client: FlaskClient, quorum_fakes: Fakes) -> None:
    """Many that sign at the same time start one consumer in a process."""
    with ThreadPoolExecutor(8) as pool:
        forms = ({"name": str(each), "message": "Hello"} for each in range(40))
        list(pool.map(lambda form: client.application.test_client().post("/", data=form), forms))
    names = [each.name for each in threading.enumerate() if SUMMARY in each.name]
    assert len(names) == 1
    quorum_fakes.amqp.drain()
    assert today(client.get("/").text).startswith("Today 40 entries")


def test_the_consumer_ends_with_the_application(app: Flask, days: Days) -> None:
    """Once its services are closed, no thread of the consumer is left."""
    consumer = app.extensions["quorum"].embedded_consumer()
    consumer.start()
    for _ in range(2):
        consumer.close()
    assert days.today() is None
    assert not any(SUMMARY in each.name for each in threading.enumerate())


def test_the_handler_says_what_it_needs(app: Flask) -> None:
    """The handler is injected with a service by its type, and keeps its signature."""
    assert get_type_hints(write) == {"delivery": Delivery, "days": Days, "return": NoneType}
    container = app.extensions["quorum"]
    assert isinstance(container.days(), Days)
    assert list(inspect.signature(write).parameters) == ["delivery", "days"]
