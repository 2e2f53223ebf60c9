"""The documented names of flask-quorum for AMQP, on the embedded twin and on RabbitMQ."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pika
import pytest
from flask import Flask

import quorum
from quorum.errors import NotLoaded, Rejected, Unavailable, Unsupported
from quorum.settings import AmqpSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quorum.amqp.channel import Channel


@pytest.fixture(params=["memory", pytest.param("server", marks=pytest.mark.live("amqp"))])
def app(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Load an application with each broker in turn."""
    group = AmqpSettings()
    if request.param == "server":
        group = AmqpSettings(url=request.getfixturevalue("amqp_server").url)
    app: Any = Flask("shop")
    quorum.load(app, settings=Settings(amqp=group))
    yield app
    quorum.unload(app)


@pytest.fixture
def channel(app: Any) -> Iterator[Channel]:
    """A channel as flask-quorum's users open one."""
    connection = quorum.get_amqp()
    yield connection.channel()
    connection.disconnect()


@pytest.fixture
def queue(channel: Channel) -> str:
    """A durable queue of the test's own."""
    name = f"test-{uuid.uuid4()}"
    return channel.queue_declare(queue=name, durable=True).method.queue


def publish(channel: Channel, queue: str, *bodies: bytes) -> None:
    for body in bodies:
        channel.basic_publish(exchange="", routing_key=queue, body=body)


def test_a_message_is_published_and_got(channel: Channel, queue: str) -> None:
    """As with pika: method, properties and body."""
    properties = quorum.properties_amqp(delivery_mode=2)
    channel.basic_publish(exchange="", routing_key=queue, body=b"figures", properties=properties)
    method, _, body = channel.basic_get(queue)
    assert body == b"figures"
    assert (method.routing_key, method.exchange, method.redelivered) == (queue, "", False)
    channel.basic_ack(method.delivery_tag)


def test_an_empty_queue_gives_nothing(channel: Channel, queue: str) -> None:
    """Three times None."""
    assert channel.basic_get(queue) == (None, None, None)


def test_properties_are_those_of_pika() -> None:
    """What `properties_amqp` makes is a `pika.BasicProperties`."""
    made = quorum.properties_amqp(delivery_mode=2, content_type="text/csv")
    assert made == pika.BasicProperties(delivery_mode=2, content_type="text/csv")


def test_properties_travel(channel: Channel, queue: str) -> None:
    """Content type, headers and message id come out as they went in."""
    sent = quorum.properties_amqp(
        content_type="text/csv", headers={"by": "ana"}, message_id="m-1", priority=3
    )
    channel.basic_publish("", queue, "a;b", sent)
    method, got, body = channel.basic_get(queue)
    assert (got.content_type, got.message_id, body) == ("text/csv", "m-1", b"a;b")
    assert got.headers["by"] == "ana"
    channel.basic_ack(method.delivery_tag)


def test_a_message_expires(channel: Channel, queue: str) -> None:
    """`expiration` is text in milliseconds, as in pika."""
    channel.basic_publish("", queue, b"old", quorum.properties_amqp(expiration="1"))
    dead = f"{queue}.dead"
    method, _, body = wait_for(channel, dead)
    assert body == b"old"
    channel.basic_ack(method.delivery_tag)
    assert channel.basic_get(queue) == (None, None, None)


def wait_for(channel: Channel, queue: str) -> Any:
    """Return the next message of a queue, by whatever means it comes."""
    found: list[Any] = []

    def take(_: Channel, *got: Any) -> None:
        found.append(got)
        channel.stop_consuming()

    timer = threading.Timer(15, channel.stop_consuming)
    timer.start()
    channel.basic_consume(queue, take)
    channel.start_consuming()
    timer.cancel()
    timer.join()
    assert found, f"nothing came to {queue}"
    return found[0]


@pytest.mark.parametrize(
    "name",
    [
        "content_encoding",
        "correlation_id",
        "reply_to",
        "timestamp",
        "type",
        "user_id",
        "app_id",
        "cluster_id",
    ],
)
def test_a_property_that_is_not_carried_is_refused(channel: Channel, queue: str, name: str) -> None:
    """By its name; nothing is sent."""
    with pytest.raises(Unsupported, match=name):
        channel.basic_publish("", queue, b"x", quorum.properties_amqp(**{name: "1"}))
    assert channel.basic_get(queue) == (None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"expiration": "soon"},
        {"expiration": 5},
        {"expiration": "-5"},
        {"delivery_mode": 3},
        {"priority": 256},
        {"headers": {"": 1}},
    ],
)
def test_a_property_that_cannot_be_is_refused(
    channel: Channel, queue: str, wrong: dict[str, Any]
) -> None:
    """Nothing is sent."""
    with pytest.raises(Rejected):
        channel.basic_publish("", queue, b"x", quorum.properties_amqp(**wrong))
    assert channel.basic_get(queue) == (None, None, None)


