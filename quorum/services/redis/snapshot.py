"""All that an embedded Redis knows, as JSON and back."""

from __future__ import annotations

import json
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from quorum.services.redis.values import READERS, WRITERS, original, text, write_stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis import Redis

logger = logging.getLogger("quorum.redis")

_FORMAT = 1
_NAMED = 10


class Store(Protocol):
    """What is needed of a store beyond its commands."""

    def connect(self, number: int) -> Redis:
        """Return a client of one database, whose answers are the server's own (RESP2)."""
        ...

    def count_stream(self, number: int, key: bytes, last: str, added: int, deleted: str) -> None:
        """Set the counters of a stream, as XSETID does: ids, and the number of entries added."""
        ...


Expiry = dict[bytes, float | None]
"""The keys of a database, and when each expires, in seconds since 1970."""


def dump(store: Store, databases: dict[int, Expiry]) -> bytes:
    """Return what is in a store that nobody changes; what cannot be kept is named in the log."""
    content = {str(n): _entries(store.connect(n), databases[n]) for n in sorted(databases)}
    document = {"format": _FORMAT, "databases": {n: keys for n, keys in content.items() if keys}}
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def restore(data: bytes, store: Store) -> None:
    """Put back what `dump` returned, but for what expired meanwhile.

    Raises ValueError, KeyError, TypeError or redis-py's ResponseError for anything else.
    """
    document = json.loads(data)
    if document["format"] != _FORMAT:
        raise ValueError(f"its format is {document['format']}, and not {_FORMAT}")
    for name, entries in document["databases"].items():
        number = int(name)
        for entry in entries:
            _restore(store, number, entry)


def _restore(store: Store, number: int, entry: dict[str, Any]) -> None:
    expires_at = entry.get("expires_at_ms")
    if expires_at is not None and expires_at <= time.time() * 1000:
        return
    run = store.connect(number).execute_command
    key, value = original(entry["key"]), entry["value"]
    if entry["type"] == "stream":
        write_stream(run, key, value, partial(store.count_stream, number, key))
    else:
        WRITERS[entry["type"]](run, key, value)
    if expires_at is not None:
        run("PEXPIREAT", key, expires_at)


def _entries(client: Redis, keys: Expiry) -> list[dict[str, Any]]:
    entries, left_out = [], []
    for key, expires_at in sorted(keys.items()):
        kind = _kind(client, key)
        if kind not in READERS:
            left_out.append(f"{key.decode(errors='replace')} ({kind})")
            continue
        value = READERS[kind](client.execute_command, key)
        entry = {"key": text(key), "type": kind, "value": value}
        if expires_at is not None:
            entry["expires_at_ms"] = round(expires_at * 1000)
        entries.append(entry)
    _tell(left_out)
    return entries


def _kind(client: Redis, key: bytes) -> str:
    try:
        name: bytes = client.execute_command("TYPE", key)
    except AssertionError:
        # fakeredis fails so on the types of modules, and leaves the connection broken.
        client.connection_pool.disconnect()
        return "of a module"
    return name.decode()


def _tell(left_out: Iterable[str]) -> None:
    names = list(left_out)
    if names:
        named = ", ".join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])
        logger.warning("not saved, of types that cannot be: %s", named)
