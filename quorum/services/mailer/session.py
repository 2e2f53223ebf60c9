"""One SMTP connection, every use of which is bounded by one deadline.

smtplib's own timeout is one of each read: a server that sends a byte a second is never late.
"""

from __future__ import annotations

import base64
import os
import select
import smtplib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

_CHUNK = 64 * 1024


class Session(smtplib.SMTP):
    """A connection that was opened by this process, and says when it is late."""

    def __init__(self, seconds: float) -> None:
        # A name for EHLO would be looked up without any limit; the address replaces it below.
        super().__init__(local_hostname="localhost", timeout=seconds)
        self.encrypted = False
        self.content_begun = False
        self.pid = os.getpid()
        self.used = time.monotonic()
        self._tls: ssl.SSLContext | None = None
        self.begin(seconds)

    def begin(self, seconds: float) -> None:
        """Start the clock of one use."""
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self.content_begun = False

    @property
    def late(self) -> bool:
        """Whether the deadline passed."""
        # The system's timers may end a wait a moment before the clock says so.
        return time.monotonic() >= self._deadline - 0.01

    def _remaining(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        return left

    def open(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Connect, with TLS from the first byte if a context is given, and say EHLO."""
        self._host: str = host
        self._tls = tls
        code, text = self.connect(host, port)
        if code != 220:  # noqa: PLR2004
            self.close()
            raise smtplib.SMTPConnectError(code, text)
        address = self.sock.getsockname()[0] if self.sock else "127.0.0.1"
        self.local_hostname = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        self.ehlo_or_helo_if_needed()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        del timeout
        failure: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in _resolve(host, port, self._remaining()):
            plain = socket.socket(family, kind, protocol)
            try:
                plain.settimeout(self._remaining())
                plain.connect(address)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is None:
                    return plain
                plain.settimeout(self._remaining())
                wrapped = self._tls.wrap_socket(plain, server_hostname=host)
            except OSError as error:
                plain.close()
                failure = error
            else:
                self.encrypted = True
                return wrapped
        raise failure

    def secure(self, context: ssl.SSLContext) -> None:
        """Upgrade to TLS (RFC 3207) and say EHLO again."""
        self.starttls(context=context)
        self.encrypted = True
        self.ehlo_or_helo_if_needed()

    def authenticate(self, user: str, password: str) -> None:
        """Sign in (RFC 4954), as UTF-8 where the mechanism allows it."""
        offered = self.esmtp_features["auth"].upper().split()
        challenge = "CRAM-MD5" in offered and not self.encrypted
        if "PLAIN" in offered and not challenge:
            token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
            code, text = self.docmd("AUTH", f"PLAIN {token}")
            if code not in {235, 503}:
                raise smtplib.SMTPAuthenticationError(code, text)
        elif f"{user}{password}".isascii():
            self.login(user, password, initial_response_ok=True)
        else:
            raise smtplib.SMTPNotSupportedError("only AUTH PLAIN carries more than ASCII")

    def getreply(self) -> tuple[int, bytes]:
        if not isinstance(self.file, _Reader):
            self.file: Any = _Reader(self)
        return super().getreply()

    def send(self, s: Any) -> None:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        data = s.encode(self.command_encoding) if isinstance(s, str) else s
        try:
            for start in range(0, len(data), _CHUNK):
                if start:
                    # Each chunk that went out is progress, which a long transfer is judged by.
                    self._deadline = time.monotonic() + self._seconds
                self._send_all(memoryview(data)[start : start + _CHUNK])
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(f"the connection was lost: {error}") from error

    def _send_all(self, view: memoryview) -> None:
        while view and self.sock:
            self.sock.settimeout(self._remaining())
            view = view[self.sock.send(view) :]

    def receive(self) -> bytes:
        """Return what has arrived, b"" at the end. Raises TimeoutError past the deadline."""
        if self.sock is None:
            return b""
        self.sock.settimeout(self._remaining())
        return self.sock.recv(8192)

    @property
    def quiet(self) -> bool:
        """Whether an idle connection looks alive: a goodbye or an end would be there to read."""
        if self.sock is None or self.sock.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    def leave(self) -> None:
        """Say QUIT without waiting for the answer, and close; in a forked child, only close."""
        if self.sock is not None and self.pid == os.getpid():
            self.begin(0.1)
            try:
                self.send("QUIT\r\n")
            except smtplib.SMTPServerDisconnected:
                return
        self.close()


class _Reader:
    """The lines of a session; what smtplib reads replies from."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._buffer = b""

    def readline(self, limit: int) -> bytes:
        while b"\n" not in self._buffer and len(self._buffer) < limit:
            chunk = self._session.receive()
            if not chunk:
                break
            self._buffer += chunk
        end = min((self._buffer.find(b"\n") + 1) or len(self._buffer), limit)
        line, self._buffer = self._buffer[:end], self._buffer[end:]
        return line

    def close(self) -> None:
        self._buffer = b""


def _resolve(host: str, port: int, seconds: float) -> list[Any]:
    """Look a name up within a time limit, which the system's own call does not have."""
    found: list[Any] = []
    failure: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failure.append(error)
        except UnicodeError as error:
            failure.append(OSError(str(error)))

    thread = threading.Thread(target=look_up, name="quorum-mailer-lookup", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError("the name was not resolved in time")
    if failure:
        raise failure[0]
    return found
