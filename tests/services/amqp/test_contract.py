"""What every broker promises of messages and queues: one suite for the twin and for RabbitMQ."""

from __future__ import annotations

import enum
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Rejected, Unavailable
from tests.services.amqp.brokers import death_of, drain, given_back, name, own_headers, take

if TYPE_CHECKING:
    from collections.abc import Callable


class Color(enum.StrEnum):
    """An enumeration of text, as settings and forms give it."""

    RED = "red"


LOOP: list[Any] = []
LOOP.append(LOOP)
UNSAYABLE = [object(), {1, 2}, float("nan"), [float("inf")], {(1, 2): 3}, LOOP, "\ud800", 10**5000]
IDS = ["object", "set", "nan", "inf", "key", "loop", "half a character", "number"]


@pytest.mark.parametrize(
    "body",
    [b"", b"x", bytes(range(256)), b"\0" * 300_000, bytearray(b"ab"), memoryview(b"ab")],
    ids=["0", "1", "256", "300000", "array", "view"],
)
def test_bytes_come_back(broker: Any, queue: str, body: Any) -> None:
    """Bytes are given as they were published, whatever is in them."""
    broker.publish(body, routing_key=queue)
    delivery = take(broker, queue)
    delivery.ack()
    assert delivery.body == bytes(body)
    assert type(delivery.body) is bytes
    assert delivery.content_type == "application/octet-stream"


@pytest.mark.parametrize("body", ["", "x", "Größe 🎉\0\r\n"])
def test_text_comes_as_utf_8(broker: Any, queue: str, body: str) -> None:
    """Text is UTF-8 on the way."""
    broker.publish(body, routing_key=queue)
    delivery = take(broker, queue)
    delivery.ack()
    assert delivery.body.decode() == body
    assert delivery.content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "body", [None, True, 0, -1.5, [], {}, {"a": [1, None, "é"]}, 2**70], ids=repr
)
def test_what_json_can_say_is_json(broker: Any, queue: str, body: Any) -> None:
    """Anything else is JSON, and is read by `json()`."""
    broker.publish(body, routing_key=queue)
    delivery = take(broker, queue)
    delivery.ack()
    assert delivery.json() == body
    assert delivery.content_type == "application/json"


@pytest.mark.parametrize("body", UNSAYABLE, ids=IDS)
def test_a_body_that_is_nothing_is_refused(broker: Any, queue: str, body: Any) -> None:
    """A body that is neither bytes, text nor JSON raises Rejected, and nothing is sent."""
    with pytest.raises(Rejected, match="neither bytes, text nor JSON"):
        broker.publish(body, routing_key=queue)
    assert broker.get(queue) is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b"[" * 100_000])
def test_json_of_what_is_none_is_refused(broker: Any, queue: str, body: bytes) -> None:
    """`json()` raises Rejected where the body is no JSON, and the message can still be given up."""
    broker.publish(body, routing_key=queue)
    delivery = take(broker, queue)
    with pytest.raises(Rejected, match="is no JSON"):
        delivery.json()
    delivery.reject()
    take(broker, f"{queue}.dead").ack()


HEADERS: dict[str, Any] = {
    "text": "Größe 🎉 \0",
    "empty": "",
    "bytes": b"\x00\xff",
    "true": True,
    "false": False,
    "zero": 0,
    "negative": -5,
    "32 bits": 2**31,
    "largest": 2**63 - 1,
    "least": -(2**63),
    "none": None,
    "moment": datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
    "list": [1, "a", b"b", [None], {"k": [True]}],
    "mapping": {"a": {"b": [2**40]}},
    "no list": [],
    "no mapping": {},
    "ö" * 127: "a long name",
}


@pytest.mark.parametrize("header", HEADERS)
def test_headers_come_back(broker: Any, queue: str, header: str) -> None:
    """A header has the value and the type that it was published with."""
    sent = {header: HEADERS[header]}
    broker.publish(b"", routing_key=queue, headers=sent)
    delivery = take(broker, queue)
    delivery.ack()
    found = own_headers(delivery)
    assert found == sent
    assert repr(found) == repr(sent)


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ((1, 2), [1, 2]),
        (range(2), [0, 1]),
        (bytearray(b"a"), b"a"),
        (Color.RED, "red"),
        (
            datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC),
            datetime(1999, 12, 31, 23, 59, 59, 0, UTC),
        ),
        (
            datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            datetime(2026, 1, 1, tzinfo=UTC),
        ),
    ],
    ids=["tuple", "range", "bytearray", "enumeration", "microseconds", "time zone"],
)
def test_headers_come_back_as_amqp_says_them(
    broker: Any, queue: str, sent: Any, found: Any
) -> None:
    """What AMQP has another form for comes back in that form, from every driver alike."""
    broker.publish(b"", routing_key=queue, headers={"x": sent})
    delivery = take(broker, queue)
    delivery.ack()
    assert repr(own_headers(delivery)) == repr({"x": found})


