"""A socket is connected within its deadline, whatever the name and the network do."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from quorum.services.deadline import Deadline
from quorum.services.sockets import connect

LOCAL = "127.0.0.1"


@pytest.fixture
def listening() -> Any:
    """Listen on a free port."""
    with socket.create_server((LOCAL, 0)) as server:
        yield server


def answering(monkeypatch: pytest.MonkeyPatch, *hosts: str, wait: Any = None) -> None:
    """Let the name of a shop have these addresses."""
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *args: Any, flags: int = 0, **options: Any) -> Any:
        if host != "redis.example":
            return real(host, port, *args, flags=flags, **options)
        if flags:
            raise socket.gaierror("no number")
        if wait is not None:
            wait()
        return [each for name in hosts for each in real(name, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_an_address_is_connected_to(listening: Any) -> None:
    """At its port, without delay of small pieces."""
    with connect(LOCAL, listening.getsockname()[1], Deadline(5)) as plain:
        assert plain.getpeername() == listening.getsockname()
        assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_name_is_connected_to(listening: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first of its addresses that answers."""
    answering(monkeypatch, "127.0.0.2", LOCAL)
    with connect("redis.example", listening.getsockname()[1], Deadline(5)) as plain:
        assert plain.getpeername()[0] == LOCAL


def test_a_dead_address_does_not_use_up_the_time_of_the_next(
    listening: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its share."""
    full = socket.socket()
    full.bind(("127.0.0.3", listening.getsockname()[1]))
    full.listen(0)
    # Whose queue is full: what comes next is not answered.
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    answering(monkeypatch, "127.0.0.3", LOCAL)
    start = time.monotonic()
    with connect("redis.example", listening.getsockname()[1], Deadline(3)):
        assert time.monotonic() - start < 3
    for each in (full, *fillers):
        each.close()


def test_nobody_listening_is_refused(listening: Any) -> None:
    """In the system's words."""
    port = listening.getsockname()[1]
    listening.close()
    with pytest.raises(ConnectionRefusedError):
        connect(LOCAL, port, Deadline(5))


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 70])
def test_a_name_without_an_address_is_an_error_of_the_system(host: str) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(OSError, match=r"."):
        connect(host, 1, Deadline(5))


def test_a_name_with_no_address_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a wrong one."""
    answering(monkeypatch)
    with pytest.raises(OSError, match="has no address"):
        connect("redis.example", 1, Deadline(5))


def test_a_name_that_is_looked_up_for_too_long_is_timed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system itself sets no limit."""
    ended = threading.Event()
    answering(monkeypatch, LOCAL, wait=lambda: ended.wait(5))
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="not resolved in time"):
        connect("redis.example", 1, Deadline(0.2))
    assert time.monotonic() - start < 2
    ended.set()


def test_no_time_is_no_connection(listening: Any) -> None:
    """A deadline that passed is told before anything is tried."""
    deadline = Deadline(0)
    with pytest.raises(TimeoutError):
        connect(LOCAL, listening.getsockname()[1], deadline)
