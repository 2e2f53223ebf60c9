"""Pusher: what it promises, and the event that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Channels = str | Sequence[str]


@dataclass(frozen=True)
class Event:
    """An event on one channel; `data` is text, or whatever JSON can say.

    Who has `socket_id` is left out.
    """

    channel: str
    name: str
    data: Any = field(repr=False, default=None)
    socket_id: str | None = None


class Pusher(Protocol):
    """Sends events to those who follow a channel in a browser.

    A trigger that returns was taken by the server. Names of channels have at most 164 characters
    of `A-Z a-z 0-9 _ - = @ , . ;` (https://pusher.com/docs/channels/using_channels/channels/),
    names of events at most 200; an event has at most 10 kB of data, as JSON. What is over that is
    refused before anything is sent.

    A call takes at most PUSHER_TIMEOUT seconds, with the attempts it repeats: a server that is
    busy (429), fails (5xx) or breaks the connection is asked again, so that an event may come
    twice. Raises Unavailable where the server cannot be reached or fails, TimedOut where it does
    not answer in time, and Rejected where it or our own check refuses. An error that says
    "outcome unknown" is one after which the events may have been taken all the same.
    """

    @property
    def client(self) -> Any:
        """The vendor's client, of this process. Raises Unsupported where there is none.

        Its calls keep to the same limits of time and raise the same errors; ValueError and
        TypeError are of its own checks.
        """
        ...

    def trigger(
        self, channels: Channels, event: str, data: Any, *, socket_id: str | None = None
    ) -> None:
        """Send an event to one channel, or to as many as 100.

        `data` is text, which travels as it is, or whatever JSON can say. Who has `socket_id` is
        left out: the one who caused the event knows of it. Raises Unsupported for a channel that
        begins with private-encrypted-.
        """
        ...

    def trigger_batch(self, events: Sequence[Event]) -> None:
        """Send up to 10 events in one call. A no-op for none. Raises as `trigger` does."""
        ...

    def authenticate(
        self, channel: str, socket_id: str, user: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what lets a visitor follow a private channel, to be answered as JSON.

        A presence channel needs `user`: a `user_id`, and a `user_info` if there is any to tell
        (https://pusher.com/docs/channels/library_auth_reference/auth-signatures/); for a private
        one it is left out. Nothing is sent. Raises Rejected for a channel that is neither, for a
        malformed socket id or user, and Unsupported for one that begins with private-encrypted-.
        """
        ...

    def validate_webhook(
        self, key: str | None, signature: str | None, body: bytes | str
    ) -> dict[str, Any]:
        """Return what a webhook says, once its signature is seen to be the server's.

        `key` and `signature` are the headers X-Pusher-Key and X-Pusher-Signature, `body` the
        bytes of the request. Raises Rejected for any other, and for one that is more than 5
        minutes old: answer that with 401. Nothing is sent.
        """
        ...

    def channels(self, prefix: str = "") -> tuple[str, ...]:
        """Return the names of the channels that somebody follows, in order."""
        ...

    def ping(self) -> None:
        """Return within a second if the server answers; else raise Unavailable or TimedOut.

        Raises Rejected where the key or the secret is refused.
        """
        ...

    def close(self) -> None:
        """Let go of all connections; a second call is a no-op, any other raises Unavailable."""
        ...
