"""SMTP servers on free loopback ports: real ones, and one that fails as it is told to."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from aiosmtpd.smtp import SMTP, AuthResult

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from email.message import EmailMessage

LOCAL = "127.0.0.1"
USER, PASSWORD = "ana", "correct horse"


@dataclass(frozen=True)
class Delivery:
    """A mail as a server got it: the envelope, and the content with dots unstuffed."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    connection: tuple[str, int]

    @property
    def message(self) -> EmailMessage:
        # As text, since the parser of bytes loses an address outside ASCII.
        text = self.content.decode().replace("\r\n", "\n")
        return email.message_from_string(text, policy=email.policy.default)


class Inbox:
    """What an aiosmtpd server hands its mails to."""

    def __init__(self, refuses: Callable[[str], str | None]) -> None:
        self.deliveries: list[Delivery] = []
        self._refuses = refuses

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        del server, session, options
        reply = self._refuses(address)
        if reply is not None:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        del server
        content = envelope.original_content
        delivery = Delivery(envelope.mail_from, tuple(envelope.rcpt_tos), content, session.peer)
        self.deliveries.append(delivery)
        return "250 OK"


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    del server, session, envelope, mechanism
    good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


class SmtpServer:
    """A real server (aiosmtpd) in a thread of its own."""

    def __init__(
        self,
        *,
        port: int = 0,
        implicit_tls: ssl.SSLContext | None = None,
        refuses: Callable[[str], str | None] = lambda _: None,
        asks_password: bool = False,
        **options: Any,
    ) -> None:
        self._inbox = Inbox(refuses)
        self._tls = implicit_tls
        self._options = options
        if asks_password:
            # aiosmtpd warns of a password that is required in clear.
            required = options.get("auth_require_tls", True)
            self._options |= {"authenticator": _authenticate, "auth_required": required}
        self._socket = socket.create_server((LOCAL, port))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._protocols: list[SMTP] = []

    @property
    def deliveries(self) -> list[Delivery]:
        """The mails that arrived, the oldest first."""
        return self._inbox.deliveries

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return len(self._protocols)

    def __enter__(self) -> Self:
        listening = self._loop.create_server(self._protocol, sock=self._socket, ssl=self._tls)
        self._server = self._loop.run_until_complete(listening)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def hang_up(self) -> None:
        """Close every connection, as a server does with idle ones."""
        ended = threading.Event()

        def close() -> None:
            for protocol in self._protocols:
                if protocol.transport is not None:
                    protocol.transport.close()
            self._loop.call_later(0.02, ended.set)

        self._loop.call_soon_threadsafe(close)
        assert ended.wait(5)

    def _protocol(self) -> SMTP:
        protocol = SMTP(self._inbox, loop=self._loop, **self._options)
        self._protocols.append(protocol)
        return protocol

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for protocol in self._protocols:
            if protocol.transport is not None:
                protocol.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Transports close themselves in the next turns of the loop.
        await asyncio.sleep(0.01)


class Conversation:
    """One connection to a faulty server, seen from there."""

    def __init__(self, server: FaultyServer, connection: socket.socket, number: int) -> None:
        self.server = server
        self.number = number
        """1 for the first connection."""
        self._socket = connection
        self._file = connection.makefile("rb")
        self.deaf = False
        """Whether it neither answers nor ends any more: half-open, for the client."""

    def say(self, text: str) -> None:
        """Send lines at once."""
        self.say_bytes(text.replace("\n", "\r\n").encode() + b"\r\n")

    def say_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.deaf:
            self.stall()
        self._socket.sendall(data)

    def trickle(self, text: str, bytes_a_second: float = 20) -> None:
        """Send a reply a byte at a time."""
        for byte in f"{text}\r\n".encode():
            self._socket.sendall(bytes([byte]))
            self.server.ended.wait(1 / bytes_a_second)

    def stall(self) -> None:
        """Say nothing until the server ends."""
        self.server.ended.wait()
        raise ConnectionAbortedError

    def hang_up(self) -> None:
        """End the connection."""
        raise ConnectionAbortedError

    def hear(self) -> str:
        """Return the next line."""
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionAbortedError
        return line.decode("utf-8", "replace").rstrip()

    def read(self, size: int) -> bytes:
        """Return some bytes of the content, at most `size`."""
        data = self._file.read1(size)
        if not data:
            raise ConnectionAbortedError
        return data

    def hear_content(self) -> bytes:
        """Return a content as it travelled, with its dots stuffed, without the last line."""
        content = b""
        while not content.endswith(b"\r\n.\r\n"):
            content += self.read(65536)
        return content[: -len(b".\r\n")]

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on encrypted."""
        self._socket = context.wrap_socket(self._socket, server_side=True)
        self._file.close()
        self._file = self._socket.makefile("rb")

    def cut(self) -> None:
        """End the connection from another thread."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Have the whole conversation."""
        try:
            with suppress(OSError):
                self._converse()
        finally:
            self._file.close()
            self._socket.close()

    def _converse(self) -> None:
        self.answer("CONNECT")
        verb = ""
        while verb != "QUIT":
            line = self.hear()
            self.server.heard.append(line)
            verb = line.partition(" ")[0].upper()
            self.answer(verb)
            if verb == "DATA":
                self.server.contents.append(self.hear_content())
                self.answer("CONTENT")

    def answer(self, verb: str) -> None:
        """Answer a command, as the server was told to."""
        answer = self.server.answers.get(verb, "250 OK")
        if isinstance(answer, str):
            self.say(answer)
        else:
            answer(self)


_USUAL: dict[str, Any] = {
    "CONNECT": "220 ready",
    "EHLO": "250-here\n250 8BITMIME",
    "DATA": "354 go on",
    "QUIT": "221 bye",
    "AUTH": "235 welcome",
}


class FaultyServer:
    """A server that answers each command as told: by a reply, or by a function that misbehaves.

    The names are the commands, CONNECT (the greeting) and CONTENT (what follows DATA).
    """

    def __init__(self, **answers: Any) -> None:
        self.answers = _USUAL | answers
        self.heard: list[str] = []
        self.contents: list[bytes] = []
        self.conversations: list[Conversation] = []
        self.ended = threading.Event()
        self._listening = socket.create_server((LOCAL, 0))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for conversation in self.conversations:
            conversation.cut()
        for thread in self._threads:
            thread.join()

    def count(self, verb: str) -> int:
        """Return how often a command was heard."""
        return sum(line.upper().startswith(verb) for line in self.heard)

    def go_deaf(self) -> None:
        """Make every present connection half-open; new ones are served."""
        for conversation in self.conversations:
            conversation.deaf = True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                conversation = Conversation(self, connection, len(self.conversations) + 1)
                self.conversations.append(conversation)
                thread = threading.Thread(target=conversation.serve)
                self._threads.append(thread)
                thread.start()


def mail(mailer: Any, **fields: Any) -> Any:
    """Send a mail whose fields do not matter but for those given."""
    return mailer.send(**({"subject": "Hello", "to": "ana@example.org", "text": "Hello"} | fields))
