"""Following channels inside the process: each follower has the events that come to its channels."""

from __future__ import annotations

import os
import secrets
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Self

from quorum.errors import Rejected
from quorum.forks import ForkSafeLock, PerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quorum.services.pusher.base import Event

MOST_WAITING = 1000
"""Events that wait for a follower; of more the oldest are lost."""
_LONGEST_WAIT = 24 * 3600.0


class _Changed(ForkSafeLock):
    """A condition that is open in a forked child."""

    def renew(self) -> None:
        super().renew()
        self.condition = threading.Condition(self._lock)


class Follower:
    """A stream of the events on some channels, from now on; close it, or use it with `with`.

    Any number of threads may read; each event goes to one of them. An event waits until it is
    read; of more than 1,000 that wait the oldest are lost, which `lost` counts. It ends when it
    is closed, when the pusher is, and in a forked child.
    """

    def __init__(
        self, followers: Followers, channels: frozenset[str], timeout: float | None
    ) -> None:
        self.channels = channels
        self.socket_id = f"{secrets.randbelow(10**9)}.{secrets.randbelow(10**9)}"
        self.lost = 0
        self._followers = followers
        self._timeout = timeout
        self._waiting: deque[Event] = deque()
        self._closed = False
        self._process = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        """Give the events as they come; end when none has come for the `timeout` of `follow`.

        To iterate again is to go on.
        """
        while (event := self.get(self._timeout)) is not None:
            yield event

    @property
    def closed(self) -> bool:
        """Whether no event will come any more."""
        return self._closed or self._process != os.getpid()

    def get(self, timeout: float | None = None) -> Event | None:
        """Return the next event, waiting for up to `timeout` seconds, None for ever.

        Returns None when there was none, and when it is closed.
        """
        limit = checked_timeout(timeout)
        with self._followers.changed:
            condition = self._followers.changed.condition
            condition.wait_for(lambda: self._waiting or self.closed, limit)
            return self._waiting.popleft() if self._waiting and not self.closed else None

    def put(self, event: Event) -> None:
        """Take an event if it is for this follower; called by one that holds the lock."""
        if event.channel in self.channels and event.socket_id != self.socket_id:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self.lost += 1
            self._waiting.append(event)

    def close(self) -> None:
        """End it: whoever waits for an event goes on. A second call is a no-op."""
        self._closed = True
        with self._followers.changed:
            self._followers.changed.condition.notify_all()


class Followers:
    """All followers of this process; one that was forgotten unclosed is none."""

    def __init__(self) -> None:
        self.changed = _Changed()
        self._all: PerProcess[weakref.WeakSet[Follower]] = PerProcess(weakref.WeakSet)

    def add(self, follower: Follower) -> None:
        """Let a follower have what comes from now on."""
        with self.changed:
            self._all.get().add(follower)

    def put(self, event: Event) -> None:
        """Give an event to all who follow its channel."""
        with self.changed:
            for follower in self.open():
                follower.put(event)
            self.changed.condition.notify_all()

    def open(self) -> list[Follower]:
        """Return those that are not closed."""
        return [follower for follower in list(self._all.get()) if not follower.closed]

    def close(self) -> None:
        """End every one."""
        for follower in self.open():
            follower.close()


def checked_timeout(timeout: float | None) -> float | None:
    """Return how long to wait at most. Raises Rejected for what is no time."""
    if timeout is None or (isinstance(timeout, int | float) and 0 <= timeout <= _LONGEST_WAIT):
        return timeout
    raise Rejected("pusher", f"timeout is from 0 to a day, in seconds, not {timeout!r:.40}")
