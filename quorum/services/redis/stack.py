"""The queue of a pool: the connection used last is given first, to whoever waits longest."""

from __future__ import annotations

import threading
from collections import deque
from queue import Empty, Full
from typing import Any


class _Waiter:
    """One thread that waits, and what it was given."""

    def __init__(self) -> None:
        self.given = threading.Event()
        self.item: Any = None


class FairStack:
    """A stack that hands what comes back to the thread that waits longest.

    `queue.LifoQueue` lets a thread that comes by take it first, again and again. The names of its
    methods are those that redis-py calls.
    """

    def __init__(self, size: int) -> None:
        self.queue: list[Any] = []
        self._size = size
        self._waiters: deque[_Waiter] = deque()
        self._lock = threading.Lock()

    def get(self, timeout: float) -> Any:
        """Return what was put last. Raises Empty if nothing comes within so many seconds."""
        with self._lock:
            if self.queue:
                return self.queue.pop()
            waiter = _Waiter()
            self._waiters.append(waiter)
        try:
            waiter.given.wait(timeout)
        except BaseException:
            if self._gave_up(waiter) is None:
                self.put_nowait(waiter.item)
            raise
        empty = self._gave_up(waiter)
        if empty is not None:
            raise empty
        return waiter.item

    def get_nowait(self) -> Any:
        """Return what was put last. Raises Empty if there is nothing."""
        with self._lock:
            if not self.queue:
                raise Empty
            return self.queue.pop()

    def put_nowait(self, item: Any) -> None:
        """Give it to the thread that waits longest, or keep it. Raises Full if there is no room."""
        with self._lock:
            if self._waiters:
                waiter = self._waiters.popleft()
                waiter.item = item
                waiter.given.set()
            elif len(self.queue) >= self._size:
                raise Full
            else:
                self.queue.append(item)

    def _gave_up(self, waiter: _Waiter) -> Empty | None:
        # It may be given something in the very moment that it stops waiting.
        with self._lock:
            if waiter.given.is_set():
                return None
            self._waiters.remove(waiter)
            return Empty()
