"""A server that answers as it is told to, whatever it is asked."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    Answer = bytes | Callable[[socket.socket], None]


def answer(status: str, body: bytes = b"", length: int | None = None, **headers: str) -> bytes:
    """Write an answer; in the names of headers, `_` stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named["Content-Length"] = str(len(body) if length is None else length)
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def failure(status: str, code: str, message: str = "no", more: str = "") -> bytes:
    """Write an error as S3 does."""
    text = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    return answer(status, text.encode(), Content_Type="application/xml")


class AnsweringServer:
    """Gives its answers in turn, the last of them for ever, each on a connection of its own."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self.ended = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(5)

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._run(self._serve, self._listening.accept()[0])

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = connection.recv(65536)
            if not request:
                return
            self.requests.append(request)
            chosen = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if isinstance(chosen, bytes):
                # An answer to HEAD has no body.
                head, _, body = chosen.partition(b"\r\n\r\n")
                connection.sendall(head + b"\r\nConnection: close\r\n\r\n")
                connection.sendall(b"" if request.startswith(b"HEAD") else body)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            else:
                chosen(connection)

    def trickle(self, data: bytes, seconds: float = 0.1) -> Answer:
        """Give an answer that comes a byte at a time."""

        def send(connection: socket.socket) -> None:
            for number in range(len(data)):
                connection.sendall(data[number : number + 1])
                if self.ended.wait(seconds):
                    return

        return send