@pytest.mark.parametrize(
    "headers",
    [
        {"a": ...},
        {"a": 1.5},
        {"a": 2**63},
        {"a": {"b": {1, 2}}},
        {"a": LOOP},
        {"a": "\ud800"},
        {"a": datetime(2026, 1, 1)},  # noqa: DTZ001 - that it has none is the point
        {"a": datetime(1969, 12, 31, tzinfo=UTC)},
        {"a": "x" * 65_536},
        {"a": ["é"] * 20_000},
        {"a" * 256: 1},
        {"": 1},
        {"a\n": 1},
        {1: 1},
        {"CC": ["elsewhere"]},
        {"BCC": ["elsewhere"]},
        ["a"],
        "a",
    ],
    ids=lambda headers: repr(headers)[:30],
)
def test_headers_that_cannot_travel_are_refused(broker: Any, queue: str, headers: Any) -> None:
    """A header that AMQP has no form for raises Rejected, and nothing is sent."""
    with pytest.raises(Rejected):
        broker.publish(b"", routing_key=queue, headers=headers)
    assert broker.get(queue) is None
    broker.publish(b"", routing_key=queue)


def test_many_headers_travel(broker: Any, queue: str) -> None:
    """Headers of nearly 64 kB fit."""
    sent = {f"header-{number}": "é" * 25 for number in range(900)}
    broker.publish(b"", routing_key=queue, headers=sent)
    delivery = take(broker, queue)
    delivery.ack()
    assert own_headers(delivery) == sent


def test_what_is_done_to_headers_is_not_done_to_the_message(broker: Any, queue: str) -> None:
    """Headers that are changed, by who publishes or who takes, are as published for the next."""
    sent: dict[str, Any] = {"list": [1]}
    broker.publish(b"", routing_key=queue, headers=sent)
    sent["list"].append(2)
    delivery = take(broker, queue)
    delivery.headers["list"].append(3)
    delivery.reject(requeue=True)
    delivery = take(broker, queue)
    delivery.ack()
    assert own_headers(delivery) == {"list": [1]}


def test_a_message_can_be_published_again_with_its_headers(broker: Any, queue: str) -> None:
    """The headers of a dead letter may be published as they are; it counts anew."""
    broker.publish(b"again", routing_key=queue)
    take(broker, queue).reject()
    dead = take(broker, f"{queue}.dead")
    dead.ack()
    broker.publish(dead.body, routing_key=queue, headers=dead.headers)
    take(broker, queue).reject()
    again = take(broker, f"{queue}.dead")
    again.ack()
    assert death_of(again)["count"] == 2


def test_a_message_may_die_in_several_queues(broker: Any, queue: str) -> None:
    """`x-death` lists each queue in which a message died, the last first."""
    other = name()
    broker.declare_queue(other)
    headers = None
    for each in (queue, other):
        broker.publish(b"", routing_key=each, headers=headers)
        take(broker, each).reject()
        dead = take(broker, f"{each}.dead")
        dead.ack()
        headers = dead.headers
    assert [death["queue"] for death in dead.headers["x-death"]] == [other, queue]
    assert dead.headers["x-first-death-queue"] == queue


@pytest.mark.parametrize("deaths", [[], [{}], [{"queue": 1}], [{"count": 5}]])
def test_a_header_of_the_broker_may_be_forged(broker: Any, queue: str, deaths: Any) -> None:
    """What somebody writes into the broker's headers costs no message."""
    forged = {"x-death": deaths, "x-delivery-count": 99, "x-first-death-queue": 5}
    broker.publish(b"x", routing_key=queue, headers=forged)
    delivery = take(broker, queue)
    assert given_back(delivery) == 0
    delivery.reject()
    dead = take(broker, f"{queue}.dead")
    dead.ack()
    assert death_of(dead)["queue"] == queue


@pytest.mark.parametrize(
    "deaths",
    ["mine", {"queue": "mine"}, ["mine"], [[]], [{"count": "many"}], [{}, {"count": True}]],
)
def test_a_header_that_would_break_the_broker_is_refused(
    broker: Any, queue: str, deaths: Any
) -> None:
    """A list of deaths that no broker wrote raises Rejected: some have broken all its queues."""
    with pytest.raises(Rejected, match="x-death"):
        broker.publish(b"x", routing_key=queue, headers={"x-death": deaths})
    assert broker.get(queue) is None


