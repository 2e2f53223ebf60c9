"""The driver: the vendor's client, one of each process, over connections of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pusher
from pusher.client import Client
from pusher.http import GET, POST, Request

from quorum.errors import ConfigurationError, Problem, Unavailable
from quorum.forks import PerProcess
from quorum.services.pusher.checked import CheckedPusher
from quorum.services.pusher.remote.wire import PAUSES, Wire
from quorum.services.pusher.signatures import Signatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorum.services.pusher.events import Outgoing
    from quorum.settings import PusherSettings

_PING_SECONDS = 1.0
_NAMES = ("PUSHER_APP_ID", "PUSHER_KEY", "PUSHER_SECRET")


class _Vendor(NamedTuple):
    """The client that users have, what signs our own requests, and what sends both's."""

    client: Any
    signer: Any
    wire: Wire


class RemotePusher(CheckedPusher):
    """Sends to Pusher (PUSHER_CLUSTER), or to a server of one's own (PUSHER_HOST).

    The proxies of the environment are used (HTTPS_PROXY, NO_PROXY).
    """

    def __init__(self, settings: PusherSettings) -> None:
        if not settings.app_id or settings.key is None or settings.secret is None:
            raise ConfigurationError([Problem("pusher", "needs an application", names=_NAMES)])
        self._keys = (settings.key, settings.secret)
        super().__init__(settings, Signatures(*(each.get_secret_value() for each in self._keys)))
        self._vendor = PerProcess(self._build)

    @property
    def client(self) -> Any:
        self._check_open()
        return self._vendor.get().client

    def send(self, event: Outgoing) -> None:
        about = {"name": event.name, "channels": list(event.channels), "data": event.data}
        self._ask(POST, "events", about | _excluded(event))

    def send_batch(self, events: Sequence[Outgoing]) -> None:
        batch = [
            {"name": event.name, "channel": event.channels[0], "data": event.data}
            | _excluded(event)
            for event in events
        ]
        self._ask(POST, "batch_events", {"batch": batch})

    def list_channels(self, prefix: str) -> Sequence[str]:
        answer = self._ask(GET, "channels", {"filter_by_prefix": prefix} if prefix else {})
        channels = answer.get("channels")
        # Where nobody follows any, a server written in PHP says [].
        if channels == []:
            return []
        if not isinstance(channels, dict):
            raise Unavailable(
                "pusher", "the server does not list its channels; check PUSHER_HOST and PUSHER_PORT"
            )
        return [name for name in channels if name.startswith(prefix)]

    def prepare(self) -> None:
        """Build the client, which asks no server."""
        self._vendor.get()

    def reach(self) -> None:
        vendor = self._vendor.get()
        request = Request(vendor.signer, GET, self._path("channels/quorum"))
        # One that is answered at once leaves time to ask again where a connection had ended.
        vendor.wire.send(request, min(_PING_SECONDS, self._settings.timeout), PAUSES[:1])

    def release(self) -> None:
        if self._vendor.built is not None:
            self._vendor.built.wire.close()

    def _ask(self, method: str, path: str, params: dict[str, Any]) -> dict[str, Any]:
        # Not by the client's own verbs, whose limits are sizes of objects of Python. A copy, since
        # the signature is put into what is given.
        vendor = self._vendor.get()
        request = Request(vendor.signer, method, self._path(path), dict(params))
        return vendor.wire.send(request, self._settings.timeout)

    def _path(self, path: str) -> str:
        return f"/apps/{self._settings.app_id}/{path}"

    def _build(self) -> _Vendor:
        settings = self._settings
        key, secret = (each.get_secret_value() for each in self._keys)
        host = f"[{settings.host}]" if ":" in (settings.host or "") else settings.host
        options: dict[str, Any] = {"ssl": settings.ssl, "host": host, "port": settings.port}
        options |= {"cluster": settings.cluster, "timeout": settings.timeout}
        signer = Client(settings.app_id, key, secret, **options, backend=_none)
        wire = Wire(settings.timeout, (key, secret), tls=settings.ssl, host=signer.host)
        client = pusher.Pusher(settings.app_id, key, secret, **options, backend=lambda _: wire)
        return _Vendor(client, signer, wire)


def _none(_: Client) -> None:
    """Stand for a backend, where only the signing is used."""


def _excluded(event: Outgoing) -> dict[str, str]:
    return {} if event.socket_id is None else {"socket_id": event.socket_id}
