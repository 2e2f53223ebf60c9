"""Plain functions that the tests of brokers share."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

DEADLINE = 15.0
"""Seconds within which whatever is waited for must have come."""


def name() -> str:
    """Return the name of a queue or an exchange that no other test has."""
    return f"test-{uuid.uuid4().hex}"


def take(broker: Any, queue: str, seconds: float = DEADLINE) -> Any:
    """Return the next delivery of a queue; fail if none comes in time."""
    delivery = broker.get(queue, timeout=seconds)
    assert delivery is not None, f"no message came to {queue} in time"
    return delivery


def drain(broker: Any, queue: str, wait: float = 0.0) -> list[bytes]:
    """Take and acknowledge what is in a queue, and return the bodies."""
    found = []
    while (delivery := broker.get(queue, timeout=wait)) is not None:
        delivery.ack()
        found.append(delivery.body)
    return found


def own_headers(delivery: Any) -> dict[str, Any]:
    """Return the headers of a delivery but what the queue counts there."""
    return {name: value for name, value in delivery.headers.items() if name != "x-delivery-count"}


def given_back(delivery: Any) -> int:
    """Return how often a delivery of a durable queue was given back before."""
    count: int = delivery.headers.get("x-delivery-count", 0)
    return count


def death_of(delivery: Any) -> dict[str, Any]:
    """Return what the broker wrote on a dead letter at last."""
    return dict(delivery.headers["x-death"][0])
