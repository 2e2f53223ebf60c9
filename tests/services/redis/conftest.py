"""Servers and services for the tests of Redis."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest

from quorum.services.redis.memory import MemoryRedis
from quorum.services.redis.server import ServerRedis
from quorum.settings import RedisSettings
from tests.proxy import Proxy
from tests.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE = 15.0


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what a test opens, in the reverse order."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def connect(stack: ExitStack) -> Callable[..., ServerRedis]:
    """Build a service on a server or a proxy; `query` ends the URL, the rest are settings."""

    def build(server: Any, query: str = "", **settings: Any) -> ServerRedis:
        password = getattr(server, "password", None)
        userinfo = f":{password}@" if password else ""
        url = f"redis://{userinfo}127.0.0.1:{server.port}/0{query}"
        service = ServerRedis(RedisSettings(**{"url": url} | settings), prefix="shop")
        stack.callback(service.close)
        return service

    return build


@pytest.fixture
def twin(stack: ExitStack) -> Callable[..., MemoryRedis]:
    """Build an embedded twin."""

    def build(data_path: Path | None = None, **settings: Any) -> MemoryRedis:
        service = MemoryRedis(RedisSettings(**settings), prefix="shop", data_path=data_path)
        stack.callback(service.close)
        return service

    return build


@pytest.fixture
def own_server(stack: ExitStack, tmp_path: Path) -> RedisServer:
    """Start a server of this test alone, to be stopped and paused."""
    return stack.enter_context(RedisServer(tmp_path))


@pytest.fixture
def proxy(stack: ExitStack, redis_server: RedisServer) -> Proxy:
    """Put a proxy before the shared server."""
    return stack.enter_context(Proxy(redis_server.port))


@pytest.fixture(params=["memory", pytest.param("server", marks=pytest.mark.live("redis"))])
def redis(request: pytest.FixtureRequest) -> Any:
    """Give each driver in turn, with nothing in it."""
    if request.param == "memory":
        return request.getfixturevalue("twin")()
    server = request.getfixturevalue("redis_server")
    service = request.getfixturevalue("connect")(server)
    service.client.flushall()
    return service


@pytest.fixture
def in_child() -> Callable[..., int]:
    """Run something in a forked child, and return its exit status; one that hangs is killed."""

    def fork(work: Callable[[], object]) -> int:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work()
                status = 0
            finally:
                os._exit(status)
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return -signal.SIGKILL

    return fork


class Talking:
    """A server that answers every question with the same bytes, a piece at a time."""

    def __init__(self, answer: bytes, pause: float) -> None:
        self._answer = answer
        self._pause = pause
        self._ended = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(0.05)
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(5)
        self._listening.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                client, _ = self._listening.accept()
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(0.05)
        with client, suppress(ConnectionError):
            while not self._ended.is_set():
                with suppress(TimeoutError):
                    if not client.recv(65536):
                        return
                    self._say(client)

    def _say(self, client: socket.socket) -> None:
        if not self._pause:
            client.sendall(self._answer)
            return
        for byte in self._answer:
            if self._ended.wait(self._pause):
                return
            client.sendall(bytes([byte]))


@pytest.fixture
def talking(stack: ExitStack) -> Callable[..., Talking]:
    """Start a server that answers every question with the same bytes."""

    def start(answer: bytes, pause: float = 0.0) -> Talking:
        server = Talking(answer, pause)
        stack.callback(server.close)
        return server

    return start


@pytest.fixture
def trickling(talking: Callable[..., Talking]) -> Talking:
    """Start a server that answers with a long line, 20 bytes a second."""
    return talking(b"+" + b"slow " * 1000, pause=0.05)
