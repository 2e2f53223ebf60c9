"""What was published, and the assertions about it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected
from quorum.services.amqp.messages import decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from quorum.services.amqp.messages import Message

ANY: Any = object()
"""Stands for a condition that is not given, where None means JSON's null."""
_SHOWN = 20
_WIDEST = 200


@dataclass(frozen=True)
class Published:
    """A message as it was published. `expires_in` is in milliseconds, as on the wire."""

    body: bytes
    routing_key: str
    exchange: str
    message_id: str | None
    content_type: str | None
    headers: Mapping[str, Any] = field(default_factory=dict)
    expires_in: int | None = None
    priority: int | None = None

    @classmethod
    def of(cls, message: Message, exchange: str, routing_key: str) -> Published:
        """Return a message with where it is published to."""
        return cls(
            message.body,
            routing_key,
            exchange,
            message.message_id,
            message.content_type,
            message.headers,
            message.expires_in,
            message.priority,
        )

    def json(self) -> Any:
        """Return what the body says in JSON. Raises Rejected where it is none."""
        return decoded(self.body, self.message_id)


def assert_published(
    published: Iterable[Published],
    *,
    routing_key: str | None,
    exchange: str | None,
    says: Any,
    body: Any,
    times: int | None,
) -> None:
    """Assert that messages of that kind are among those published: at least one, or `times`."""
    asked = {"routing_key": routing_key, "exchange": exchange}
    asked = {name: value for name, value in asked.items() if value is not None}
    wanted: dict[str, Any] = asked | ({} if body is ANY else {"body": encoded(body)[0]})
    listed = list(published)
    matched = sum(
        all(getattr(each, name) == value for name, value in wanted.items())
        and (says is ANY or _says(each, says))
        for each in listed
    )
    if matched == times or (times is None and matched):
        return
    shown = wanted if says is ANY else wanted | {"json": says}
    conditions = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    expected = "at least 1 message" if times is None else f"{times} message{'s' * (times != 1)}"
    raise AssertionError(
        f"expected {expected}{' with ' if conditions else ''}{conditions}; "
        f"{matched} matched. {listing(listed)}"
    )


def listing(published: list[Published]) -> str:
    """Return what was published as lines for an error, of many the last ones."""
    if not published:
        return "Nothing was published."
    first = max(0, len(published) - _SHOWN)
    lines = [
        f"\n  {number}. routing_key={each.routing_key!r} exchange={each.exchange!r}"
        f" body={_short(each.body)}"
        for number, each in enumerate(published[first:], first + 1)
    ]
    return f"Published{f', the last {_SHOWN}' if first else ''}:" + "".join(lines)


def _says(published: Published, wanted: Any) -> bool:
    try:
        # As it would come over the wire: a tuple is a list there.
        return bool(published.json() == json.loads(json.dumps(wanted)))
    except Rejected:
        return False


def _short(body: bytes) -> str:
    text = repr(body)
    return text if len(text) <= _WIDEST else text[:_WIDEST] + "…"
