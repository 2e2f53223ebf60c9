"""Brokers for the tests: the embedded twin and RabbitMQ."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from quorum.services.amqp.memory import MemoryBroker
from quorum.settings import AmqpSettings
from tests.services.amqp.brokers import name
from tests.services.amqp.own_server import OwnServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Build = Callable[..., Any]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """Start a broker for the tests of faults alone, to be stopped and paused."""
    with OwnServer(tmp_path_factory.mktemp("own")) as server:
        yield server


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what a test opens, in the reverse order."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def twin(stack: ExitStack) -> Callable[..., MemoryBroker]:
    """Build an embedded twin."""

    def build(scope: Any = nullcontext, **settings: Any) -> MemoryBroker:
        broker = MemoryBroker(AmqpSettings(**settings), scope=scope)
        stack.callback(broker.close)
        return broker

    return build


@pytest.fixture
def connect(stack: ExitStack) -> Build:
    """Build a broker on anything that has a port: a server, or a proxy before one."""
    from quorum.services.amqp.server import ServerBroker  # noqa: PLC0415 - tests of the twin need no pika

    def build(
        server: Any,
        path: str = "",
        userinfo: str = "guest:guest",
        scope: Any = nullcontext,
        **settings: Any,
    ) -> Any:
        url = f"amqp://{userinfo}@127.0.0.1:{server.port}/{path}"
        broker = ServerBroker(AmqpSettings(**{"url": url} | settings), scope=scope)
        stack.callback(broker.close)
        return broker

    return build


@pytest.fixture(params=["memory", pytest.param("server", marks=pytest.mark.live("amqp"))])
def build(request: pytest.FixtureRequest) -> Build:
    """Build a broker of each driver in turn; all that one test builds share no connection."""
    if request.param == "memory":
        build: Build = request.getfixturevalue("twin")
        return build
    server = request.getfixturevalue("amqp_server")
    connect = request.getfixturevalue("connect")
    return lambda **settings: connect(server, **settings)


@pytest.fixture
def broker(build: Build) -> Any:
    """Give a broker of each driver in turn."""
    return build()


@pytest.fixture
def queue(broker: Any) -> str:
    """Declare a queue of this test alone."""
    queue = name()
    broker.declare_queue(queue)
    return queue
