"""A connection of pika that resolves names in a daemon, can be dropped, and is left by a fork."""

from __future__ import annotations

import os
import select
import socket
import stat
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pika import SelectConnection
from pika.adapters.utils.nbio_interface import AbstractIOReference
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pika.adapters.select_connection import IOLoop


# Not all systems tell that the other side will say no more.
_HUNG_UP = select.POLLERR | select.POLLHUP | getattr(select, "POLLRDHUP", 0)


class Services(SelectorIOServicesAdapter):
    """What a connection asks of the loop; it notes the sockets, for a fork."""

    def __init__(self, loop: IOLoop) -> None:
        super().__init__(loop)
        self._sockets: list[tuple[int, int]] = []
        self._news = select.poll()
        _all.add(self)

    def getaddrinfo(
        self, host: str, port: int, on_done: Callable[[Any], None], *_: Any, **options: Any
    ) -> _LookUp:
        """Resolve a name; pika's own thread would hold up the end of the process."""
        return _LookUp(self, host, port, on_done, options.get("socktype", 0))

    def connect_socket(self, sock: socket.socket, resolved_addr: Any, on_done: Any) -> Any:
        """Connect, and note the socket; one is in use at a time."""
        number = sock.fileno()
        self._sockets = [(number, os.fstat(number).st_ino)]
        self._news = select.poll()
        self._news.register(number, _HUNG_UP)
        return super().connect_socket(sock, resolved_addr, on_done)

    def hung_up(self) -> bool:
        """Tell whether the other side has closed or reset the connection; does not wait."""
        return bool(self._news.poll(0))

    def leave(self) -> None:
        """Let go of the parent's connection without a word, in a child that was just forked."""
        for number, inode in self._sockets:
            try:
                found = os.fstat(number)
                if stat.S_ISSOCK(found.st_mode) and found.st_ino == inode:
                    # Its number stays taken, so that whoever closes it hits nothing else.
                    nothing = os.open(os.devnull, os.O_RDWR)
                    os.dup2(nothing, number)
                    os.close(nothing)
            except OSError:
                continue


class _LookUp(AbstractIOReference):
    """The resolution of a name, of which nothing is heard once it is cancelled."""

    def __init__(
        self, services: Services, host: str, port: int, on_done: Callable[[Any], None], kind: int
    ) -> None:
        self._services = services
        self._place = (host, port)
        self._kind = kind
        self._on_done: Callable[[Any], None] | None = on_done
        threading.Thread(target=self._resolve, name="quorum-resolve", daemon=True).start()

    def cancel(self) -> bool:
        waited, self._on_done = self._on_done is not None, None
        return waited

    def _resolve(self) -> None:
        found: Any
        try:
            found = socket.getaddrinfo(*self._place, type=self._kind)
        except (OSError, UnicodeError) as error:
            found = error if isinstance(error, OSError) else OSError(f"no host name: {error}")
        self._services.add_callback_threadsafe(lambda: self._tell(found))

    def _tell(self, found: Any) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            on_done(found)


class Connection(SelectConnection):
    """One that can be dropped without a word to the broker, which may be deaf."""

    _held: list[bytes] | None = None

    def drop(self, error: Exception) -> None:
        """Let go of the socket; `error` is why."""
        if not self.is_closed:
            self._terminate_stream(error)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send what is written in the block at once; pika has three packets for each message."""
        held: list[bytes] = []
        self._held = held
        try:
            yield
        finally:
            self._held = None
            if held and not self.is_closed:
                super()._adapter_emit_data(b"".join(held))

    def _adapter_emit_data(self, data: bytes) -> None:
        if self._held is None:
            super()._adapter_emit_data(data)
        else:
            self._held.append(data)


_all: weakref.WeakSet[Services] = weakref.WeakSet()


def _leave_all() -> None:
    for services in list(_all):
        services.leave()


os.register_at_fork(after_in_child=_leave_all)
