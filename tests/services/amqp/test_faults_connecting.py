"""The AMQP rows of the fault table about connecting, A19, each really happening."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from quorum.errors import Rejected, ServiceError, TimedOut, Unavailable
from tests.proxy import Proxy
from tests.servers import AmqpServer, free_port
from tests.services.amqp.ledger import holding_the_password
from tests.services.amqp.own_server import (
    PASSWORD,
    connected,
    new_queue,
)
from tests.waiting import BUDGET, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.live("amqp")

LOST = (Unavailable, TimedOut)
GUEST = ("", "guest:guest")


@pytest.fixture
def proxy(amqp_server: AmqpServer) -> Iterator[Proxy]:
    """A proxy before the shared broker."""
    with Proxy(amqp_server.port) as proxy:
        yield proxy


# A19 · connecting


def test_a19_a_refused_connection_names_host_and_port() -> None:
    """Within six seconds by default; the address is in the error, the password is not."""
    port = free_port()
    with connected(SimpleNamespace(port=port)) as amqp:
        with at_most(BUDGET), pytest.raises(Unavailable, match=f"127.0.0.1:{port}") as caught:
            amqp.publish("an order", routing_key="orders")
        assert holding_the_password(caught.value) == []
        with at_most(1.5), pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
            amqp.ping()


def test_a19_a_server_that_accepts_and_is_silent_names_host_and_port(proxy: Proxy) -> None:
    """Within six seconds by default; and when it speaks, the same service connects."""
    proxy.stalled = True
    with connected(proxy, *GUEST) as amqp:
        with at_most(BUDGET), pytest.raises(LOST, match=f"127.0.0.1:{proxy.port}") as caught:
            amqp.publish("an order", routing_key="orders")
        assert holding_the_password(caught.value) == []
        with at_most(1.5), pytest.raises(LOST, match=f"127.0.0.1:{proxy.port}"):
            amqp.ping()
        proxy.heal()
        new_queue(amqp)


@pytest.mark.parametrize("stall", [8, 200, 500])
def test_a19_a_handshake_that_stops_in_the_middle_is_timed_out(proxy: Proxy, stall: int) -> None:
    """After the first bytes of the server, after its greeting, after the tuning."""
    proxy.stall_after = stall
    with connected(proxy, *GUEST, timeout=1) as amqp:
        with at_most(2), pytest.raises(LOST):
            amqp.publish("an order", routing_key="orders")
        proxy.heal()
        new_queue(amqp)


@contextmanager
def speaking(text: bytes) -> Iterator[int]:
    """Listen as a server that says something else to each connection."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)

        def serve() -> None:
            while not ended.is_set():
                try:
                    client, _ = listening.accept()
                except TimeoutError:
                    continue
                with client:
                    client.sendall(text)
                    client.settimeout(0.5)
                    client.recv(100)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize(
    "text", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\x00\x01\x00\x00", b""]
)
def test_a19_a_server_that_speaks_something_else_is_an_error_of_ours(text: bytes) -> None:
    """Such as a web server, AMQP 1.0, or nothing at all."""
    with speaking(text) as port, connected(SimpleNamespace(port=port), timeout=1) as amqp:
        with at_most(2), pytest.raises(ServiceError, match=f"127.0.0.1:{port}") as caught:
            amqp.publish("an order", routing_key="orders")
        assert holding_the_password(caught.value) == []


def test_a19_a_wrong_password_is_rejected_and_not_told(amqp_server: AmqpServer) -> None:
    """By the broker, which says whom it refused; the error says no more."""
    with connected(amqp_server, "", f"guest:{PASSWORD}") as amqp:
        for call in (lambda: amqp.publish("an order", routing_key="orders"), amqp.ping):
            with at_most(BUDGET), pytest.raises(Rejected, match="user") as caught:
                call()
            assert holding_the_password(caught.value) == []


def test_a19_a_name_that_is_not_resolved_in_time_is_timed_out(
    amqp_server: AmqpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead name server is a dead server."""
    resolve, ended = socket.getaddrinfo, threading.Event()

    def slowly(*words: object, **options: object) -> object:
        ended.wait(10)
        return resolve(*words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with connected(amqp_server, *GUEST, timeout=1) as amqp:
        with at_most(2), pytest.raises(LOST):
            amqp.publish("an order", routing_key="orders")
        ended.set()
        new_queue(amqp)