def test_a_content_type_is_taken(broker: Any, queue: str) -> None:
    """A content type that is given takes the place of the body's own."""
    broker.publish(b"<a/>", routing_key=queue, content_type="text/xml")
    delivery = take(broker, queue)
    delivery.ack()
    assert delivery.content_type == "text/xml"


def test_an_id_is_given_or_made(broker: Any, queue: str) -> None:
    """publish returns the id that the delivery has: the one given, or one of its own."""
    ids = [
        broker.publish(b"", routing_key=queue, message_id="order-1"),
        broker.publish(b"", routing_key=queue),
        broker.publish(b"", routing_key=queue),
    ]
    taken = [take(broker, queue) for _ in ids]
    for delivery in taken:
        delivery.ack()
    assert [delivery.message_id for delivery in taken] == ids
    assert ids[0] == "order-1"
    assert len(set(ids)) == 3


@pytest.mark.parametrize("what", ["message_id", "content_type"])
@pytest.mark.parametrize("value", ["", "a" * 256, "é" * 128, "a\n", "\0", b"a", 5])
def test_an_id_that_cannot_travel_is_refused(
    broker: Any, queue: str, what: str, value: Any
) -> None:
    """An id or a content type is text of 1 to 255 bytes."""
    with pytest.raises(Rejected):
        broker.publish(b"", routing_key=queue, **{what: value})
    assert broker.get(queue) is None


@pytest.mark.parametrize(
    "seconds",
    [0, -1, float("nan"), float("inf"), 2**32 / 1000, "1", True, pytest.param(10**5000, id="huge")],
)
def test_an_expiry_out_of_bounds_is_refused(broker: Any, queue: str, seconds: Any) -> None:
    """`expires_in` is above 0 and at most 49 days."""
    with pytest.raises(Rejected, match="expires_in"):
        broker.publish(b"", routing_key=queue, expires_in=seconds)
    assert broker.get(queue) is None


@pytest.mark.parametrize("priority", [-1, 256, 1.0, "1", True, pytest.param(10**5000, id="huge")])
def test_a_priority_out_of_bounds_is_refused(broker: Any, queue: str, priority: Any) -> None:
    """`priority` is a number from 0 to 255."""
    with pytest.raises(Rejected, match="priority"):
        broker.publish(b"", routing_key=queue, priority=priority)
    assert broker.get(queue) is None


def test_a_queue_that_knows_no_priorities_keeps_the_order(broker: Any, queue: str) -> None:
    """A priority may be given to any queue; one that knows none keeps the order."""
    for priority in (0, 255, 9):
        broker.publish(str(priority), routing_key=queue, priority=priority)
    assert drain(broker, queue) == [b"0", b"255", b"9"]


@pytest.mark.parametrize("value", ["a", "é" * 109, "a b", "#", "*", "a/b", " "])
@pytest.mark.parametrize("durable", [True, False])
def test_names_of_up_to_255_bytes_are_taken(broker: Any, value: str, durable: bool) -> None:
    """A name has 1 to 255 bytes, of any printable characters."""
    queue = value + name()
    assert len(queue.encode()) in {*range(38, 41), 255}
    broker.declare_queue(queue, durable=durable, dead_letter=False)
    broker.publish(b"x", routing_key=queue)
    assert drain(broker, queue) == [b"x"]


BAD_NAMES = ["", "a" * 256, "é" * 128, "a\n", "\0", "\x7f", "\ud800", None, 5, b"a"]


@pytest.mark.parametrize("bad", [*BAD_NAMES, "amq.mine", "a" * 251])
def test_a_bad_name_makes_no_queue(broker: Any, bad: Any) -> None:
    """A name that cannot travel, or is the broker's, raises Rejected.

    That of a queue with dead letters leaves room for `.dead`.
    """
    with pytest.raises(Rejected):
        broker.declare_queue(bad)


@pytest.mark.parametrize("bad", [*BAD_NAMES, "amq.mine"])
def test_a_bad_name_makes_no_exchange(broker: Any, bad: Any) -> None:
    """Nor does it make an exchange."""
    with pytest.raises(Rejected):
        broker.declare_exchange(bad)


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_bad_names_are_refused_wherever_they_are_given(broker: Any, queue: str, bad: Any) -> None:
    """Whatever takes a name refuses a bad one, and the broker can be used afterwards."""
    calls: list[Callable[[], object]] = [
        lambda: broker.bind(bad, "amq.topic"),
        lambda: broker.bind(queue, bad),
        lambda: broker.get(bad),
        lambda: broker.consume(bad, print),
    ]
    if bad != "":
        calls += [
            lambda: broker.publish(b"", routing_key=bad),
            lambda: broker.publish(b"", exchange=bad),
            lambda: broker.bind(queue, "amq.topic", bad),
        ]
    for call in calls:
        with pytest.raises(Rejected):
            call()
    broker.publish(b"x", routing_key=queue)
    assert drain(broker, queue) == [b"x"]


