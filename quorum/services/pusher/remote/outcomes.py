"""What became of a request, in our words, which hold neither key nor signature."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar

from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from quorum.errors import Rejected, ServiceError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

_GOOD = {200, 202}
_LATE = 408
_BUSY = {_LATE, 429}
_FAILED = 500
_UNKNOWN = 400
_LONGEST_WAIT = 86_400.0
_LONGEST_TEXT = 200
_REPAIRS = {
    401: "check PUSHER_APP_ID, PUSHER_KEY and PUSHER_SECRET, and the clock of this machine",
    403: "check PUSHER_KEY, and whether the application is disabled or over its quota",
    404: "check PUSHER_APP_ID, PUSHER_CLUSTER and PUSHER_HOST",
    413: "send less: an id, by which the rest can be fetched",
}


@dataclass(frozen=True)
class Answer:
    """What a server answered; `wait` is after how many seconds it wants to be asked again."""

    status: int
    content: dict[str, Any] | None = field(default=None, repr=False)
    text: str = field(default="", repr=False)
    wait: float = 0.0
    error: ClassVar[None] = None

    @classmethod
    def read(cls, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Read an answer. What says that it is an error is one, whatever its status is."""
        text = body.decode(errors="replace")
        content = _content(text)
        if content is not None and "error" in content:
            text, code = str(content["error"]), content.get("code")
            if status in _GOOD:
                status = code if type(code) is int and code >= _UNKNOWN else _UNKNOWN
        return cls(status, content, text, _seconds(headers.get("Retry-After", "")))

    @property
    def sent(self) -> bool:
        """Whether the request may have been taken: one that fails may have failed after that."""
        return self.status >= _FAILED or self.status == _LATE

    @property
    def good(self) -> bool:
        """Whether a Pusher server says that it was done."""
        return self.status in _GOOD and self.content is not None

    @property
    def passing(self) -> bool:
        """Whether the next may do better."""
        return self.status in _BUSY or self.status >= _FAILED

    def explain(self, place: str, secrets: tuple[str, ...]) -> ServiceError:
        """Return the error of ours; of what the server says that holds a secret, nothing."""
        if self.passing:
            later = f"in {self.wait:.0f} seconds" if self.wait else "later"
            return Unavailable("pusher", f"{place} does not serve now ({self.status}); try {later}")
        if self.status in _GOOD:
            return Unavailable(
                "pusher",
                f"{place} answers what no server of Pusher does; check PUSHER_HOST and PUSHER_PORT",
            )
        said = " ".join(self.text.split())[:_LONGEST_TEXT]
        # Pusher's answer to a wrong signature tells the right one.
        hidden = not said.isprintable() or any(each in self.text for each in (*secrets, "auth_"))
        told = f"{self.status}: {said}" if said and not hidden else f"{self.status}"
        repair = _REPAIRS.get(self.status, "check PUSHER_HOST, PUSHER_PORT and PUSHER_SSL")
        return Rejected("pusher", f"{place} refused it ({told}); {repair}")


@dataclass(frozen=True)
class Loss:
    """A connection that failed: its error, and whether something was sent before."""

    error: OSError | None
    sent: bool
    wait: ClassVar[float] = 0.0

    @classmethod
    def read(cls, error: BaseException) -> Loss:
        """Read an error of urllib3, and keep what of it holds no signature."""
        sent = not isinstance(error, NewConnectionError | ConnectTimeoutError)
        found: BaseException | None = error
        while found is not None and not isinstance(found, OSError):
            found = found.__cause__ or found.__context__ or _inner(found)
        if found is not None:
            # The frames of its traceback have the signed URL.
            found.__traceback__ = found.__cause__ = found.__context__ = None
        return cls(found, sent)

    @property
    def passing(self) -> bool:
        """Whether the next may do better."""
        return not isinstance(self.error, ssl.SSLCertVerificationError)

    def explain(self, place: str, _: tuple[str, ...]) -> ServiceError:
        """Return the error of ours."""
        if isinstance(self.error, ssl.SSLCertVerificationError):
            return Unavailable(
                "pusher",
                f"the certificate of {place} is not trusted ({self.error.verify_message}); name "
                "its authority in SSL_CERT_FILE",
            )
        return Unavailable(
            "pusher",
            f"{place} cannot be reached, or the connection was lost; check PUSHER_HOST, "
            "PUSHER_PORT, PUSHER_CLUSTER, PUSHER_SSL and the network",
        )


def _inner(error: BaseException) -> BaseException | None:
    return next((each for each in error.args if isinstance(each, BaseException)), None)


def _content(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _seconds(text: str) -> float:
    """Return the seconds of a Retry-After (RFC 9110, 10.2.3), 0 for one that says nothing."""
    try:
        if text.isascii() and text.isdigit():
            return min(float(text), _LONGEST_WAIT)
        until = parsedate_to_datetime(text)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0
