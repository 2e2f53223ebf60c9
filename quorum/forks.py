"""What a fork must not carry over: a lock that is held, a client with open connections."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class ForkSafeLock:
    """A re-entrant lock that is open in a forked child, whoever held it in the parent."""

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Put a new, open lock in the place of the old one."""
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        # A block that itself forks goes on in the child with a lock that was renewed there.
        with suppress(RuntimeError):
            self._lock.release()


class PerProcess(Generic[T]):
    """An object of this process, built when it is first asked for; a forked child builds its own.

    The parent's is kept there but never touched: its finalizer could speak on a connection that
    the parent still uses.
    """

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._built: T | None = None
        self._inherited: list[Any] = []
        self._lock = ForkSafeLock()
        _owned.add(self)

    def get(self) -> T:
        """Return the object, built once however many threads ask first."""
        built = self._built
        if built is not None:
            return built
        with self._lock:
            if self._built is None:
                self._built = self._build()
            return self._built

    @property
    def built(self) -> T | None:
        """The object of this process if there is one."""
        return self._built

    def leave(self) -> None:
        """Let go of the object, in a child that was just forked."""
        self._inherited.append(self._built)
        self._built = None


_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()
_owned: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_locks):
        lock.renew()
    for owned in list(_owned):
        owned.leave()


os.register_at_fork(after_in_child=_renew_all)