@pytest.mark.parametrize("limit", [0, -1, 65_536, 1.0, "5", None, True])
def test_a_delivery_limit_out_of_bounds_is_refused(broker: Any, limit: Any) -> None:
    """A delivery limit is a number from 1 to 65,535."""
    with pytest.raises(Rejected, match="delivery_limit"):
        broker.declare_queue(name(), delivery_limit=limit)


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), 86_401, "1", None])
def test_a_wait_out_of_bounds_is_refused(broker: Any, queue: str, timeout: Any) -> None:
    """A wait is from 0 to a day."""
    with pytest.raises(Rejected, match="timeout"):
        broker.get(queue, timeout=timeout)


def test_what_no_queue_takes_is_refused(broker: Any, queue: str) -> None:
    """A routing key that leads nowhere raises Rejected that names it; the next publish works."""
    nowhere = name()
    with pytest.raises(Rejected, match=nowhere[:40]):
        broker.publish(b"lost", routing_key=nowhere)
    broker.publish(b"x", routing_key=queue)
    assert drain(broker, queue) == [b"x"]


def test_a_refused_message_is_nowhere(broker: Any) -> None:
    """What was refused is not there once somebody declares the queue."""
    queue = name()
    with pytest.raises(Rejected):
        broker.publish(b"lost", routing_key=queue)
    broker.declare_queue(queue)
    assert broker.get(queue) is None


def test_an_unknown_exchange_is_refused(broker: Any, queue: str) -> None:
    """An exchange that is not there raises Rejected that names it; the next publish works."""
    nowhere = name()
    with pytest.raises(Rejected, match=nowhere[:40]):
        broker.publish(b"lost", exchange=nowhere, routing_key=queue)
    broker.publish(b"x", routing_key=queue)
    assert drain(broker, queue) == [b"x"]


def test_an_exchange_that_leads_nowhere_refuses(broker: Any) -> None:
    """An exchange without a binding that matches raises Rejected."""
    exchange = name()
    broker.declare_exchange(exchange)
    with pytest.raises(Rejected):
        broker.publish(b"lost", exchange=exchange, routing_key="a")


def test_an_unknown_queue_is_refused(broker: Any) -> None:
    """get, consume and bind raise Rejected for a queue that is not there, and name it."""
    nowhere = name()
    for call in (
        lambda: broker.get(nowhere),
        lambda: broker.get(nowhere, timeout=0.1),
        lambda: broker.consume(nowhere, print),
        lambda: broker.bind(nowhere, "amq.topic"),
    ):
        with pytest.raises(Rejected, match=nowhere[:40]):
            call()


def test_a_binding_to_an_unknown_exchange_is_refused(broker: Any, queue: str) -> None:
    """bind raises Rejected for an exchange that is not there, and names it."""
    nowhere = name()
    with pytest.raises(Rejected, match=nowhere[:40]):
        broker.bind(queue, nowhere, "a")
    broker.publish(b"x", routing_key=queue)
    assert drain(broker, queue) == [b"x"]


MATCHES = [
    ("a.b", "a.b"),
    ("*", "a"),
    ("*.b", "a.b"),
    ("a.*.c", "a.b.c"),
    ("#", "a"),
    ("#", "a.b.c"),
    ("#", ""),
    ("", ""),
    ("a.#", "a"),
    ("a.#", "a.b"),
    ("a.#", "a.b.c"),
    ("#.c", "c"),
    ("#.c", "a.b.c"),
    ("a.#.c", "a.c"),
    ("a.#.c", "a.b.b.c"),
    ("#.b.#", "a.b.c"),
    ("#.#", "a"),
    ("*.#", "a"),
    ("#.*", "a.b"),
    ("a.*", "a."),
    ("a.#.b.#.c", "a.b.b.c"),
    ("ä.*", "ä.ß"),
]
MISSES = [
    ("a", "b"),
    ("a", "A"),
    ("a", "a.b"),
    ("a.b", "a"),
    ("*", "a.b"),
    ("*", ""),
    ("*.*", "a"),
    ("a.*", "a"),
    ("a.*", "a.b.c"),
    ("a.#", "b.a"),
    ("#.c", "c.d"),
    ("*.#", ""),
    ("", "a"),
    ("a*", "ab"),
    ("a#", "ab"),
    ("a.#.b.#.c", "a.c.b"),
]


def test_a_topic_exchange_matches_words(broker: Any) -> None:
    """`*` stands for one word, `#` for any number of them."""
    for matching, cases in ((True, MATCHES), (False, MISSES)):
        for pattern, key in cases:
            exchange, queue = name(), name()
            broker.declare_exchange(exchange, "topic")
            broker.declare_queue(queue, durable=False, dead_letter=False)
            broker.bind(queue, exchange, pattern)
            assert _goes(broker, exchange, key) is matching, (pattern, key)


