"""What is due when, without a thread: moments of the calendar, and of the monotonic clock."""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_LONGEST_WAIT = 86_400.0
REREAD = 30.0
"""Seconds after which the wall clock is read again: nobody tells when it is set."""


class Clock(NamedTuple):
    """The two clocks of a process, in seconds: one only runs on, the other tells the date."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def now(self, *, calendar: bool) -> float:
        """Return the seconds of one of them."""
        return self.wall() if calendar else self.monotonic()


class Agenda:
    """Things, each of which is due once at the time of one of the two clocks.

    A thing of the calendar is due when the wall clock says so, whichever way it is set meanwhile.
    It is not safe under threads: whoever holds it has the lock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[Hashable, list[Any]] = {}
        self._heaps: dict[bool, list[list[Any]]] = {True: [], False: []}
        self._number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, thing: Hashable, due: float, *, calendar: bool) -> bool:
        """Have a thing due at a time, and no more at another; tell whether it is the next."""
        self.remove(thing)
        self._number += 1
        # The number keeps those of one time in order, and things from being compared.
        entry = self._entries[thing] = [due, self._number, thing]
        heap = self._heaps[calendar]
        heapq.heappush(heap, entry)
        return heap[0] is entry

    def remove(self, thing: Hashable) -> None:
        """Have a thing not due; a no-op for one that is not here."""
        entry = self._entries.pop(thing, None)
        if entry is not None:
            # It cannot be found in its heap quickly; it leaves it in its turn.
            entry[2] = None
            self._sweep()

    def take(self) -> list[tuple[Any, float]]:
        """Take out all that is due now, and when each was, of each clock the earliest first."""
        due = []
        for calendar, heap in self._heaps.items():
            now = self._clock.now(calendar=calendar)
            while heap and (heap[0][2] is None or heap[0][0] <= now):
                at, _, thing = heapq.heappop(heap)
                if thing is not None:
                    del self._entries[thing]
                    due.append((thing, at))
        return due

    def wait(self) -> float | None:
        """Return after how many seconds to ask `take` again; None while there is nothing."""
        waits = []
        for calendar, heap in self._heaps.items():
            while heap and heap[0][2] is None:
                heapq.heappop(heap)
            if heap:
                left = max(0.0, heap[0][0] - self._clock.now(calendar=calendar))
                waits.append(min(left, REREAD if calendar else _LONGEST_WAIT))
        return min(waits, default=None)

    def _sweep(self) -> None:
        # What was cancelled years ahead of its time would stay for years.
        for heap in self._heaps.values():
            if len(heap) > 2 * len(self._entries) + 100:
                heap[:] = [entry for entry in heap if entry[2] is not None]
                heapq.heapify(heap)
