"""The embedded twin: events are kept, and reach those in the process who follow their channel."""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from quorum.errors import Unsupported
from quorum.forks import ForkSafeLock
from quorum.services.pusher.base import Event
from quorum.services.pusher.checked import CheckedPusher
from quorum.services.pusher.events import check_channel, outgoing, refused
from quorum.services.pusher.followers import Follower, Followers, checked_timeout
from quorum.services.pusher.signatures import Signatures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from quorum.services.pusher.events import Outgoing
    from quorum.settings import PusherSettings

MOST_KEPT = 10_000
"""Events that are kept; of more the oldest are forgotten."""
_ANY: Any = object()


class MemoryPusher(CheckedPusher):
    """Keeps the last 10,000 events; signs with PUSHER_KEY and PUSHER_SECRET, else keys of its own.

    Keys of its own are made as it is built: children that are forked later have the same.
    """

    def __init__(self, settings: PusherSettings) -> None:
        key = settings.key.get_secret_value() if settings.key else secrets.token_hex(10)
        secret = settings.secret.get_secret_value() if settings.secret else secrets.token_hex(10)
        super().__init__(settings, Signatures(key, secret))
        self._events: deque[Event] = deque(maxlen=MOST_KEPT)
        self._lock = ForkSafeLock()
        self._followers = Followers()

    @property
    def client(self) -> Any:
        raise Unsupported("pusher", "the embedded twin has no client; set PUSHER_APP_ID")

    @property
    def events(self) -> list[Event]:
        """The last 10,000 events, the oldest first; one for each channel that it was sent to."""
        with self._lock:
            return list(self._events)

    def clear(self) -> None:
        """Forget every event that was sent."""
        with self._lock:
            self._events.clear()

    def follow(self, *channels: str, timeout: float | None = None) -> Follower:
        """Follow channels: iterate over what comes back to have their events as they come.

        It ends when none has come for `timeout` seconds, None for never. Whoever triggers with
        its `socket_id` is not heard by it. Raises Rejected where no channel or a malformed one is
        named, and Unavailable if the pusher is closed.
        """
        self._check_open()
        if not channels:
            raise refused("there is no channel to follow; name at least one")
        names = frozenset(map(check_channel, channels))
        follower = Follower(self._followers, names, checked_timeout(timeout))
        self._followers.add(follower)
        # It may have been closed meanwhile, and would end no follower that came after.
        self._check_open()
        return follower

    def webhook(self, events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of a webhook that tells of events, signed as Pusher's.

        https://pusher.com/docs/channels/server_api/webhooks/ says what they look like.
        """
        told = {"time_ms": int(time.time() * 1000), "events": [dict(event) for event in events]}
        body = json.dumps(told).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Pusher-Key": self._signatures.key,
            "X-Pusher-Signature": self._signatures.sign(body),
        }
        return headers, body

    def send(self, event: Outgoing) -> None:
        for channel in event.channels:
            # To each its own value, which it may change.
            kept, given = (
                Event(channel, event.name, event.value, event.socket_id) for _ in range(2)
            )
            with self._lock:
                self._events.append(kept)
                self._followers.put(given)

    def send_batch(self, events: Sequence[Outgoing]) -> None:
        for event in events:
            self.send(event)

    def list_channels(self, prefix: str) -> Sequence[str]:
        names = {name for follower in self._followers.open() for name in follower.channels}
        return [name for name in names if name.startswith(prefix)]

    def reach(self) -> None:
        """Return: there is no server to reach."""

    def release(self) -> None:
        self._followers.close()

    def assert_triggered(
        self,
        *,
        channel: str | None = None,
        event: str | None = None,
        data: Any = _ANY,
        times: int | None = None,
    ) -> None:
        """Assert that an event was triggered with this: at least one, or just `times`.

        What is not given matches any; `data` is compared as JSON says it. Raises AssertionError
        that lists what was triggered.
        """
        asked = {"channel": channel, "event": event}
        wanted = {name: value for name, value in asked.items() if value is not None}
        value = None if data is _ANY else outgoing("any", "any", data, None).value
        matched = sum(
            wanted.items() <= {"channel": each.channel, "event": each.name}.items()
            and (data is _ANY or each.data == value)
            for each in self.events
        )
        if matched == times or (times is None and matched):
            return
        shown = wanted if data is _ANY else wanted | {"data": value}
        conditions = ", ".join(f"{name}={each!r:.200}" for name, each in shown.items())
        expected = "at least 1 event" if times is None else f"{times} event{'s' * (times != 1)}"
        raise AssertionError(
            f"expected {expected}{' with ' if conditions else ''}{conditions}; "
            f"{matched} matched. {self._listing()}"
        )

    def assert_nothing_triggered(self) -> None:
        """Assert that no event was triggered. Raises AssertionError that lists what was."""
        if self.events:
            raise AssertionError(f"expected no event. {self._listing()}")

    def _listing(self) -> str:
        events = self.events
        if not events:
            return "Nothing was triggered."
        lines = [
            f"\n  {number}. channel={each.channel!r} event={each.name!r} data={each.data!r:.200}"
            for number, each in enumerate(events, 1)
        ]
        return "Triggered:" + "".join(lines)