def _goes(broker: Any, exchange: str, key: str) -> bool:
    try:
        broker.publish(b"x", exchange=exchange, routing_key=key)
    except Rejected:
        return False
    return True


def test_a_direct_exchange_matches_the_key(broker: Any, queue: str) -> None:
    """In a direct exchange wild cards are characters as others."""
    exchange = name()
    broker.declare_exchange(exchange, "direct")
    broker.bind(queue, exchange, "a.b")
    broker.bind(queue, exchange, "c.*")
    for key in ("a.b", "c.*"):
        broker.publish(key, exchange=exchange, routing_key=key)
    for key in ("a", "a.b.c", "c.d", ""):
        with pytest.raises(Rejected):
            broker.publish(key, exchange=exchange, routing_key=key)
    assert drain(broker, queue) == [b"a.b", b"c.*"]


def test_a_fanout_exchange_takes_any_key(broker: Any) -> None:
    """A fanout exchange gives each queue a message of its own, whatever the key."""
    exchange, queues = name(), [name(), name()]
    broker.declare_exchange(exchange, "fanout")
    for queue in queues:
        broker.declare_queue(queue)
        broker.bind(queue, exchange, "ignored")
    broker.publish(b"all", exchange=exchange, routing_key="anything")
    assert [drain(broker, queue) for queue in queues] == [[b"all"], [b"all"]]


def test_a_queue_gets_a_message_once(broker: Any, queue: str) -> None:
    """Several bindings that match hand a queue one message; binding twice is a no-op."""
    exchange = name()
    broker.declare_exchange(exchange)
    for pattern in ("a.*", "a.*", "#", "a.b"):
        broker.bind(queue, exchange, pattern)
    broker.publish(b"once", exchange=exchange, routing_key="a.b")
    assert drain(broker, queue) == [b"once"]


def test_a_queue_is_bound_to_several_exchanges(broker: Any, queue: str) -> None:
    """A delivery tells by which exchange and routing key it came."""
    exchanges = [name(), name()]
    for exchange in exchanges:
        broker.declare_exchange(exchange)
        broker.bind(queue, exchange, "#")
        broker.publish(b"", exchange=exchange, routing_key="a.b")
    broker.publish(b"", routing_key=queue)
    taken = [take(broker, queue) for _ in range(3)]
    for delivery in taken:
        delivery.ack()
    found = [(delivery.exchange, delivery.routing_key) for delivery in taken]
    assert found == [(exchanges[0], "a.b"), (exchanges[1], "a.b"), ("", queue)]


def test_the_exchanges_of_the_broker_are_there(broker: Any, queue: str) -> None:
    """amq.direct, amq.topic and amq.fanout need not be declared."""
    key = name()
    broker.bind(queue, "amq.direct", key)
    broker.bind(queue, "amq.topic", f"{key}.*")
    broker.publish(b"1", exchange="amq.direct", routing_key=key)
    broker.publish(b"2", exchange="amq.topic", routing_key=f"{key}.a")
    assert drain(broker, queue) == [b"1", b"2"]


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"durable": False},
        {"dead_letter": False},
        {"delivery_limit": 1},
        {"durable": False, "dead_letter": False},
    ],
    ids=str,
)
def test_declaring_twice_is_a_no_op(broker: Any, properties: dict[str, Any]) -> None:
    """A queue that is there with the same properties keeps its messages."""
    queue = name()
    broker.declare_queue(queue, **properties)
    broker.publish(b"kept", routing_key=queue)
    broker.declare_queue(queue, **properties)
    assert drain(broker, queue) == [b"kept"]


@pytest.mark.parametrize(
    "properties", [{"durable": False}, {"dead_letter": False}, {"delivery_limit": 4}], ids=str
)
def test_declaring_with_other_properties_is_refused(
    broker: Any, queue: str, properties: dict[str, Any]
) -> None:
    """A queue that is there with other properties raises Rejected, and stays as it was."""
    broker.publish(b"kept", routing_key=queue)
    with pytest.raises(Rejected, match=queue[:40]):
        broker.declare_queue(queue, **properties)
    broker.declare_queue(queue)
    assert drain(broker, queue) == [b"kept"]


def test_declaring_an_exchange_twice_is_a_no_op(broker: Any, queue: str) -> None:
    """An exchange that is there keeps its bindings; with another type it raises Rejected."""
    exchange = name()
    broker.declare_exchange(exchange, "direct")
    broker.bind(queue, exchange, "a")
    broker.declare_exchange(exchange, "direct")
    with pytest.raises(Rejected, match=exchange[:40]):
        broker.declare_exchange(exchange)
    broker.publish(b"x", exchange=exchange, routing_key="a")
    assert drain(broker, queue) == [b"x"]


