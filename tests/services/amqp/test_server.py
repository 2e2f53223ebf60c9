"""What the driver over pika owes beyond the contract and the fault table."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pika
import pytest
import trustme

from quorum.errors import Rejected, Unavailable
from tests.proxy import Proxy
from tests.servers import AmqpServer, free_port
from tests.services.amqp.brokers import name
from tests.services.amqp.children import fork, forks, status_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from quorum.services.amqp.base import Delivery

    Connect = Callable[..., Any]

pytestmark = pytest.mark.live("amqp")


@pytest.fixture
def amqp(connect: Connect, amqp_server: AmqpServer) -> Any:
    """A service on the shared broker."""
    return connect(amqp_server)


@pytest.fixture
def queue(amqp: Any) -> str:
    """A queue of this test alone."""
    queue = name()
    amqp.declare_queue(queue)
    return queue


@contextmanager
def pika_channel(server: AmqpServer) -> Iterator[Any]:
    """Give a channel of the library alone."""
    with warnings.catch_warnings():
        # Its next version has another class for it.
        warnings.simplefilter("ignore", DeprecationWarning)
        connection = pika.BlockingConnection(pika.URLParameters(server.url))
    with connection:
        yield connection.channel()


def test_threads_share_one_connection_and_one_thread(
    connect: Connect, amqp_server: AmqpServer, queue: str
) -> None:
    """However many publish at once."""
    with Proxy(amqp_server.port) as proxy:
        amqp = connect(proxy)
        before = threading.active_count()
        threads = [
            threading.Thread(target=lambda: amqp.publish("an order", routing_key=queue))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert proxy.connections == 1
        assert threading.active_count() <= before + 2
        amqp.close()


def test_a_closed_service_leaves_no_thread(amqp: Any, queue: str) -> None:
    """Nor a connection; closing again is a no-op."""
    amqp.consume(queue, lambda _: None, threads=2)
    amqp.close()
    amqp.close()
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("quorum-amqp")])
    with pytest.raises(Unavailable, match="closed"):
        amqp.publish("an order", routing_key=queue)


def test_a_refusal_costs_the_publishes_of_no_other(amqp: Any, queue: str) -> None:
    """Unknown exchanges and queues, and declarations that differ, beside threads that publish."""
    failures: list[Exception] = []
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            try:
                amqp.publish("an order", routing_key=queue)
            except Exception as error:  # noqa: BLE001 - none is expected
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        for refused in (
            lambda: amqp.publish("an order", exchange=name(), routing_key="a"),
            lambda: amqp.get(name()),
            lambda: amqp.consume(name(), lambda _: None),
            lambda: amqp.declare_queue(queue, delivery_limit=9),
            lambda: amqp.bind(name(), "amq.topic", "a"),
        ):
            with pytest.raises(Rejected):
                refused()
    ended.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_exchange_that_is_deleted_costs_the_messages_to_it_alone(
    amqp: Any, amqp_server: AmqpServer, queue: str
) -> None:
    """The next message to it is refused, and after it is declared again it works."""
    exchange = name()
    amqp.declare_exchange(exchange)
    amqp.bind(queue, exchange, "a")
    amqp.publish("an order", exchange=exchange, routing_key="a")
    with pika_channel(amqp_server) as channel:
        channel.exchange_delete(exchange)
    with pytest.raises(Rejected, match="there is no exchange"):
        amqp.publish("an order", exchange=exchange, routing_key="a")
    amqp.publish("an order", routing_key=queue)
    amqp.declare_exchange(exchange)
    amqp.bind(queue, exchange, "a")
    amqp.publish("an order", exchange=exchange, routing_key="a")


def test_gets_from_many_queues_keep_few_channels(amqp: Any, queue: str) -> None:
    """A channel for each that was ever asked would run out."""
    amqp.publish("an order", routing_key=queue)
    kept = amqp.get(queue)
    names = [name() for _ in range(70)]
    for each in names:
        amqp.declare_queue(each, durable=False, dead_letter=False)
        assert amqp.get(each) is None
    session = amqp._link.get().connector.session
    assert len(session.taps) <= 64
    kept.ack()
    assert amqp.get(queue) is None


def test_a_handler_may_stop_its_own_consumer(amqp: Any, queue: str) -> None:
    """Its message is acknowledged, the others are the queue's again."""
    stopped = threading.Event()
    consumers: list[Any] = []
    ready = threading.Event()

    def handle(_: Delivery) -> None:
        ready.wait(5)
        assert consumers[0].stop()
        stopped.set()

    for _ in range(3):
        amqp.publish("an order", routing_key=queue)
    consumers.append(amqp.consume(queue, handle))
    ready.set()
    assert stopped.wait(5)
    found = []
    wait_until(lambda: (found.append(amqp.get(queue)), len([f for f in found if f]) == 2)[1])
    assert not consumers[0].running


