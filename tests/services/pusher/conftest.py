"""Pushers for the tests: the embedded twin and the driver on a real server, with the same keys."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from quorum.services.pusher.memory import MemoryPusher
from quorum.settings import PusherSettings
from tests.proxy import Proxy
from tests.servers import PusherServer
from tests.services.pusher.keeping import KeepingServer
from tests.services.pusher.listening import SocketListener, TwinListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quorum.services.pusher.remote import RemotePusher

    Listener = SocketListener | TwinListener

KEYS = {"key": PusherServer.key, "secret": PusherServer.secret}
DRIVERS = ["memory", pytest.param("remote", marks=pytest.mark.live("pusher"))]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what a test opens, in the reverse order."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def twin(stack: ExitStack) -> MemoryPusher:
    """Build an embedded twin, with the keys of the server."""
    twin = MemoryPusher(PusherSettings(**KEYS))
    stack.callback(twin.close)
    return twin


@pytest.fixture
def connect(stack: ExitStack) -> Callable[..., RemotePusher]:
    """Build a driver on a port of this machine; `timeout` and the like are settings."""

    def build(port: int, **settings: Any) -> RemotePusher:
        from quorum.services.pusher.remote import RemotePusher  # noqa: PLC0415 - the twin has none

        usual = {"app_id": PusherServer.app_id, "host": "127.0.0.1", "port": port, "ssl": False}
        remote = RemotePusher(PusherSettings(**(KEYS | usual | settings)))
        stack.callback(remote.close)
        return remote

    return build


@pytest.fixture
def remote(connect: Callable[..., RemotePusher], pusher_server: PusherServer) -> RemotePusher:
    """Build the driver on the real server."""
    return connect(pusher_server.port)


@pytest.fixture
def kept(stack: ExitStack) -> Proxy:
    """Start a proxy before a server that keeps connections."""
    server = stack.enter_context(KeepingServer())
    return stack.enter_context(Proxy(server.server_port))


@pytest.fixture(params=DRIVERS)
def pusher(request: pytest.FixtureRequest) -> Any:
    """Give each pusher in turn."""
    return request.getfixturevalue("twin" if request.param == "memory" else "remote")


@pytest.fixture
def listen(
    pusher: Any, stack: ExitStack, request: pytest.FixtureRequest
) -> Callable[..., Listener]:
    """Let a visitor follow channels of the pusher."""

    def listening(*channels: str) -> Listener:
        if isinstance(pusher, MemoryPusher):
            listener: Listener = TwinListener(pusher, *channels)
        else:
            server = request.getfixturevalue("pusher_server")
            listener = SocketListener(pusher, server.port, server.key, *channels)
        stack.callback(listener.close)
        return listener

    return listening


@pytest.fixture
def channel() -> str:
    """Name a channel that no other test uses."""
    return f"test-{uuid.uuid4()}"
