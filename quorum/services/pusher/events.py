"""Events as they travel: what their data is made of, and what is refused before it is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected, Unsupported
from quorum.services.pusher.base import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_CHANNELS = 100
MOST_EVENTS = 10
LONGEST_CHANNEL = 164
LONGEST_NAME = 200
LARGEST_DATA = 10 * 1024
"""Bytes of the data of one event."""

_CHANNEL = re.compile(r"[A-Za-z0-9_=@,.;-]*")
_SOCKET_ID = re.compile(r"[0-9]+\.[0-9]+")


@dataclass(frozen=True)
class Outgoing:
    """An event that may be sent; its data is JSON, or where it is `plain` any text."""

    channels: tuple[str, ...]
    name: str
    data: str = field(repr=False)
    plain: bool
    socket_id: str | None

    @property
    def value(self) -> Any:
        """The data as they who follow have it."""
        return self.data if self.plain else json.loads(self.data)


def refused(sentence: str) -> Rejected:
    """Return the error of our own checks."""
    return Rejected("pusher", sentence)


def outgoing(channels: Any, name: Any, data: Any, socket_id: Any) -> Outgoing:
    """Return the event of what `trigger` was given. Raises Rejected for what cannot travel."""
    listed = _listed(channels)
    for channel in listed:
        check_unencrypted(check_channel(channel))
    text, plain = _encoded(data)
    if len(text.encode()) > LARGEST_DATA:
        raise refused(
            f"the data has {len(text.encode())} bytes; {LARGEST_DATA} are the most: send an id, "
            "by which the rest can be fetched"
        )
    id_ = None if socket_id is None else check_socket_id(socket_id)
    return Outgoing(listed, _name(name), text, plain, id_)


def outgoing_batch(events: Any) -> Sequence[Outgoing]:
    """Return the events of a batch. Raises Rejected for what cannot travel."""
    listed: list[Any] = list(events) if isinstance(events, Iterable) else [None]
    if not all(isinstance(event, Event) for event in listed):
        raise refused("a batch is a list of quorum.Event; make one of each event")
    if len(listed) > MOST_EVENTS:
        raise refused(
            f"the batch has {len(listed)} events; {MOST_EVENTS} are the most: send several batches"
        )
    for event in listed:
        check_channel(event.channel)
    return [outgoing(event.channel, event.name, event.data, event.socket_id) for event in listed]


def check_channel(channel: object) -> str:
    """Return the name of a channel. Raises Rejected for one that is malformed."""
    if not channel:
        raise refused("the name of the channel is empty; give it one")
    return check_prefix(channel)


def check_unencrypted(channel: str) -> None:
    """Raise Unsupported for a channel whose events are encrypted."""
    if channel.startswith("private-encrypted-"):
        raise Unsupported(
            "pusher",
            f"the channel {channel!r} is encrypted, which needs a master key that there is no "
            "setting for; use a private- channel",
        )


def check_prefix(prefix: object) -> str:
    """Return how the names of channels begin, which may be empty. Raises as `check_channel`."""
    if isinstance(prefix, str) and _CHANNEL.fullmatch(prefix) and len(prefix) <= LONGEST_CHANNEL:
        return prefix
    raise refused(
        f"{prefix!r:.60} names no channel; give at most {LONGEST_CHANNEL} characters of "
        "A-Z a-z 0-9 _ - = @ , . ;"
    )


def check_socket_id(socket_id: object) -> str:
    """Return a socket id. Raises Rejected for one that is malformed."""
    if isinstance(socket_id, str) and _SOCKET_ID.fullmatch(socket_id):
        return socket_id
    raise refused(f"{socket_id!r:.60} is no socket id; it has the form 1234.5678")


def dumped(value: Any, what: str, *, ascii_only: bool = False, compact: bool = True) -> str:
    """Return JSON. Raises Rejected for what JSON cannot say."""
    try:
        # JSON has no NaN (RFC 8259, 6).
        text = json.dumps(
            value,
            ensure_ascii=ascii_only,
            allow_nan=False,
            separators=(",", ":") if compact else None,
        )
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        fault = refused(
            f"{what} of type {type(value).__name__} cannot be said in JSON; give text, numbers, "
            "lists and dictionaries"
        )
        raise fault from error
    return text


def _listed(channels: Any) -> tuple[str, ...]:
    if isinstance(channels, str):
        return (channels,)
    if isinstance(channels, bytes | Mapping) or not isinstance(channels, Iterable):
        raise refused("give the name of a channel, or a list of names")
    # A name that is given twice is one channel.
    listed = tuple(dict.fromkeys(map(check_channel, channels)))
    if not listed:
        raise refused("there is no channel to send to; name at least one")
    if len(listed) > MOST_CHANNELS:
        raise refused(
            f"there are {len(listed)} channels; {MOST_CHANNELS} are the most: trigger several times"
        )
    return listed


def _name(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise refused(
            f"{name!r:.60} names no event; give a text of at most {LONGEST_NAME} characters"
        )
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise refused(f"the name of the event {name!a:.60} is no Unicode text") from error
    return name


def _encoded(data: Any) -> tuple[str, bool]:
    """Return data as text, and whether that is not JSON but what was given."""
    # Servers take data that is empty for none.
    if not isinstance(data, str) or not data:
        return dumped(data, "data"), False
    try:
        data.encode()
    except UnicodeEncodeError as error:
        raise refused("the data is no Unicode text") from error
    return data, True
