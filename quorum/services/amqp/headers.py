"""Headers as they travel: which values AMQP has a form for, and how these come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from quorum.errors import Rejected

_LONGEST_NAME = 255
_LARGEST = 64 * 1024
"""Bytes of all headers: they travel in one frame, of at least 4 kB and mostly of 128 kB."""
_DEEPEST = 32
_ROUTING = frozenset({"CC", "BCC"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def checked_headers(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return headers as the broker would give them back. Raises Rejected for what cannot travel."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise Rejected("amqp", f"headers are a mapping, not {type(headers).__name__}; give a dict")
    if found := _ROUTING.intersection(headers):
        raise Rejected(
            "amqp", f"the header {min(found)} would route for RabbitMQ; bind the queues instead"
        )
    table = _table(headers, 0)
    if "x-death" in table and not _told_by_a_broker(table["x-death"]):
        raise Rejected(
            "amqp", "the header x-death is no list of deaths; leave it to the broker, which adds it"
        )
    if (size := _size(table)) > _LARGEST:
        raise Rejected(
            "amqp", f"the headers have {size} bytes; {_LARGEST} are the most, use the body"
        )
    return table


def _told_by_a_broker(deaths: Any) -> bool:
    """Tell whether a broker can add to deaths: RabbitMQ 3.10 falls over others, with all queues."""
    return isinstance(deaths, list) and all(
        isinstance(death, dict) and type(death.get("count", 0)) is int for death in deaths
    )


def _table(headers: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {_name(name): _value(value, name, depth) for name, value in headers.items()}


def _name(name: object) -> str:
    if isinstance(name, str):
        length = len(name.encode(errors="surrogatepass"))
        if name.isprintable() and 0 < length <= _LONGEST_NAME:
            return str.__str__(name)
    raise Rejected(
        "amqp",
        f"the name of a header is printable text of 1 to {_LONGEST_NAME} bytes, not {name!a:.40}",
    )


def _value(value: Any, name: str, depth: int) -> Any:
    found: Any = _scalar(value, name)
    if found is not None or value is None:
        return found
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            return _table(value, depth + 1)
        if isinstance(value, Sequence):
            return [_value(each, name, depth + 1) for each in value]
    raise Rejected(
        "amqp",
        f"the header {name[:40]!a} has a {type(value).__name__}, which AMQP has no form for; give "
        f"text, bytes, a whole number of 64 bits, a moment with its time zone, or lists and "
        f"mappings of these, at most {_DEEPEST} deep",
    )


def _scalar(value: Any, name: str) -> str | bytes | int | datetime | None:
    """Return a single value as it travels; None for what is none."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            fault = Rejected(
                "amqp", f"the header {name[:40]!a} has half a character; mend its text"
            )
            raise fault from error
        return str.__str__(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, datetime) and value.utcoffset() is not None and value >= _EPOCH:
        # It travels in whole seconds.
        return value.astimezone(UTC).replace(microsecond=0)
    return None


def _size(value: Any) -> int:
    """Return the bytes that a value takes, at most."""
    if isinstance(value, str):
        return 5 + len(value.encode())
    if isinstance(value, bytes):
        return 5 + len(value)
    if isinstance(value, dict):
        return 5 + sum(1 + len(name.encode()) + _size(each) for name, each in value.items())
    if isinstance(value, list):
        return 5 + sum(map(_size, value))
    return 9