@pytest.mark.parametrize("mandatory", [False, True])
def test_a_message_that_no_queue_takes_is_refused(channel: Channel, mandatory: bool) -> None:
    """Pika drops it in silence unless it is mandatory; here a publish that returns was stored."""
    channel.confirm_delivery()
    with pytest.raises(Rejected):
        channel.basic_publish("", "nobody", b"x", mandatory=mandatory)


@pytest.mark.parametrize("kind", ["topic", pika.exchange_type.ExchangeType.topic])
def test_an_exchange_hands_out_by_routing_key(channel: Channel, queue: str, kind: Any) -> None:
    """With pika's word for the type, or its enumeration."""
    exchange = f"test-{uuid.uuid4()}"
    channel.exchange_declare(exchange=exchange, exchange_type=kind, durable=True)
    channel.queue_bind(queue=queue, exchange=exchange, routing_key="orders.*")
    channel.basic_publish(exchange, "orders.new", b"x")
    method, _, _ = wait_for(channel, queue)
    assert (method.exchange, method.routing_key) == (exchange, "orders.new")
    channel.basic_ack(method.delivery_tag)


def test_a_queue_is_bound_by_its_name_unless_told_otherwise(channel: Channel, queue: str) -> None:
    """And an exchange is a direct one, as in pika."""
    exchange = f"test-{uuid.uuid4()}"
    channel.exchange_declare(exchange)
    channel.queue_bind(queue, exchange)
    channel.basic_publish(exchange, queue, b"x")
    method, _, _ = wait_for(channel, queue)
    channel.basic_ack(method.delivery_tag)


def test_a_queue_is_not_durable_unless_told_otherwise(channel: Channel) -> None:
    """As in pika: to declare it durable as well is refused."""
    name = f"test-{uuid.uuid4()}"
    channel.queue_declare(name)
    channel.queue_declare(name)
    with pytest.raises(Rejected):
        channel.queue_declare(name, durable=True)
    publish(channel, name, b"x")
    method, _, _ = wait_for(channel, name)
    channel.basic_ack(method.delivery_tag)


def test_what_is_given_back_comes_again(channel: Channel, queue: str) -> None:
    """`basic_nack` and `basic_reject` give back unless they are told otherwise, as in pika."""
    publish(channel, queue, b"x")
    for give_back in (channel.basic_nack, channel.basic_reject):
        method, _, _ = wait_for(channel, queue)
        give_back(method.delivery_tag)
    method, _, body = wait_for(channel, queue)
    assert (body, method.redelivered) == (b"x", True)
    channel.basic_ack(method.delivery_tag)


@pytest.mark.parametrize("how", ["basic_nack", "basic_reject"])
def test_what_is_given_up_goes_to_the_dead_letters(channel: Channel, queue: str, how: str) -> None:
    """With `requeue=False`; pika's queue would drop it."""
    publish(channel, queue, b"x")
    method, _, _ = channel.basic_get(queue)
    getattr(channel, how)(method.delivery_tag, requeue=False)
    method, _, body = wait_for(channel, f"{queue}.dead")
    assert body == b"x"
    channel.basic_ack(method.delivery_tag)


def test_many_are_acknowledged_at_once(channel: Channel, queue: str) -> None:
    """With `multiple` all up to a tag, or all for 0."""
    publish(channel, queue, b"1", b"2", b"3", b"4")
    tags = [channel.basic_get(queue)[0].delivery_tag for _ in range(4)]
    channel.basic_ack(tags[1], multiple=True)
    with pytest.raises(Rejected, match=f"delivery tag {tags[0]}"):
        channel.basic_ack(tags[0])
    channel.basic_ack(0, multiple=True)
    channel.basic_ack(0, multiple=True)
    for multiple in (False, True):
        with pytest.raises(Rejected, match=f"delivery tag {tags[3]}"):
            channel.basic_ack(tags[3], multiple=multiple)
    channel.close()
    with quorum.get_amqp() as other:
        assert other.channel().basic_get(queue) == (None, None, None)


