"""A broker of a test's own, services on it, and bare looks into its queues."""

from __future__ import annotations

import time
import uuid
import warnings
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import pika

from quorum.errors import TimedOut, Unavailable
from quorum.services.amqp.server import ServerBroker
from quorum.settings import AmqpSettings
from tests.servers import LOCAL, AmqpServer
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pika.adapters.blocking_connection import BlockingChannel

USER, PASSWORD = "shop", "marker-secret"


class HasPort(Protocol):
    @property
    def port(self) -> int:
        """The port that is listened on."""
        ...


class OwnServer(AmqpServer):
    """RabbitMQ to be stopped and paused; its user's password is in no other text."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with self.configuration.open("a") as file:
            file.write(f"default_user = {USER}\ndefault_pass = {PASSWORD}\n")

    @property
    def url(self) -> str:
        return url_of(self)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it hang for the time of the block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextmanager
    def out_of_memory(self) -> Iterator[None]:
        """Have it block whoever publishes for the time of the block."""
        self.control("set_vm_memory_high_watermark", "0.00001")
        try:
            yield
        finally:
            self.control("set_vm_memory_high_watermark", "0.4")

    @contextmanager
    def forbidding(self) -> Iterator[None]:
        """Permit nobody to publish for the time of the block."""
        self.control("set_permissions", USER, ".*", "^$", ".*")
        try:
            yield
        finally:
            self.control("set_permissions", USER, ".*", ".*", ".*")


def url_of(server: HasPort, query: str = "", userinfo: str = f"{USER}:{PASSWORD}") -> str:
    """Return the URL of a broker, or of a proxy before it."""
    return f"amqp://{userinfo}@{LOCAL}:{server.port}/{query}"


@contextmanager
def connected(server: HasPort, *parts: str, **settings: Any) -> Iterator[ServerBroker]:
    """Give a service on a broker, or on a proxy before it, and close it.

    `parts` are those that `url_of` takes.
    """
    url = url_of(server, *parts)
    amqp = ServerBroker(AmqpSettings(url=url, **settings), scope=nullcontext)
    try:
        yield amqp
    finally:
        amqp.close()


@contextmanager
def bare(server: HasPort) -> Iterator[BlockingChannel]:
    """Give a channel of the library alone."""
    with warnings.catch_warnings():
        # Its next version has another class for it.
        warnings.simplefilter("ignore", DeprecationWarning)
        connection = pika.BlockingConnection(pika.URLParameters(url_of(server)))
    with connection:
        yield connection.channel()


def waiting(server: HasPort, queue: str) -> int:
    """Return how many messages of a queue nobody has taken."""
    with bare(server) as channel:
        return channel.queue_declare(queue, passive=True).method.message_count


def drained(server: HasPort, queue: str) -> list[str]:
    """Take all messages out of a queue, and return their ids."""
    found: list[str] = []
    with bare(server) as channel:
        # Prefetched but not all at once: 100,000 would be in memory.
        channel.basic_qos(prefetch_count=500)
        for method, properties, _ in channel.consume(queue, inactivity_timeout=0.5):
            if method is not None:
                found.append(properties.message_id)
                channel.basic_ack(method.delivery_tag)
            elif not channel.queue_declare(queue, passive=True).method.message_count:
                break
        channel.cancel()
    return found


def new_queue(amqp: ServerBroker, **options: Any) -> str:
    """Declare a queue that no other test has.

    To connect may take longer than a short AMQP_TIMEOUT on a busy machine, which is no fault.
    """
    name = f"orders-{uuid.uuid4().hex[:12]}"

    def declared() -> bool:
        try:
            amqp.declare_queue(name, **options)
        except (Unavailable, TimedOut):
            return False
        return True

    wait_until(declared)
    return name


def lasting_queue(amqp: ServerBroker, **options: Any) -> str:
    """Declare a queue that outlives a kill.

    RabbitMQ 3.10 writes the names of its quorum queues half a second late, and forgets one that
    is younger with all its messages.
    """
    name = new_queue(amqp, **options)
    time.sleep(1)
    return name
