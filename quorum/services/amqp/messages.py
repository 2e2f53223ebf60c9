"""Messages as they travel: what a body is made of, and what is refused before it is sent."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from quorum.errors import Rejected
from quorum.services.amqp.headers import checked_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_NAME = 255
LARGEST_BODY = 128 * 1024 * 1024
"""Bytes of a body that RabbitMQ takes, unless it is told otherwise (its max_message_size)."""
_LONGEST_EXPIRY = 2**32 - 1
_LARGEST_PRIORITY = 255
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_KINDS = {
    bytes: "application/octet-stream",
    str: "text/plain; charset=utf-8",
    object: "application/json",
}


@dataclass(frozen=True)
class Message:
    """A message that may be sent. `expires_in` is in milliseconds, as on the wire."""

    body: bytes = field(repr=False)
    content_type: str
    message_id: str
    headers: Mapping[str, Any] = field(default_factory=dict, repr=False)
    expires_in: int | None = None
    priority: int | None = None


def message_of(
    body: Any,
    headers: Mapping[str, Any] | None,
    content_type: str | None,
    message_id: str | None,
    expires_in: float | None,
    priority: int | None,
) -> Message:
    """Return the message of what `publish` was given. Raises Rejected for what cannot travel."""
    data, kind = encoded(body)
    if len(data) > LARGEST_BODY:
        raise _refused(f"the body has {len(data)} bytes; {LARGEST_BODY} are the most")
    return Message(
        data,
        kind if content_type is None else _named(content_type, "content type"),
        uuid.uuid4().hex if message_id is None else _named(message_id, "message id"),
        checked_headers(headers),
        _milliseconds(expires_in),
        _priority(priority),
    )


def encoded(body: Any) -> tuple[bytes, str]:
    """Return a body as bytes, and its content type. Raises Rejected for what JSON cannot say."""
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body), _KINDS[bytes]
    try:
        if isinstance(body, str):
            return body.encode(), _KINDS[str]
        # JSON has no NaN (RFC 8259, 6).
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(), _KINDS[object]
    except (TypeError, ValueError, RecursionError) as error:
        fault = _refused(
            f"a body of type {type(body).__name__} is neither bytes, text nor JSON ({error}); "
            "give it as one"
        )
        raise fault from error


def decoded(body: bytes, message_id: str | None) -> Any:
    """Return what a body says in JSON. Raises Rejected where it is none."""
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        fault = _refused(f"the body of message {message_id} is no JSON; read it as bytes")
        raise fault from error


def check_name(name: object, what: str) -> str:
    """Return the name of a queue or an exchange. Raises Rejected for one that no broker takes."""
    return _named(name, f"name of the {what}")


def check_routing_key(key: object) -> str:
    """Return a routing key, which may be empty. Raises Rejected for one that cannot travel."""
    return _short(key, "routing key")


def shown(value: object) -> str:
    """Return a value as an error may show it: Python does not write whole numbers of any size."""
    try:
        return f"{value!r:.40}"
    except ValueError:
        return f"a number of type {type(value).__name__}"


def _refused(sentence: str) -> Rejected:
    return Rejected("amqp", sentence)


def _named(text: object, what: str) -> str:
    if text == "":
        raise _refused(f"the {what} is empty; give one")
    return _short(text, what)


def _short(text: object, what: str) -> str:
    if not isinstance(text, str):
        raise _refused(f"the {what} is text, not {type(text).__name__}; give str")
    if _CONTROL.search(text):
        raise _refused(f"the {what} {text[:40]!a} has a control character or half a character")
    length = len(text.encode())
    if length > LONGEST_NAME:
        raise _refused(f"the {what} {text[:40]!a}… has {length} bytes; {LONGEST_NAME} are the most")
    # Of a subclass, such as an enumeration's, what it says: that is what travels.
    return str.__str__(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _milliseconds(seconds: object) -> int | None:
    if seconds is None:
        return None
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        milliseconds = seconds * 1000
        if 0 < milliseconds <= _LONGEST_EXPIRY:
            return max(1, round(milliseconds))
    raise _refused(f"expires_in is above 0 and at most 49 days, in seconds, not {shown(seconds)}")


def _priority(priority: object) -> int | None:
    if priority is None:
        return None
    if isinstance(priority, int) and not isinstance(priority, bool):
        whole = int(priority)
        if 0 <= whole <= _LARGEST_PRIORITY:
            return whole
    raise _refused(f"a priority is from 0 to {_LARGEST_PRIORITY}, not {shown(priority)}")
