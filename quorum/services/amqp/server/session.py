"""One connection, from its opening to its end, and what is under way on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from quorum.services.amqp.server.channels import Errand
from quorum.services.amqp.server.publisher import Exchanges, Publisher

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.amqp.server.calls import Call
    from quorum.services.amqp.server.channels import Ask
    from quorum.services.amqp.server.connection import Connection
    from quorum.services.amqp.server.taps import Tap

_MOST_TAPS = 64


class Session:
    """A connection that is open; `calls` are those under way, in the order in which they began.

    `ready` is called once messages can be published. `answered_at` is when the broker last
    answered something that was asked.
    """

    def __init__(self, connection: Connection, place: str, ready: Callable[[], object]) -> None:
        self.connection = connection
        self.place = place
        self.calls: dict[Call, None] = {}
        self.taps: dict[str, Tap] = {}
        self.blocked = False
        self.answered_at = 0.0
        self._bytes = 0
        self._heard_at = time.monotonic()
        self.exchanges = Exchanges(self)
        self.publisher = Publisher(self, ready)

    def renew_publisher(self) -> None:
        """Open another channel to publish on; that of before was closed."""
        self.publisher = Publisher(self, lambda: None)

    def errand(
        self,
        ask: Ask,
        done: Callable[[Any], object],
        failed: Callable[[Exception], object],
    ) -> None:
        """Ask on a channel of its own; neither is called when the connection breaks."""

        def answered(answer: Any) -> None:
            self.answered_at = time.monotonic()
            done(answer)

        def refused(reason: Exception) -> None:
            if self.connection.is_open:
                self.answered_at = time.monotonic()
                failed(reason)

        Errand(self.connection, ask, answered, refused)

    def make_room(self) -> None:
        """Close the channels of queues that nobody waits for, if there are many."""
        if len(self.taps) >= _MOST_TAPS:
            for queue, tap in list(self.taps.items()):
                if tap.idle:
                    del self.taps[queue]
                    tap.close()

    @staticmethod
    def now() -> float:
        """Return the time on the clock of `answered_at`."""
        return time.monotonic()

    def silent_for(self) -> float:
        """Return the seconds since something came, heartbeats included, as seen by this method."""
        if self.connection.bytes_received != self._bytes:
            self._bytes = self.connection.bytes_received
            self._heard_at = time.monotonic()
        return time.monotonic() - self._heard_at