def test_a_message_is_answered_once(channel: Channel, queue: str) -> None:
    """A second answer, or one to no message, is refused by the tag."""
    publish(channel, queue, b"x")
    method, _, _ = channel.basic_get(queue)
    channel.basic_ack(method.delivery_tag)
    for answer in (channel.basic_ack, channel.basic_nack, channel.basic_reject):
        with pytest.raises(Rejected, match="delivery tag"):
            answer(method.delivery_tag)
    with pytest.raises(Rejected, match="delivery tag 99"):
        channel.basic_ack(99)


def test_a_message_may_be_acknowledged_as_it_is_given(channel: Channel, queue: str) -> None:
    """With `auto_ack`."""
    publish(channel, queue, b"x")
    method, _, body = channel.basic_get(queue, auto_ack=True)
    assert body == b"x"
    with pytest.raises(Rejected, match="delivery tag"):
        channel.basic_ack(method.delivery_tag)


def test_closing_gives_back_what_was_not_answered(channel: Channel, queue: str) -> None:
    """Closing the connection closes its channels."""
    publish(channel, queue, b"x")
    with quorum.get_amqp() as connection:
        assert connection.channel().basic_get(queue)[2] == b"x"
    method, _, body = wait_for(channel, queue)
    assert (body, method.redelivered) == (b"x", True)
    channel.basic_ack(method.delivery_tag)


def test_a_consumer_is_called_until_it_stops(channel: Channel, queue: str) -> None:
    """On the thread of `start_consuming`, in order."""
    got: list[tuple[bytes, str | None, int]] = []

    def take(given: Channel, method: Any, properties: Any, body: bytes) -> None:
        assert given is channel
        assert isinstance(properties, pika.BasicProperties)
        got.append((body, method.consumer_tag, threading.get_ident()))
        given.basic_ack(method.delivery_tag)
        if len(got) == 3:
            given.stop_consuming()

    tag = channel.basic_consume(queue, take)
    assert channel.consumer_tags == [tag]
    publish(channel, queue, b"1", b"2", b"3")
    channel.start_consuming()
    assert got == [(body, tag, threading.get_ident()) for body in (b"1", b"2", b"3")]
    assert channel.consumer_tags == []


def test_several_consumers_take_turns(channel: Channel, queue: str) -> None:
    """A full queue does not hold up another, nor does an empty one."""
    other = f"test-{uuid.uuid4()}"
    channel.queue_declare(other, durable=True)
    publish(channel, queue, *[b"many"] * 20)
    publish(channel, other, b"one")
    got: list[bytes] = []

    def take(_: Channel, method: Any, properties: Any, body: bytes) -> None:
        got.append(body)
        if len(got) == 21:
            channel.stop_consuming()

    channel.basic_consume(queue, take, auto_ack=True)
    channel.basic_consume(on_message_callback=take, queue=other, auto_ack=True)
    channel.start_consuming()
    assert got.count(b"many") == 20
    assert got.index(b"one") < 3


def test_what_a_consumer_raises_comes_out(channel: Channel, queue: str) -> None:
    """As from pika's `start_consuming`, which may be called again."""
    publish(channel, queue, b"x")

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    channel.basic_consume(queue, fail, consumer_tag="mine")
    with pytest.raises(ZeroDivisionError):
        channel.start_consuming()
    channel.basic_cancel("mine")
    channel.start_consuming()


def test_prefetch_holds_a_consumer_back(channel: Channel, queue: str) -> None:
    """It is not given a third message while two are unanswered; one more once one is."""
    publish(channel, queue, b"1", b"2", b"3")
    got: list[int] = []

    def take(_: Channel, method: Any, properties: Any, body: bytes) -> None:
        got.append(method.delivery_tag)
        if len(got) == 3:
            channel.stop_consuming()

    def answer() -> None:
        assert len(got) == 2
        channel.basic_ack(got[0])

    channel.basic_qos(prefetch_count=2)
    channel.basic_consume(queue, take)
    timer = threading.Timer(1, answer)
    timer.start()
    channel.start_consuming()
    timer.join()
    assert len(got) == 3
    channel.basic_ack(0, multiple=True)


def test_another_thread_may_stop_a_consumer(channel: Channel, queue: str) -> None:
    """`start_consuming` then returns, though no message came."""
    channel.basic_consume(queue, lambda *_: None)
    timer = threading.Timer(0.1, channel.stop_consuming)
    timer.start()
    channel.start_consuming()
    timer.join()