def test_what_waits_for_a_handler_goes_back_at_the_stop(amqp: Any, queue: str) -> None:
    """At once, also while a handler runs on; its answer still counts."""
    began, go_on = threading.Event(), threading.Event()

    def handle(_: Delivery) -> None:
        began.set()
        go_on.wait(10)

    for _ in range(3):
        amqp.publish("an order", routing_key=queue)
    consumer = amqp.consume(queue, handle)
    assert began.wait(5)
    assert not consumer.stop(timeout=0.1)
    back = [amqp.get(queue, timeout=5) for _ in range(2)]
    assert all(each is not None and each.redelivered for each in back)
    go_on.set()
    assert consumer.stop()
    for each in back:
        each.ack()
    assert amqp.get(queue, timeout=0.5) is None


@forks
def test_a_child_lets_go_of_the_parents_connection(
    connect: Connect, amqp_server: AmqpServer, queue: str
) -> None:
    """Its consumer is not the child's, and neither are its deliveries."""
    amqp = connect(amqp_server)
    consumer = amqp.consume(queue, lambda _: None)
    amqp.declare_queue(other := name())
    amqp.publish("an order", routing_key=other)
    delivery = amqp.get(other, timeout=5)

    def work() -> None:
        assert not consumer.running
        assert consumer.stop()
        with pytest.raises(Unavailable):
            delivery.ack()
        number, inode = amqp._link._inherited[0].connector._services._sockets[0]
        assert os.fstat(number).st_ino != inode
        amqp.publish("an order", routing_key=other)
        amqp.close()

    assert status_of(fork(work)) == 0
    assert consumer.running
    delivery.ack()
    assert amqp.get(other, timeout=5) is not None


def test_what_pika_logs_of_a_lost_connection_is_left_out(
    connect: Connect, amqp_server: AmqpServer, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once that it is lost, and once that it is restored."""
    with caplog.at_level(logging.INFO), Proxy(amqp_server.port) as proxy:
        amqp = connect(proxy)
        amqp.publish("an order", routing_key=queue)
        proxy.reset()
        wait_until(lambda: "is lost" in caplog.text)
        amqp.publish("an order", routing_key=queue)
        amqp.close()
    assert [record.name for record in caplog.records if record.name.startswith("pika")] == []
    assert caplog.text.count("is lost") == caplog.text.count("is restored") == 1


def test_a_message_that_the_broker_finds_too_large_is_refused_alone(
    stack: ExitStack, tmp_path: Path, connect: Connect
) -> None:
    """Those that were sent beside it are not told that they were."""
    server = AmqpServer(tmp_path)
    with server.configuration.open("a") as file:
        file.write("max_message_size = 10000\n")
    amqp = connect(stack.enter_context(server))
    amqp.declare_queue(queue := name())
    with pytest.raises(Rejected, match="message size"):
        amqp.publish(b"x" * 20_000, routing_key=queue)
    amqp.publish("an order", routing_key=queue)


def test_tls_is_verified(stack: ExitStack, tmp_path: Path, connect: Connect) -> None:
    """A certificate of an authority that `cafile` names is taken, another is not."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    server, port = AmqpServer(tmp_path), free_port()
    with server.configuration.open("a") as file:
        file.write(
            f"listeners.ssl.default = 127.0.0.1:{port}\n"
            f"ssl_options.certfile = {tmp_path}/server.pem\n"
            f"ssl_options.keyfile = {tmp_path}/server.pem\n"
        )
    stack.enter_context(server)
    url = f"amqps://guest:guest@127.0.0.1:{port}/"
    trusted = connect(server, url=f"{url}?cafile={tmp_path}/ca.pem")
    trusted.declare_queue(queue := name())
    trusted.publish("x" * 300_000, routing_key=queue)
    assert len(trusted.get(queue).body) == 300_000
    with pytest.raises(Unavailable, match=f"the certificate of 127.0.0.1:{port}"):
        connect(server, url=url, timeout=1).publish("an order", routing_key=queue)
