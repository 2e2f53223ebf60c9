"""Connections whose waits all end at one moment, however the server deals out its bytes."""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING, Any

from redis.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import TimeoutError as Late

from quorum.services.deadline import Deadline
from quorum.services.sockets import connect

if TYPE_CHECKING:
    from collections.abc import Mapping

# A transfer goes on for as long as this many bytes take less than the time limit.
PROGRESS = 65536


class _UntilTheEnd(float):
    """A timeout that stands for what is left of the call."""


class Clock:
    """The end of a call; `PROGRESS` bytes either way put it off."""

    __slots__ = ("_moved", "end", "seconds")

    def __init__(self, seconds: float) -> None:
        self.start(seconds)

    def start(self, seconds: float, now: float | None = None) -> None:
        """Begin a call of so many seconds."""
        self.seconds = seconds
        self.end = (time.monotonic() if now is None else now) + seconds
        self._moved = 0

    def left(self) -> float:
        """Return the seconds left. Raises TimeoutError if there are none."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        return left

    def moved(self, size: int) -> None:
        """Count bytes that went through."""
        self._moved += size
        if self._moved >= PROGRESS:
            self._moved = 0
            self.end = time.monotonic() + self.seconds


class TimedSocket:
    """A socket that waits no longer than its clock, unless it is told another time."""

    def __init__(self, plain: socket.socket, clock: Clock) -> None:
        self._plain = plain
        self._clock = clock
        self._own_time = False
        self._news = select.poll()
        self._news.register(plain, select.POLLIN)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def has_news(self) -> bool:
        """Whether there is something to read, or the other side is gone; does not wait."""
        return bool(self._news.poll(0))

    def settimeout(self, seconds: float | None) -> None:
        # The parser waits for a time of its own only where it looks whether there is a message.
        self._own_time = not isinstance(seconds, _UntilTheEnd)
        if self._own_time:
            self._plain.settimeout(seconds)

    def recv(self, size: int, *flags: int) -> bytes:
        if not self._own_time:
            self._plain.settimeout(self._clock.left())
        data = self._plain.recv(size, *flags)
        self._clock.moved(len(data))
        return data

    def recv_into(self, buffer: Any, size: int = 0) -> int:
        if not self._own_time:
            self._plain.settimeout(self._clock.left())
        count = self._plain.recv_into(buffer, size)
        self._clock.moved(count)
        return count

    def sendall(self, data: Any) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            self._plain.settimeout(self._clock.left())
            count = self._plain.send(rest)
            self._clock.moved(count)
            rest = rest[count:]


class _Tcp(Connection):
    """Connects within the clock; below TLS, so that the handshake has what is left."""

    clock: Clock
    socket_keepalive_options: Mapping[int, int]

    def _connect(self) -> socket.socket:
        plain = connect(self.host, self.port, Deadline(self.clock.left()))
        try:
            if self.socket_keepalive:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for option, value in self.socket_keepalive_options.items():
                    plain.setsockopt(socket.IPPROTO_TCP, option, value)
            plain.settimeout(self.clock.left())
        except BaseException:
            plain.close()
            raise
        return plain


class TimedConnection(AbstractConnection):
    """What our connections share; `clock` bounds everything that they do."""

    _sock: Any

    def __init__(self, *, seconds: float, **options: Any) -> None:
        self.clock = Clock(seconds)
        self._limit = _UntilTheEnd(seconds)
        self.last_used = 0.0
        super().__init__(**options)

    @property
    def socket_timeout(self) -> float:
        return self._limit

    @socket_timeout.setter
    def socket_timeout(self, seconds: float | None) -> None:
        """Leave it: the clock says how long."""

    @property
    def socket_connect_timeout(self) -> float:
        return self.clock.left()

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, seconds: float | None) -> None:
        """Leave it: the clock says how long."""

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Shake hands; what the server repeats of that is cut off, for it holds the password."""
        try:
            super().on_connect_check_health(check_health)
        except AuthenticationError:
            raise
        except ResponseError as error:
            refusal = type(error)(str(error).partition(", with args")[0])
        except BaseException:
            # redis-py lets go after its own errors only; the answer to come is nobody else's.
            self.disconnect()
            raise
        else:
            return
        # Raised out here, so that the one that holds it does not hang on this.
        raise refusal

    @property
    def socket(self) -> TimedSocket | None:
        """The socket while it is connected; another one after it was connected again."""
        plain: TimedSocket | None = self._sock
        return plain

    def is_spoilt(self) -> bool:
        """Tell whether it was closed by the server, or holds an answer that nobody asked for."""
        if self._sock is None or not self._sock.has_news():
            return False
        try:
            return bool(self.can_read())
        except (Lost, Late, OSError):
            return True

    def answers(self) -> bool:
        """Ask the server with a third of the time left; a connection that is dead is dropped."""
        end = self.clock.end
        self.clock.end = time.monotonic() + self.clock.left() / 3
        try:
            self.send_command("PING", check_health=False)
            self.read_response()
        except (Lost, Late):
            self.disconnect()
            return False
        finally:
            self.clock.end = end
        return True

    def hang_up(self) -> None:
        """End the wait of the thread that uses it, from another."""
        plain = self._sock
        if plain is not None:
            try:
                plain.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def abandon(self) -> None:
        """Let go of the socket, which is the parent's, in a child that was just forked."""
        plain, self._sock = self._sock, None
        self._parser.on_disconnect()
        if plain is not None:
            # It says nothing on the wire: the parent has it open.
            plain.close()


class TcpConnection(TimedConnection, _Tcp):
    """Over TCP."""

    def _connect(self) -> Any:
        return TimedSocket(super()._connect(), self.clock)


class TlsConnection(TimedConnection, SSLConnection, _Tcp):
    """Over TLS."""

    def _connect(self) -> Any:
        return TimedSocket(super()._connect(), self.clock)


class UnixConnection(TimedConnection, UnixDomainSocketConnection):
    """Over a socket of this machine."""

    # redis-py asks for it when it has timed out.
    port = 0

    def _connect(self) -> Any:
        return TimedSocket(super()._connect(), self.clock)


KINDS: dict[type[Any], Any] = {
    Connection: TcpConnection,
    SSLConnection: TlsConnection,
    UnixDomainSocketConnection: UnixConnection,
}
"""Our connection for each of redis-py's."""
