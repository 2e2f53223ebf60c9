"""Signatures of an application: who may follow a channel, and whether a webhook is genuine.

https://pusher.com/docs/channels/library_auth_reference/auth-signatures/
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from quorum.services.pusher.events import refused

_NEWEST = 300.0
"""Seconds that the clocks may be apart, with the time that a webhook is under way."""


class Signatures:
    """Signs and checks with the key and the secret of an application."""

    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self._secret = secret.encode()

    def sign(self, data: bytes | bytearray | memoryview) -> str:
        """Return the signature of some bytes."""
        return hmac.new(self._secret, data, hashlib.sha256).hexdigest()

    def authorize(self, channel: str, socket_id: str, user: str | None) -> dict[str, Any]:
        """Return what lets a socket follow a channel; `user` is JSON that says who it is."""
        parts = [socket_id, channel] + ([] if user is None else [user])
        answer = {"auth": f"{self.key}:{self.sign(':'.join(parts).encode())}"}
        return answer if user is None else answer | {"channel_data": user}

    def check_webhook(self, key: Any, signature: Any, body: Any) -> dict[str, Any]:
        """Return what a webhook says. Raises Rejected for one that is not the server's."""
        data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        if not isinstance(data, bytes | bytearray | memoryview):
            raise refused("the webhook has no body; give the bytes of the request")
        data = bytes(data)
        if key is None or signature is None:
            raise refused(
                "the webhook has no X-Pusher-Key or X-Pusher-Signature; it is none of Pusher's"
            )
        if not _same(key, self.key):
            raise refused("the webhook has the key of another application; check PUSHER_KEY")
        if not _same(signature, self.sign(data)):
            raise refused("the webhook has a wrong signature; check PUSHER_SECRET")
        try:
            said = json.loads(data)
            told = said["time_ms"] / 1000
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise refused("the webhook has no time; it is none of Pusher's") from error
        # Not within the range is also what is no number.
        if not abs(time.time() - told) <= _NEWEST:
            raise refused(
                "the webhook is more than 5 minutes old; check the clock, or it was sent again by "
                "somebody else"
            )
        answer: dict[str, Any] = said
        return answer


def _same(given: Any, right: str) -> bool:
    # As bytes, since text outside ASCII cannot be compared in constant time.
    text = given if isinstance(given, str) else ""
    return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), right.encode())
