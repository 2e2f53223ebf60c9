"""A TCP proxy that injects faults between a client and a real server."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Self

LOCAL = "127.0.0.1"
_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes on to a server, but for the faults that are set; the port stays the same.

    `latency`: seconds that each piece of an answer waits. `stalled`: connections are accepted and
    kept, and nothing passes either way, as with a half-open one. `refused`: nobody listens.
    `swallowing`: questions go through, answers do not. `cut_after`: a connection is reset after
    that many bytes of answer; `cut_request_after`: of question; `cuts`: that many times, None
    for each. `stall_after` and `stall_request_after`: everything is stalled after that many bytes.
    `pace`: bytes a second that pass. `lost` counts down: that many times an answer is swallowed
    and its connection reset. With a `buffer` in bytes the proxy takes no more than that ahead.
    """

    def __init__(self, port: int, buffer: int | None = None) -> None:
        self._server_port = port
        self._buffer = buffer
        self.latency = 0.0
        self.stalled = False
        self.swallowing = False
        self.cut_after: int | None = None
        self.cut_request_after: int | None = None
        self.cuts: int | None = None
        self.stall_after: int | None = None
        self.stall_request_after: int | None = None
        self.pace: float | None = None
        self.lost = 0
        self.connections = 0
        self._refused = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._listening = self._listen(0)
        self.port: int = self._listening.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._listening.close()
        self.reset()
        for thread in self._threads:
            thread.join(5)

    @property
    def refused(self) -> bool:
        """Whether nobody listens; set it back, and the port is listened on again."""
        return self._refused

    @refused.setter
    def refused(self, value: bool) -> None:
        self._refused = value
        if value:
            self._listening.close()
            self.reset()
        else:
            self._listening = self._listen(self.port)
            self._run(self._accept)

    def heal(self) -> None:
        """Take every fault away; what is stalled goes on where it was."""
        self.latency = 0.0
        self.stalled = self.swallowing = False
        self.cut_after = self.cut_request_after = self.cuts = None
        self.stall_after = self.stall_request_after = self.pace = None
        self.lost = 0
        if self._refused:
            self.refused = False

    def reset(self) -> None:
        """Reset every connection there is (RST, both ways)."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._cut(pair)

    def _listen(self, port: int) -> socket.socket:
        listening = socket.create_server((LOCAL, port))
        if self._buffer is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        return listening

    def _run(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        listening = self._listening
        with suppress(OSError):
            listening.settimeout(0.05)
        while not self._closing.is_set():
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            self._run(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((LOCAL, self._server_port), timeout=5)
        except OSError:
            self._linger(client)
            client.close()
            return
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        try:
            self._pump(client, server)
        finally:
            self._cut(pair)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        sent = {client: 0, server: 0}
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            while not self._closing.is_set():
                if self.stalled:
                    # Nothing is read: the sender's buffers fill, as with a lost route.
                    time.sleep(0.01)
                    continue
                for key, _ in selector.select(0.05):
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    target = server if source is client else client
                    try:
                        data = source.recv(_CHUNK)
                        if not data or not self._pass(data, source is client, sent, source, target):
                            return
                    except OSError:
                        return

    def _pass(
        self,
        data: bytes,
        question: bool,
        sent: dict[socket.socket, int],
        source: socket.socket,
        target: socket.socket,
    ) -> bool:
        """Pass a piece on; tell whether the connection goes on."""
        if not question:
            if self.lost > 0:
                self.lost -= 1
                return False
            if self.swallowing:
                return True
            if self.latency:
                time.sleep(self.latency)
        while self.stalled and not self._closing.is_set():
            time.sleep(0.01)
        limit = self.cut_request_after if question else self.cut_after
        if limit is not None and sent[source] + len(data) > limit and self.cuts != 0:
            if self.cuts is not None:
                self.cuts -= 1
            target.sendall(data[: max(0, limit - sent[source])])
            return False
        target.sendall(data)
        sent[source] += len(data)
        limit = self.stall_request_after if question else self.stall_after
        if limit is not None and sent[source] > limit:
            self.stalled = True
        if self.pace:
            time.sleep(len(data) / self.pace)
        return True

    def _cut(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            self._linger(end)
            with suppress(OSError):
                end.close()

    @staticmethod
    def _linger(end: socket.socket) -> None:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