@pytest.mark.parametrize("kind", ["headers", "", None, "Topic"])
def test_an_exchange_of_no_known_type_is_refused(broker: Any, kind: Any) -> None:
    """An exchange is direct, topic or fanout."""
    with pytest.raises(Rejected, match="direct, topic, fanout"):
        broker.declare_exchange(name(), kind)


def test_messages_come_in_order(broker: Any, queue: str) -> None:
    """What was published first is taken first."""
    for number in range(20):
        broker.publish(str(number), routing_key=queue)
    assert drain(broker, queue) == [str(number).encode() for number in range(20)]


def test_an_empty_queue_gives_none(broker: Any, queue: str) -> None:
    """get returns None at once where there is nothing."""
    assert broker.get(queue) is None


def test_get_waits_in_vain(broker: Any, queue: str) -> None:
    """get returns None once its timeout is over, not before."""
    start = time.monotonic()
    assert broker.get(queue, timeout=0.3) is None
    assert 0.29 <= time.monotonic() - start < 6


def test_get_waits_for_what_comes(broker: Any, queue: str) -> None:
    """get returns as soon as a message comes."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(broker.get, queue, timeout=15)
        broker.publish(b"there", routing_key=queue)
        delivery = waiting.result(timeout=15)
    delivery.ack()
    assert delivery.body == b"there"


def test_each_message_is_taken_by_one(broker: Any, queue: str) -> None:
    """Threads that wait for one queue each get a message of their own."""
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(take, broker, queue) for _ in range(4)]
        for number in range(4):
            broker.publish(str(number), routing_key=queue)
        taken = [each.result(timeout=15) for each in waiting]
    for delivery in taken:
        delivery.ack()
    assert sorted(delivery.body for delivery in taken) == [b"0", b"1", b"2", b"3"]
    assert broker.get(queue) is None


def test_what_was_taken_is_not_given_to_another(broker: Any, queue: str) -> None:
    """A message that is not answered yet is nobody else's."""
    broker.publish(b"mine", routing_key=queue)
    delivery = take(broker, queue)
    assert broker.get(queue) is None
    delivery.ack()
    assert broker.get(queue, timeout=0.2) is None


def test_a_message_is_not_redelivered_at_first(broker: Any, queue: str) -> None:
    """`redelivered` is False at the first time, and True once it was given back."""
    broker.publish(b"x", routing_key=queue)
    first = take(broker, queue)
    first.reject(requeue=True)
    second = take(broker, queue)
    second.ack()
    assert (first.redelivered, second.redelivered) == (False, True)
    assert (given_back(first), given_back(second)) == (0, 1)
    assert second.message_id == first.message_id


def test_what_is_given_back_is_first_again(broker: Any, queue: str) -> None:
    """A message that is given back keeps its place before those behind it."""
    for body in ("a", "b", "c"):
        broker.publish(body, routing_key=queue)
    take(broker, queue).reject(requeue=True)
    assert drain(broker, queue, wait=1) == [b"a", b"b", b"c"]


def test_what_was_given_back_comes_in_the_order_in_which_it_was(broker: Any, queue: str) -> None:
    """Given back the third and then the first of three: they come so, before the fourth."""
    for body in ("a", "b", "c", "d"):
        broker.publish(body, routing_key=queue)
    taken = [take(broker, queue) for _ in range(3)]
    taken[2].reject(requeue=True)
    taken[0].reject(requeue=True)
    taken[1].ack()
    assert drain(broker, queue, wait=1) == [b"c", b"a", b"d"]


@pytest.mark.parametrize("first", ["ack", "reject"])
@pytest.mark.parametrize("second", ["ack", "reject"])
def test_a_message_is_answered_once(broker: Any, queue: str, first: str, second: str) -> None:
    """A second answer raises Rejected, and the broker can be used afterwards."""
    broker.publish(b"x", routing_key=queue)
    delivery = take(broker, queue)
    getattr(delivery, first)()
    with pytest.raises(Rejected, match="answered already"):
        getattr(delivery, second)()
    broker.publish(b"y", routing_key=queue)
    assert drain(broker, queue, wait=1) == [b"y"]


def test_one_of_many_threads_answers(broker: Any, queue: str) -> None:
    """Of threads that answer one message at once, one does; the others are Rejected."""
    broker.publish(b"x", routing_key=queue)
    delivery = take(broker, queue)
    barrier = threading.Barrier(4)

    def answer() -> bool:
        barrier.wait(15)
        try:
            delivery.ack()
        except Rejected:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(answer) for _ in range(4)]
        assert sum(each.result(timeout=15) for each in answers) == 1