def test_a_tag_is_given_once(channel: Channel, queue: str) -> None:
    """A second consumer of the same tag is refused."""
    channel.basic_consume(queue, lambda *_: None, consumer_tag="mine")
    with pytest.raises(Rejected, match="'mine'"):
        channel.basic_consume(queue, lambda *_: None, consumer_tag="mine")


def test_a_queue_that_is_not_there_is_told(channel: Channel) -> None:
    """When it is asked for a message, not before."""
    with pytest.raises(Rejected):
        channel.basic_get("nobody")
    channel.basic_consume("nobody", lambda *_: None)
    with pytest.raises(Rejected):
        channel.start_consuming()


@pytest.mark.parametrize(
    ("method", "arguments", "name"),
    [
        ("queue_declare", {"queue": "q", "passive": True}, "passive"),
        ("queue_declare", {"queue": "q", "exclusive": True}, "exclusive"),
        ("queue_declare", {"queue": "q", "auto_delete": True}, "auto_delete"),
        ("queue_declare", {"queue": "q", "arguments": {"x-max-length": 1}}, "arguments"),
        ("exchange_declare", {"exchange": "e", "internal": True}, "internal"),
        ("exchange_declare", {"exchange": "e", "passive": True}, "passive"),
        ("queue_bind", {"queue": "q", "exchange": "e", "arguments": {"a": 1}}, "arguments"),
        ("basic_qos", {"global_qos": True}, "global_qos"),
        ("basic_consume", {"queue": "q", "on_message_callback": id, "exclusive": True}, "excl"),
    ],
)
def test_an_argument_that_is_not_had_is_refused(
    channel: Channel, method: str, arguments: dict[str, Any], name: str
) -> None:
    """By its name, and before anything is sent."""
    with pytest.raises(Unsupported, match=name):
        getattr(channel, method)(**arguments)


def test_what_else_pika_has_is_refused_by_name() -> None:
    """What is not pika's either is no attribute."""
    quorum.load(name="shop")
    connection = quorum.get_amqp()
    channel = connection.channel()
    for ours, pikas in (
        (connection, pika.BlockingConnection),
        (channel, pika.adapters.blocking_connection.BlockingChannel),
    ):
        for name in {each for each in vars(pikas) if not each.startswith("_")} - {*dir(ours)}:
            with pytest.raises(Unsupported, match=name):
                getattr(ours, name)
    for each in (connection, channel):
        assert not hasattr(each, "basic_publsh")


def test_a_closed_connection_says_so(app: Any) -> None:
    """`close` and flask-quorum's `disconnect` are one; a second call does nothing."""
    connection = quorum.get_amqp()
    channel = connection.channel()
    assert (connection.is_open, connection.is_closed) == (True, False)
    connection.disconnect()
    connection.close()
    assert (connection.is_open, channel.is_open) == (False, False)
    assert (connection.is_closed, channel.is_closed) == (True, True)
    with pytest.raises(Unavailable, match=r"call get_amqp\(\)"):
        connection.channel()
    for call in (
        channel.start_consuming,
        lambda: channel.basic_get("q"),
        lambda: channel.basic_publish("", "q", b"x"),
        lambda: channel.basic_consume("q", id),
    ):
        with pytest.raises(Unavailable, match="channel is closed"):
            call()


def test_closing_a_connection_leaves_the_broker(channel: Channel, queue: str) -> None:
    """The others that share it go on; the one handed out next is open."""
    first = quorum.get_amqp(force=True, timeout=1)
    first.close()
    assert quorum.get_amqp().is_open
    publish(channel, queue, b"x")
    channel.basic_ack(channel.basic_get(queue)[0].delivery_tag)


def test_many_threads_share_a_channel(channel: Channel, queue: str) -> None:
    """Where two broke a connection of pika for ever."""
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(publish, channel, queue, *[b"x"] * 20) for _ in range(8)]:
            done.result()
    got = [channel.basic_get(queue)[2] for _ in range(160)]
    assert got == [b"x"] * 160
    channel.basic_ack(0, multiple=True)


def test_closed_channels_are_let_go_of() -> None:
    """A connection that opens one for each message does not grow."""
    quorum.load(name="shop")
    connection = quorum.get_amqp()
    for _ in range(100):
        with connection.channel():
            pass
    assert len(connection._channels) == 1


def test_it_needs_an_application() -> None:
    """Without one, NotLoaded says how to repair it."""
    with pytest.raises(NotLoaded, match=r"quorum\.load\(\)"):
        quorum.get_amqp()
