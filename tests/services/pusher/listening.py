"""Visitors who hear what is triggered: in the process of the twin, or on a websocket."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import websocket

if TYPE_CHECKING:
    from quorum.services.pusher.memory import MemoryPusher
    from quorum.services.pusher.remote import RemotePusher

SECONDS = 5.0


class Heard(NamedTuple):
    """An event as a visitor has it."""

    channel: str
    name: str
    data: Any


class TwinListener:
    """A follower of the twin's channels."""

    def __init__(self, twin: MemoryPusher, *channels: str) -> None:
        self._follower = twin.follow(*channels)
        self.socket_id = self._follower.socket_id

    def hear(self) -> Heard:
        """Return the next event."""
        event = self._follower.get(SECONDS)
        assert event is not None
        return Heard(event.channel, event.name, event.data)

    def close(self) -> None:
        self._follower.close()


class SocketListener:
    """A visitor on a websocket, who speaks Pusher's protocol 7."""

    def __init__(self, remote: RemotePusher, port: int, key: str, *channels: str) -> None:
        url = f"ws://127.0.0.1:{port}/app/{key}?protocol=7&client=test&version=1"
        self._socket = websocket.create_connection(url, timeout=SECONDS)
        self.socket_id = json.loads(self._receive("pusher:connection_established")["data"])[
            "socket_id"
        ]
        self.members: list[str] = []
        for channel in channels:
            self._follow(remote, channel)

    def hear(self) -> Heard:
        """Return the next event."""
        event = self._receive()
        return Heard(event["channel"], event["event"], _read(event["data"]))

    def close(self) -> None:
        self._socket.close()

    def _follow(self, remote: RemotePusher, channel: str) -> None:
        leave: dict[str, Any] = {}
        if channel.startswith("private-"):
            leave = remote.authenticate(channel, self.socket_id)
        elif channel.startswith("presence-"):
            user = {"user_id": "ana", "user_info": {"name": "Añá"}}
            leave = remote.authenticate(channel, self.socket_id, user)
        # As the view of an application answers.
        leave = json.loads(json.dumps(leave))
        question = {"event": "pusher:subscribe", "data": {"channel": channel, **leave}}
        self._socket.send(json.dumps(question))
        answer = self._receive("pusher_internal:subscription_succeeded")
        said = json.loads(answer["data"]) if isinstance(answer.get("data"), str) else {}
        self.members += said.get("presence", {}).get("ids", [])

    def _receive(self, name: str | None = None) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            event: dict[str, Any] = json.loads(self._socket.recv())
            if event["event"] == name or (name is None and not event["event"].startswith("pusher")):
                return event
            assert "error" not in event["event"], event
        raise AssertionError(f"no {name or 'event'} came")


def _read(data: str) -> Any:
    """Read data as Pusher's own client for browsers does."""
    try:
        return json.loads(data)
    except ValueError:
        return data
