"""Services and servers for the tests of MongoDB."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from quorum.services.mongo.memory import MemoryMongo
from quorum.services.mongo.server import ServerMongo
from quorum.settings import MongoSettings
from tests.proxy import Proxy
from tests.services.mongo.servers import RetryingMongoServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import MongoServer


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what a test opens, in the reverse order."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def connect(stack: ExitStack) -> Callable[..., ServerMongo]:
    """Build a service on a URL; `timeout` and the like are settings."""

    def build(url: str, database: str = "shop", **settings: Any) -> ServerMongo:
        mongo = ServerMongo(MongoSettings(url=url, **settings), database=database)
        stack.callback(mongo.close)
        return mongo

    return build


@pytest.fixture
def keep(stack: ExitStack) -> Callable[..., MemoryMongo]:
    """Build a twin, in memory or on a folder."""

    def build(data_path: Path | None = None) -> MemoryMongo:
        mongo = MemoryMongo(MongoSettings(), database="shop", data_path=data_path)
        stack.callback(mongo.close)
        return mongo

    return build


@pytest.fixture
def twin(keep: Callable[..., MemoryMongo]) -> MemoryMongo:
    """Build a twin that keeps nothing."""
    return keep()


@pytest.fixture
def own_server(stack: ExitStack, tmp_path: Path) -> MongoServer:
    """Start a server that a test may stop, kill and pause."""
    return stack.enter_context(RetryingMongoServer(tmp_path))


@pytest.fixture(scope="session")
def retrying_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """A server that recognises repeated writes, shared: do not stop or pause it."""
    with RetryingMongoServer(tmp_path_factory.mktemp("retrying")) as server:
        yield server


@pytest.fixture
def proxy(stack: ExitStack, mongo_server: MongoServer) -> Proxy:
    """Start a proxy before the shared server."""
    return stack.enter_context(Proxy(mongo_server.port))


@pytest.fixture(params=["memory", pytest.param("server", marks=pytest.mark.live("mongo"))])
def mongo(request: pytest.FixtureRequest, stack: ExitStack) -> Any:
    """Give each driver in turn, with a database of its own."""
    if request.param == "memory":
        return request.getfixturevalue("twin")
    server: MongoServer = request.getfixturevalue("mongo_server")
    name = f"test-{uuid4().hex[:12]}"
    service = ServerMongo(MongoSettings(url=server.url), database=name)
    stack.callback(service.close)
    stack.callback(lambda: service.client.drop_database(name) if not service._closed else None)
    return service
