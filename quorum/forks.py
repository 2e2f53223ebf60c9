"""A lock that a forked child finds open."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import suppress


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


_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_locks):
        lock.renew()


os.register_at_fork(after_in_child=_renew_all)
