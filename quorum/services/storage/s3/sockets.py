"""Connections of botocore, every wait of which ends with the limit of the call."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any, TypeAlias

from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from quorum.services.deadline import Deadline
from quorum.services.sockets import connect, unacknowledged
from quorum.services.storage.s3.limits import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from urllib3.connection import HTTPConnection as AWSHTTPConnection
    from urllib3.connection import HTTPSConnection as AWSHTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool as AWSHTTPConnectionPool
    from urllib3.connectionpool import HTTPSConnectionPool as AWSHTTPSConnectionPool

    from quorum.services.storage.s3.limits import Limit

    _Socket: TypeAlias = socket.socket
    _Connection: TypeAlias = AWSHTTPConnection
else:
    # Theirs, which have no types, with the 100-continue that S3 uses.
    from botocore.awsrequest import (
        AWSHTTPConnection,
        AWSHTTPConnectionPool,
        AWSHTTPSConnection,
        AWSHTTPSConnectionPool,
    )

    _Socket = _Connection = object

_CHUNK = 256 * 1024
# Where the client is told to have no limit at all.
_UNLIMITED_SECONDS = 60.0


class _Patient(_Socket):
    """A socket that waits as long as the limit of the running call says; without one, as ever."""

    _queued = 0

    def recv_into(self, *args: Any) -> int:
        limit = running()
        count: int
        if limit is None:
            count = super().recv_into(*args)
        else:
            count = self._patiently(limit, super().recv_into, *args)
            limit.moved(count)
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        limit = running()
        if limit is None:
            super().sendall(data, flags)
            return
        with memoryview(data) as view, view.cast("B") as unsent:
            sent = 0
            while sent < len(unsent):
                count = self._patiently(limit, super().send, unsent[sent : sent + _CHUNK], flags)
                limit.moved(count)
                sent += count

    def _patiently(self, limit: Limit, operation: Callable[..., Any], *args: Any) -> Any:
        while True:
            self.settimeout(limit.piece())
            try:
                return operation(*args)
            except TimeoutError:
                self._count_taken(limit)

    def _count_taken(self, limit: Limit) -> None:
        """Count as progress what the other side took since the last look."""
        before, self._queued = self._queued, unacknowledged(self.fileno())
        limit.moved(max(0, before - self._queued))


class PlainSocket(_Patient, socket.socket):
    """A patient socket."""


class TlsSocket(_Patient, ssl.SSLSocket):
    """A patient socket under TLS, its handshake included."""

    def do_handshake(self, block: bool = False) -> None:
        limit = running()
        if limit is None:
            super().do_handshake(block)
        else:
            self._patiently(limit, super().do_handshake)


class _Connecting(_Connection):
    """A connection that is opened within the limit."""

    def _new_conn(self) -> socket.socket:
        limit = running()
        seconds = limit.left if limit else self.timeout or _UNLIMITED_SECONDS
        try:
            plain = connect(self._dns_host.strip("[]"), self.port, Deadline(seconds))
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"connecting to {self.host} took too long") from error
        except OSError as error:
            raise NewConnectionError(self, f"{error}") from error
        connected = PlainSocket(fileno=plain.detach())
        connected.settimeout(self.timeout)
        return connected


class PlainConnection(_Connecting, AWSHTTPConnection):
    """A connection over a patient socket."""


class TlsConnection(_Connecting, AWSHTTPSConnection):
    """A connection over a patient socket under TLS."""

    def connect(self) -> None:
        if self.ssl_context is not None:
            self.ssl_context.sslsocket_class = TlsSocket
        super().connect()


class PlainPool(AWSHTTPConnectionPool):
    """A pool of connections over patient sockets."""

    ConnectionCls = PlainConnection


class TlsPool(AWSHTTPSConnectionPool):
    """A pool of connections over patient sockets under TLS."""

    ConnectionCls = TlsConnection
