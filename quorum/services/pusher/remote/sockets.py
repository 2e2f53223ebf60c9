"""Connections of urllib3, all waits of which end with the deadline of the call.

urllib3's own time-outs are ones of each read, so that a server which trickles never meets them.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from quorum.services.sockets import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quorum.services.deadline import Deadline

    _Socket: TypeAlias = socket.socket
    _Connection: TypeAlias = HTTPConnection
else:
    _Socket = _Connection = object

_running = threading.local()


@contextmanager
def within(deadline: Deadline) -> Iterator[None]:
    """Hold all connections that this thread uses in the block to a deadline."""
    _running.deadline = deadline
    try:
        yield
    finally:
        del _running.deadline


def _deadline() -> Deadline:
    found: Deadline = _running.deadline
    return found


class _Limited(_Socket):
    """A socket that waits no longer than the deadline says, whatever it does."""

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_deadline().remaining())
        return super().recv_into(*args)

    def send(self, data: Any, flags: int = 0) -> int:
        self.settimeout(_deadline().remaining())
        return super().send(data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.settimeout(_deadline().remaining())
        super().sendall(data, flags)


class PlainSocket(_Limited, socket.socket):
    """A limited socket."""


class TlsSocket(_Limited, ssl.SSLSocket):
    """A limited socket under TLS, its handshake included."""

    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(_deadline().remaining())
        super().do_handshake(block)


class _Connecting(_Connection):
    """A connection that is opened within the deadline."""

    def _new_conn(self) -> socket.socket:
        try:
            plain = connect(self._dns_host.strip("[]"), self.port, _deadline())
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"connecting to {self.host} took too long") from error
        except OSError as error:
            raise NewConnectionError(self, f"{error}") from error
        return PlainSocket(fileno=plain.detach())


class PlainConnection(_Connecting, HTTPConnection):
    """A connection over a limited socket."""


class TlsConnection(_Connecting, HTTPSConnection):
    """A connection over a limited socket under TLS."""


class PlainPool(HTTPConnectionPool):
    """A pool of connections over limited sockets."""

    ConnectionCls = PlainConnection


class TlsPool(HTTPSConnectionPool):
    """A pool of connections over limited sockets under TLS."""

    ConnectionCls = TlsConnection
