"""One SMTP connection, every use of which is bounded by one deadline.

smtplib's own timeout is one of each read: a server that sends a byte a second is never late.
"""

from __future__ import annotations

import os
import select
import smtplib
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from quorum.services import sockets
from quorum.services.deadline import Deadline
from quorum.services.mailer.smtp.credentials import answer_to, first_line, mechanism

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterator

# What is longer is judged by its progress: each _CHUNK that the other side took.
_LONG = 64 * 1024
_CHUNK = 16 * 1024
_LOOK_SECONDS = 0.1
# What a kept connection has for its first answer; the rest is for a new one if it is dead.
KEPT_SHARE = 1 / 3
_GOODBYE_SECONDS = 0.1


class Session(smtplib.SMTP):
    """A connection that was opened by this process. `deadline` bounds its present use."""

    def __init__(self, deadline: Deadline) -> None:
        # A name for EHLO would be looked up without any limit; the address replaces it below.
        super().__init__(local_hostname="localhost")
        self.deadline = deadline
        self.encrypted = False
        self.pid = os.getpid()
        self.used = time.monotonic()
        self._tls: ssl.SSLContext | None = None
        self._queued = 0

    def open(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Connect, with TLS from the first byte if a context is given, and say EHLO."""
        self._host: str = host
        self._tls = tls
        code, text = self.connect(host, port)
        if code != 220:  # noqa: PLR2004
            raise smtplib.SMTPConnectError(code, text)
        address = self._connected.getsockname()[0]
        self.local_hostname = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        self.ehlo_or_helo_if_needed()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        del timeout  # the deadline's
        found = sockets.connect(host, port, self.deadline, self._tls)
        self.encrypted = self._tls is not None
        return found

    @property
    def _connected(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        return self.sock

    def secure(self, context: ssl.SSLContext) -> None:
        """Upgrade to TLS and say EHLO again, forgetting all that was read in clear (RFC 3207)."""
        code, text = self.docmd("STARTTLS")
        if code != 220:  # noqa: PLR2004
            raise smtplib.SMTPResponseException(code, text)
        self.sock = sockets.secure(self._connected, context, self._host, self.deadline)
        self.encrypted = True
        self.file = None
        self.ehlo_resp = self.helo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False
        self.ehlo_or_helo_if_needed()

    def authenticate(self, user: str, password: str) -> None:
        """Sign in (RFC 4954). Raises SMTPAuthenticationError, without what was sent."""
        chosen = mechanism(self.esmtp_features["auth"], encrypted=self.encrypted)
        code, text = self.docmd("AUTH", first_line(chosen, user, password))
        for step in range(2):
            if code == 334:  # noqa: PLR2004
                code, text = self.docmd(answer_to(text, chosen, step, user, password))
        if code not in {235, 503}:
            # What a server says here may repeat what it was told.
            raise smtplib.SMTPAuthenticationError(code, b"")

    @contextmanager
    def within(self, deadline: Deadline) -> Iterator[None]:
        """Hold a block to a nearer deadline."""
        whole, self.deadline = self.deadline, deadline
        try:
            yield
        finally:
            self.deadline = whole

    def getreply(self) -> tuple[int, bytes]:
        if not isinstance(self.file, _Reader):
            self.file: Any = _Reader(self)
        code, text = super().getreply()
        if not 200 <= code < 600:  # noqa: PLR2004
            self.close()
            raise smtplib.SMTPServerDisconnected("what the server answers is not SMTP")
        return code, text

    def send(self, s: Any) -> None:
        data = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        connected = self._connected
        long, sent = len(data) > _LONG, 0
        try:
            while sent < len(data):
                connected.settimeout(self.deadline.remaining())
                before, sent = sent, sent + connected.send(data[sent : sent + _CHUNK])
                if long and before // _CHUNK < sent // _CHUNK:
                    self.deadline.restart()
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(f"the connection was lost: {error}") from error
        self._queued = sockets.unacknowledged(connected.fileno()) if long else 0

    def receive(self) -> bytes:
        """Return what has arrived, b"" at the end. Raises TimeoutError past the deadline."""
        while True:
            left = self.deadline.remaining()
            self._connected.settimeout(min(left, _LOOK_SECONDS) if self._queued else left)
            try:
                return self._connected.recv(_CHUNK)
            except TimeoutError:
                if not self._queued:
                    raise
                self._watch_queue()

    def _watch_queue(self) -> None:
        """Count as progress what the system still sends of a long content."""
        queued = sockets.unacknowledged(self._connected.fileno())
        if not queued or self._queued - queued >= _CHUNK:
            self._queued = queued
            self.deadline.restart()

    @property
    def quiet(self) -> bool:
        """Whether an idle connection looks alive: a goodbye or an end would be there to read."""
        if self.sock is None or self.file.unread:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    def answers(self, deadline: Deadline) -> bool:
        """Tell whether NOOP is answered in a part of the time; closes the connection if not."""
        self.deadline = deadline
        with suppress(OSError, smtplib.SMTPException), self.within(deadline.share(KEPT_SHARE)):
            if self.noop()[0] == 250:  # noqa: PLR2004
                return True
        self.close()
        return False

    def leave(self) -> None:
        """Say QUIT without waiting for the answer, and close; in a forked child, only close."""
        if self.sock is not None and self.pid == os.getpid():
            self.deadline = Deadline(_GOODBYE_SECONDS)
            try:
                self.send("QUIT\r\n")
            except smtplib.SMTPServerDisconnected:
                return
        self.close()


class _Reader:
    """The lines of a session; what smtplib reads replies from."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.unread = b""

    def readline(self, limit: int) -> bytes:
        """Return a line, at most `limit` bytes of it; b"" for one that is cut off by the end."""
        while b"\n" not in self.unread and len(self.unread) < limit:
            chunk = self._session.receive()
            if not chunk:
                return b""
            self.unread += chunk
        end = min((self.unread.find(b"\n") + 1) or limit, limit)
        line, self.unread = self.unread[:end], self.unread[end:]
        return line

    def close(self) -> None:
        self.unread = b""
