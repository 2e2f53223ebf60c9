"""A queue in memory: what is ready, what was taken, and who takes from it."""

from __future__ import annotations

import heapq
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quorum.services.amqp.checked import Queue
    from quorum.services.amqp.deliveries import OneAnswer
    from quorum.services.amqp.memory.published import Published


class Taker(Protocol):
    """What takes the messages of a queue as they come."""

    @property
    def free(self) -> bool:
        """Whether it takes one more now."""
        ...

    @property
    def idle(self) -> bool:
        """Whether it has dealt with all that it took."""
        ...

    def put(self, taken: Taken, delivery: OneAnswer) -> None:
        """Have a message dealt with that was taken for it."""
        ...

    def let_go(self, taken: Taken) -> None:
        """Note that a message is held no more."""
        ...

    def stop(self, timeout: float | None = None) -> bool:
        """Take no more, as the contract of a consumer says."""
        ...


@dataclass(eq=False)
class Stored:
    """A message in a queue; `place` orders it: what was given back is ahead, the first first."""

    place: tuple[bool, int]
    published: Published
    expires: float | None = None
    given_back: int = 0

    @property
    def expired(self) -> bool:
        """Whether the queue lets go of it."""
        return self.expires is not None and self.expires <= time.monotonic()


@dataclass(eq=False)
class Taken:
    """A message that was taken from a queue and is not answered, and what took it."""

    queue: MessageQueue
    stored: Stored
    consumer: Taker | None = None


class MessageQueue:
    """The messages of one queue. Whoever calls holds the broker's lock."""

    def __init__(self, properties: Queue) -> None:
        self.properties = properties
        self.consumers: deque[Taker] = deque()
        self._ready: list[tuple[tuple[bool, int], Stored]] = []

    def put(self, stored: Stored) -> None:
        """Make a message ready, at its place."""
        heapq.heappush(self._ready, (stored.place, stored))

    def take(self) -> Stored | None:
        """Take the first message out, if there is one."""
        return heapq.heappop(self._ready)[1] if self._ready else None

    def take_expired(self) -> Iterator[Stored]:
        """Take out what has expired, up to the first that has not, as a quorum queue does."""
        while self._ready and self._ready[0][1].expired:
            yield heapq.heappop(self._ready)[1]

    def next_consumer(self) -> Taker | None:
        """Return the next consumer that takes one more, each in its turn."""
        for _ in range(len(self.consumers)):
            self.consumers.rotate(-1)
            if (consumer := self.consumers[-1]).free:
                return consumer
        return None

    @property
    def next_expiry(self) -> float | None:
        """The moment, on the monotonic clock, at which the first message expires."""
        return self._ready[0][1].expires if self._ready else None

    @property
    def ready(self) -> list[Stored]:
        """What may be taken, the next first."""
        return [stored for _, stored in sorted(self._ready)]

    def __len__(self) -> int:
        return len(self._ready)
