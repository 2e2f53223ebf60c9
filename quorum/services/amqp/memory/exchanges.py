"""How an exchange finds the queues of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorum.errors import Rejected

if TYPE_CHECKING:
    from quorum.services.amqp.base import ExchangeType

_PREDECLARED: dict[str, ExchangeType] = {
    "amq.direct": "direct",
    "amq.topic": "topic",
    "amq.fanout": "fanout",
}


class Exchange:
    """An exchange and its bindings, each kept once."""

    def __init__(self, kind: ExchangeType) -> None:
        self.kind = kind
        # A dict for its order.
        self._bindings: dict[tuple[str, str], None] = {}

    def bind(self, queue: str, pattern: str) -> None:
        """Hand a queue what matches from now on."""
        self._bindings[queue, pattern] = None

    def route(self, routing_key: str) -> list[str]:
        """Return the queues that a message goes to, each once."""
        found = {
            queue: None
            for queue, pattern in self._bindings
            if self.kind == "fanout"
            or (self.kind == "direct" and pattern == routing_key)
            or (self.kind == "topic" and matches(pattern, routing_key))
        }
        return list(found)


class Exchanges:
    """The exchanges of a broker by their names, with those that it has from the beginning."""

    def __init__(self) -> None:
        self._exchanges = {name: Exchange(kind) for name, kind in _PREDECLARED.items()}

    def declare(self, name: str, kind: ExchangeType) -> None:
        """Add an exchange, unless there is such a one. Raises Rejected for another type."""
        known = self._exchanges.setdefault(name, Exchange(kind))
        if known.kind != kind:
            raise Rejected(
                "amqp",
                f"exchange {name[:40]!a} is there with the type {known.kind}; take that, or "
                "another name",
            )

    def find(self, name: str) -> Exchange:
        """Return an exchange. Raises Rejected where there is none of that name."""
        try:
            return self._exchanges[name]
        except KeyError:
            raise Rejected(
                "amqp", f"there is no exchange {name[:40]!a}; declare it first"
            ) from None


def matches(pattern: str, routing_key: str) -> bool:
    """Tell whether a routing key matches: `*` is one word, `#` any number of them."""
    parts = _words(pattern)
    # The places of the pattern that may come next, after the words so far.
    places = _reached(parts, {0})
    for word in _words(routing_key):
        places = _reached(
            parts,
            {
                place if parts[place] == "#" else place + 1
                for place in places
                if place < len(parts) and parts[place] in {"#", "*", word}
            },
        )
    return len(parts) in places


def _words(key: str) -> list[str]:
    # An empty key has no word, as RabbitMQ counts.
    return key.split(".") if key else []


def _reached(parts: list[str], places: set[int]) -> set[int]:
    """Return places and those behind them, since `#` may stand for nothing."""
    found = set(places)
    for place, part in enumerate(parts):
        if part == "#" and place in found:
            found.add(place + 1)
    return found
