"""What every pusher does before it sends: the checks, the counting, the open state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from quorum.errors import Unavailable
from quorum.services.counts import Counts
from quorum.services.pusher.events import (
    check_channel,
    check_prefix,
    check_socket_id,
    check_unencrypted,
    dumped,
    outgoing,
    outgoing_batch,
    refused,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from quorum.services.pusher.base import Channels, Event
    from quorum.services.pusher.events import Outgoing
    from quorum.services.pusher.signatures import Signatures
    from quorum.settings import PusherSettings

_USER = {"user_id", "user_info"}


class CheckedPusher(ABC):
    """A pusher but for the last steps, which are given what was checked.

    All raise errors of ours.
    """

    def __init__(self, settings: PusherSettings, signatures: Signatures) -> None:
        self._settings = settings
        self._signatures = signatures
        self._closed = False
        self.counts = Counts()

    @property
    @abstractmethod
    def client(self) -> Any: ...

    @abstractmethod
    def send(self, event: Outgoing) -> None:
        """Send an event to its channels."""

    @abstractmethod
    def send_batch(self, events: Sequence[Outgoing]) -> None:
        """Send events, each to its one channel; there is at least one."""

    @abstractmethod
    def list_channels(self, prefix: str) -> Sequence[str]:
        """Return the names of the channels that somebody follows."""

    @abstractmethod
    def reach(self) -> None:
        """Return if the server answers now."""

    @abstractmethod
    def release(self) -> None:
        """Let go of what is held; called once, as the pusher closes."""

    def trigger(
        self, channels: Channels, event: str, data: Any, *, socket_id: str | None = None
    ) -> None:
        with self._call():
            self.send(outgoing(channels, event, data, socket_id))

    def trigger_batch(self, events: Sequence[Event]) -> None:
        with self._call():
            batch = outgoing_batch(events)
            if batch:
                self.send_batch(batch)

    def authenticate(
        self, channel: str, socket_id: str, user: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        with self._call():
            check_channel(channel)
            check_socket_id(socket_id)
            check_unencrypted(channel)
            if channel.startswith("presence-"):
                return self._signatures.authorize(channel, socket_id, _user(user))
            if channel.startswith("private-"):
                return self._signatures.authorize(channel, socket_id, None)
            raise refused(
                f"anybody may follow the channel {channel!r}; one that begins with private- or "
                "presence- needs leave"
            )

    def validate_webhook(
        self, key: str | None, signature: str | None, body: bytes | str
    ) -> dict[str, Any]:
        with self._call():
            return self._signatures.check_webhook(key, signature, body)

    def channels(self, prefix: str = "") -> tuple[str, ...]:
        with self._call():
            return tuple(sorted(self.list_channels(check_prefix(prefix))))

    def ping(self) -> None:
        self._check_open()
        self.reach()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.release()

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Count the block as a call, once the pusher is seen open."""
        with self.counts.call():
            self._check_open()
            yield

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("pusher", "it is closed; load the application again to use it")


def _user(user: object) -> str:
    """Return as JSON who follows a presence channel."""
    found = dict(user) if isinstance(user, Mapping) else {}
    who = found.get("user_id")
    if not isinstance(who, str | int) or isinstance(who, bool) or who == "":
        raise refused("a presence channel needs a user: a dictionary with a user_id")
    if found.keys() - _USER:
        raise refused("a user has a user_id and a user_info, and nothing else; put it in user_info")
    # Written just as the vendor's library does.
    return dumped(found, "a user", ascii_only=True, compact=False)
