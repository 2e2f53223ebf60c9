"""Commands that wait on the server: for how long, and whether that is shorter than we wait."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rule = Callable[[Sequence[Any]], float]


def longest_block(limit: float) -> float:
    """Return the seconds that a command may wait on the server, of the seconds it has in all."""
    # The rest is for the way there and back, and for the server's clock, which ticks by 0.1 s.
    return limit - min(1.0, limit / 5)


def block_time(args: Sequence[Any], limit: float) -> float:
    """Return the seconds that a command may wait on the server: 0 for most.

    Raises Rejected if they are more than `limit` has room for, or without end.
    """
    rule = _rule(args[0])
    if rule is None:
        return 0.0
    words = [*_text(args[0]).split(), *args[1:]]
    seconds = rule(words)
    if not seconds > longest_block(limit):
        return max(seconds, 0.0)
    wait = "for ever" if seconds == math.inf else f"for up to {seconds:g} s"
    raise Rejected(
        "redis",
        f"{words[0].upper()} would block {wait}, and a command has {limit:g} s in all; give it at "
        f"most {longest_block(limit):g} s and call it again, or set REDIS_TIMEOUT",
    )


@lru_cache(maxsize=512)
def _rule(name: Any) -> Rule | None:
    return _RULES.get(_text(name).split(" ", 1)[0].upper())


def _text(word: Any) -> str:
    if isinstance(word, bytes | bytearray | memoryview):
        return bytes(word).decode("latin-1")
    return str(word)


def _number(word: Any) -> float:
    """Read a time as the server would; 0 stands for ever, and what it will refuse is 0 here."""
    try:
        value = float(_text(word))
    except ValueError:
        return 0.0
    return math.inf if value == 0 else value


def _last(words: Sequence[Any]) -> float:
    return _number(words[-1])


def _at(index: int, unit: float = 1.0) -> Rule:
    def read(words: Sequence[Any]) -> float:
        return _number(words[index]) * unit if len(words) > index else 0.0

    return read


def _stream(words: Sequence[Any]) -> float:
    # A group or a consumer may be called BLOCK.
    index = 4 if words[0].upper() == "XREADGROUP" else 1
    while index + 1 < len(words):
        option = _text(words[index]).upper()
        if option == "BLOCK":
            return _number(words[index + 1]) / 1000
        if option == "STREAMS":
            break
        index += 1 if option == "NOACK" else 2
    return 0.0


def _never_answers(words: Sequence[Any]) -> float:
    raise Rejected(
        "redis",
        f"{words[0].upper()} would take its connection out of the pool for good; use "
        "client.pubsub() to subscribe",
    )


_RULES: dict[str, Rule] = {
    **dict.fromkeys(("BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX", "BRPOPLPUSH", "BLMOVE"), _last),
    **dict.fromkeys(("BLMPOP", "BZMPOP"), _at(1)),
    **dict.fromkeys(("XREAD", "XREADGROUP"), _stream),
    "WAIT": _at(2, 0.001),
    "WAITAOF": _at(3, 0.001),
    **dict.fromkeys(("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR", "SYNC"), _never_answers),
    "PSYNC": _never_answers,
}