def test_what_is_rejected_is_a_dead_letter(broker: Any, queue: str) -> None:
    """A message that is rejected goes to `<name>.dead`, as it was, with why in `x-death`."""
    sent = broker.publish({"a": 1}, routing_key=queue, headers={"h": "x"})
    take(broker, queue).reject()
    dead = take(broker, f"{queue}.dead")
    dead.ack()
    assert (dead.json(), dead.message_id, dead.headers["h"]) == ({"a": 1}, sent, "x")
    assert (dead.content_type, dead.redelivered) == ("application/json", False)
    assert (dead.exchange, dead.routing_key) == ("", f"{queue}.dead")
    assert broker.get(queue) is None


def test_a_dead_letter_tells_where_it_came_from(broker: Any, queue: str) -> None:
    """`x-death` has the queue, the reason, and what the message was published to."""
    exchange = name()
    broker.declare_exchange(exchange)
    broker.bind(queue, exchange, "#")
    broker.publish(b"", exchange=exchange, routing_key="a.b")
    take(broker, queue).reject()
    dead = take(broker, f"{queue}.dead")
    dead.ack()
    death = death_of(dead)
    assert abs(death.pop("time") - datetime.now(UTC)) < timedelta(seconds=15)
    assert death == {
        "count": 1,
        "reason": "rejected",
        "queue": queue,
        "exchange": exchange,
        "routing-keys": ["a.b"],
    }
    firsts = [dead.headers[f"x-first-death-{each}"] for each in ("exchange", "queue", "reason")]
    assert firsts == [exchange, queue, "rejected"]


def test_without_dead_letters_what_is_rejected_is_gone(broker: Any) -> None:
    """With `dead_letter=False` there is no queue of dead letters."""
    queue = name()
    broker.declare_queue(queue, dead_letter=False)
    broker.publish(b"x", routing_key=queue)
    take(broker, queue).reject()
    assert broker.get(queue, timeout=0.2) is None
    with pytest.raises(Rejected):
        broker.get(f"{queue}.dead")


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_message_is_delivered_once_more_than_its_limit(broker: Any, limit: int) -> None:
    """A message that is given back `delivery_limit` times is delivered again, and then is dead."""
    queue = name()
    broker.declare_queue(queue, delivery_limit=limit)
    broker.publish(b"poison", routing_key=queue)
    counts = []
    for _ in range(limit + 1):
        delivery = take(broker, queue)
        counts.append(given_back(delivery))
        delivery.reject(requeue=True)
    dead = take(broker, f"{queue}.dead")
    dead.ack()
    assert counts == list(range(limit + 1))
    assert death_of(dead)["reason"] == "delivery_limit"
    assert broker.get(queue) is None


@pytest.mark.parametrize("limit", [1, 5])
def test_a_queue_that_is_not_durable_gives_back_once(broker: Any, limit: int) -> None:
    """A message of a queue that is not durable is delivered twice, whatever the limit."""
    queue = name()
    broker.declare_queue(queue, durable=False, delivery_limit=limit)
    broker.publish(b"poison", routing_key=queue)
    flags = []
    for _ in range(2):
        delivery = take(broker, queue)
        flags.append(delivery.redelivered)
        delivery.reject(requeue=True)
    dead = take(broker, f"{queue}.dead")
    dead.ack()
    assert flags == [False, True]
    assert death_of(dead)["reason"] == "rejected"
    assert broker.get(queue) is None


@pytest.mark.parametrize("durable", [True, False])
def test_a_dead_letter_may_be_given_back_often(broker: Any, durable: bool) -> None:
    """Who looks through the dead letters loses none."""
    queue = name()
    broker.declare_queue(queue, durable=durable, delivery_limit=1)
    broker.publish(b"dead", routing_key=queue)
    take(broker, queue).reject()
    for _ in range(8):
        take(broker, f"{queue}.dead").reject(requeue=True)
    take(broker, f"{queue}.dead").ack()


@pytest.mark.parametrize("durable", [True, False])
def test_what_has_expired_is_a_dead_letter(broker: Any, durable: bool) -> None:
    """Past `expires_in` a message goes to the dead letters, also if nobody looks."""
    queue = name()
    broker.declare_queue(queue, durable=durable)
    start = time.monotonic()
    broker.publish(b"late", routing_key=queue, expires_in=0.3)
    dead = take(broker, f"{queue}.dead")
    assert time.monotonic() - start >= 0.29
    dead.ack()
    death = death_of(dead)
    assert (dead.body, death["reason"]) == (b"late", "expired")
    assert death["original-expiration"] == "300"
    assert broker.get(queue) is None


