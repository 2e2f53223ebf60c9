"""Connecting a socket within a deadline, the look-up of the name and the TLS handshake included."""

from __future__ import annotations

import fcntl
import socket
import ssl
import sys
import termios
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quorum.services.deadline import Deadline


def connect(
    host: str, port: int, deadline: Deadline, tls: ssl.SSLContext | None = None
) -> socket.socket:
    """Connect to the first address that answers. Raises OSError, or TimeoutError past the deadline.

    No address gets more than its share of the time, so that a dead one does not use up that of
    the next.
    """
    found = _look_up(host, port, deadline)
    failure: OSError = OSError("the name has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(found):
        try:
            plain = socket.socket(family, kind, protocol)
        except OSError as error:
            failure = error
            continue
        try:
            share = deadline.share(1 / (len(found) - tried))
            plain.settimeout(share.remaining())
            plain.connect(address)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return plain if tls is None else secure(plain, tls, host, share)
        except ssl.SSLCertVerificationError:
            plain.close()
            raise
        except OSError as error:
            plain.close()
            failure = error
        except BaseException:
            plain.close()
            raise
    raise failure


def secure(
    plain: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline
) -> ssl.SSLSocket:
    """Start TLS, and verify that the certificate is the host's."""
    plain.settimeout(deadline.remaining())
    return context.wrap_socket(plain, server_hostname=host)


def unacknowledged(descriptor: int) -> int:
    """Return the bytes that the other side has not taken yet; 0 where the system does not say."""
    try:
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)


def _look_up(host: str, port: int, deadline: Deadline) -> list[Any]:
    try:
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        return _resolve(host, port, deadline)


def _resolve(host: str, port: int, deadline: Deadline) -> list[Any]:
    """Resolve a name in a thread, since the system's own call has no time limit."""
    found: list[Any] = []
    failures: list[OSError] = []

    def resolve() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failures.append(error)
        except UnicodeError as error:
            failures.append(OSError(f"{host!r} is not a host name: {error}"))

    thread = threading.Thread(target=resolve, name="quorum-resolve", daemon=True)
    thread.start()
    thread.join(deadline.remaining())
    if thread.is_alive():
        raise TimeoutError("the name was not resolved in time")
    if failures:
        raise failures[0]
    return found
