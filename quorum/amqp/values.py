"""What travels beside a body: properties, and how a message came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from quorum.choice import lazy
from quorum.errors import Rejected, Unsupported

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pika import BasicProperties

    from quorum.services.amqp.base import Delivery

_properties = lazy("pika:BasicProperties")

_NOT_CARRIED = (
    *("content_encoding", "correlation_id", "reply_to", "timestamp"),
    *("type", "user_id", "app_id", "cluster_id"),
)
_MODES = {None, 1, 2}


class Method(NamedTuple):
    """How a message came. How many are left in the queue is not told: `message_count` is None."""

    delivery_tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    consumer_tag: str | None = None
    message_count: int | None = None


class DeclareOk(NamedTuple):
    """The queue that was declared; how many messages and consumers it has is not told."""

    queue: str
    message_count: int | None = None
    consumer_count: int | None = None


class Declared(NamedTuple):
    """The answer to a declaration."""

    method: DeclareOk


class Described(TypedDict, total=False):
    """What `Broker.publish` is told beside the body."""

    content_type: str | None
    headers: Mapping[str, Any] | None
    message_id: str | None
    priority: int | None
    expires_in: float | None


def properties_of(delivery: Delivery) -> BasicProperties:
    """Return the properties of a message that came; those that are not told are None."""
    made: BasicProperties = _properties(
        content_type=delivery.content_type,
        headers=dict(delivery.headers),
        message_id=delivery.message_id,
    )
    return made


def described(properties: BasicProperties | None) -> Described:
    """Return what the broker is told of pika's properties.

    Raises Unsupported for one that is not carried, and Rejected for a delivery mode or an
    expiration that AMQP does not know.
    """
    if properties is None:
        return {}
    for name in _NOT_CARRIED:
        if getattr(properties, name, None) is not None:
            raise Unsupported(
                "amqp", f"the property {name} is not carried with a message; put it in a header"
            )
    if properties.delivery_mode not in _MODES:
        raise Rejected("amqp", "delivery_mode is 1 or 2; every message is persistent, which is 2")
    return {
        "content_type": properties.content_type,
        "headers": properties.headers,
        "message_id": properties.message_id,
        "priority": properties.priority,
        "expires_in": _seconds(properties.expiration),
    }


def _seconds(expiration: object) -> float | None:
    if expiration is None:
        return None
    if not isinstance(expiration, str) or not expiration.isdecimal():
        raise Rejected("amqp", f"expiration is in milliseconds, as text, not {expiration!r:.40}")
    return int(expiration) / 1000


def refuse(name: str, shape: str, names: Collection[str]) -> None:
    """Raise Unsupported for an attribute of pika's that is not here, else AttributeError."""
    if name in names:
        raise Unsupported(
            "amqp", f"{name} of a pika {shape} is not had here; see Container.amqp for what is"
        )
    raise AttributeError(f"a {shape} has no attribute {name!r}")


def refuse_given(method: str, **arguments: Any) -> None:
    """Raise Unsupported for the first argument that was given."""
    for name, value in arguments.items():
        if value:
            raise Unsupported("amqp", f"{method}() does not take {name} here; leave it out")