def test_what_has_expired_is_never_given(broker: Any, queue: str) -> None:
    """A message whose time is over is not delivered, also one that waited behind another."""
    broker.publish(b"first", routing_key=queue)
    broker.publish(b"late", routing_key=queue, expires_in=0.1)
    broker.publish(b"last", routing_key=queue, expires_in=60)
    assert broker.get(f"{queue}.dead", timeout=0.3) is None
    assert drain(broker, queue) == [b"first", b"last"]
    assert take(broker, f"{queue}.dead").body == b"late"


def test_what_expires_while_it_is_taken_may_be_answered(broker: Any, queue: str) -> None:
    """Time runs in the queue: what was taken in time is ours to acknowledge."""
    broker.publish(b"x", routing_key=queue, expires_in=0.2)
    delivery = take(broker, queue)
    assert broker.get(f"{queue}.dead", timeout=0.4) is None
    delivery.ack()
    assert broker.get(f"{queue}.dead", timeout=0.2) is None


def test_what_expired_while_it_was_taken_is_dead_once_given_back(broker: Any, queue: str) -> None:
    """What is given back too late goes to the dead letters."""
    broker.publish(b"x", routing_key=queue, expires_in=0.2)
    delivery = take(broker, queue)
    assert broker.get(f"{queue}.dead", timeout=0.4) is None
    delivery.reject(requeue=True)
    assert death_of(take(broker, f"{queue}.dead"))["reason"] == "expired"


def test_threads_lose_no_message(broker: Any, queue: str) -> None:
    """Of 8 threads that publish 100 messages each, all are there, once, each thread's in order."""

    def publish(thread: int) -> list[str]:
        return [broker.publish([thread, number], routing_key=queue) for number in range(100)]

    with ThreadPoolExecutor(8) as pool:
        ids = [each for some in pool.map(publish, range(8)) for each in some]
    found: dict[int, list[int]] = {thread: [] for thread in range(8)}
    taken = []
    while (delivery := broker.get(queue, timeout=0.5)) is not None:
        delivery.ack()
        taken.append(delivery.message_id)
        thread, number = delivery.json()
        found[thread].append(number)
    assert found == {thread: list(range(100)) for thread in range(8)}
    assert sorted(taken) == sorted(ids)


def test_calls_are_counted(broker: Any, queue: str) -> None:
    """Each call counts, with its seconds; one that raises is a failure."""
    before = (broker.counts.calls, broker.counts.failures)
    broker.publish(b"x", routing_key=queue)
    with pytest.raises(Rejected):
        broker.publish(object(), routing_key=queue)
    with pytest.raises(Rejected):
        broker.publish(b"x", routing_key=name())
    after = (broker.counts.calls, broker.counts.failures)
    assert (after[0] - before[0], after[1] - before[1]) == (3, 2)
    assert broker.counts.seconds > 0


def test_a_broker_that_answers_is_well(broker: Any) -> None:
    """ping returns where the broker is there, before anything else was called too."""
    broker.ping()


def test_a_closed_broker_does_nothing(broker: Any, queue: str) -> None:
    """After close every verb raises Unavailable that says so; a second close is a no-op."""
    broker.close()
    broker.close()
    for call in (
        lambda: broker.publish(b"x", routing_key=queue),
        lambda: broker.declare_queue(queue),
        lambda: broker.declare_exchange(queue),
        lambda: broker.bind(queue, "amq.topic"),
        lambda: broker.get(queue),
        lambda: broker.get(queue, timeout=5),
        lambda: broker.consume(queue, print),
        broker.ping,
    ):
        with pytest.raises(Unavailable, match="closed"):
            call()


def test_a_broker_may_be_closed_unused(build: Callable[[], Any]) -> None:
    """close is a no-op where nothing was done before."""
    broker = build()
    broker.close()
    with pytest.raises(Unavailable, match="closed"):
        broker.ping()


def test_close_ends_a_wait(build: Callable[[], Any], queue: str) -> None:
    """A get that waits as the broker is closed raises Unavailable."""
    broker = build()
    broker.declare_queue(queue)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(broker.get, queue, timeout=60)
        assert not waiting.done()
        time.sleep(0.2)  # there is nothing to see of a wait that has begun
        broker.close()
        with pytest.raises(Unavailable):
            waiting.result(timeout=15)


def test_an_answer_after_close_is_refused(broker: Any, queue: str) -> None:
    """A message that was not answered is not ours after close: to answer it raises Unavailable."""
    broker.publish(b"x", routing_key=queue)
    delivery = take(broker, queue)
    broker.close()
    with pytest.raises(Unavailable):
        delivery.ack()
    with pytest.raises(Unavailable):
        delivery.reject()
