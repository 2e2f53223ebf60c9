"""What a broker writes on a dead letter (https://www.rabbitmq.com/docs/dlx)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from quorum.services.amqp.memory.published import Published

Reason = Literal["rejected", "expired", "delivery_limit"]


def dead_letter(message: Published, queue: str, dead: str, reason: Reason) -> Published:
    """Return a message as it goes to the queue `dead`, with why in its headers."""
    known = message.headers.get("x-death")
    headers = dict(message.headers)
    if known is None:
        headers |= {
            "x-first-death-exchange": message.exchange,
            "x-first-death-queue": queue,
            "x-first-death-reason": reason,
        }
    headers["x-death"] = _with(known or [], _death(message, queue, reason))
    return replace(message, exchange="", routing_key=dead, headers=headers, expires_in=None)


def _death(message: Published, queue: str, reason: Reason) -> dict[str, Any]:
    death: dict[str, Any] = {
        "count": 1,
        "reason": reason,
        "queue": queue,
        "time": datetime.now(UTC).replace(microsecond=0),
        "exchange": message.exchange,
        "routing-keys": [message.routing_key],
    }
    if message.expires_in is not None:
        death["original-expiration"] = str(message.expires_in)
    return death


def _with(deaths: list[dict[str, Any]], death: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the deaths with one more at the front; of the same kind, one that is counted."""
    others: list[dict[str, Any]] = []
    for each in deaths:
        same = all(each.get(name) == death[name] for name in ("queue", "reason"))
        if same:
            death = each | {"count": each.get("count", 0) + 1}
        else:
            others.append(each)
    return [death, *others]
