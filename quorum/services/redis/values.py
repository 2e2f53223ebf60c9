"""The values of Redis' types, as JSON and back: read and written by Redis' own commands."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Run = Any
"""Runs one command, and returns the server's answer as it is (RESP2)."""

_GONE = -2


def text(data: bytes) -> Any:
    """Return bytes as text where they are UTF-8, so that a file of them can be read."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def original(value: Any) -> bytes:
    """Return the bytes that `text` was given. Raises ValueError, KeyError or TypeError."""
    if isinstance(value, str):
        return value.encode()
    return base64.b64decode(value["base64"], validate=True)


def _texts(values: Iterable[bytes]) -> list[Any]:
    return [text(value) for value in values]


def _all_bytes(values: Iterable[Any]) -> list[bytes]:
    return [original(value) for value in values]


def _pairs(flat: list[Any]) -> list[Any]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _named(flat: list[Any]) -> dict[str, Any]:
    return {name.decode(): value for name, value in _pairs(flat)}


def _read_hash(run: Run, key: bytes) -> Any:
    pairs = _pairs(run("HGETALL", key))
    fields = [field for field, _ in pairs]
    expiry = run("HPEXPIRETIME", key, "FIELDS", len(fields), *fields) if fields else []
    return [
        [*_texts(pair), *([at] if at > 0 else [])]
        for pair, at in zip(pairs, expiry, strict=True)
        # Of a field that expired just now.
        if at != _GONE
    ]


def _read_zset(run: Run, key: bytes) -> Any:
    pairs = _pairs(run("ZRANGE", key, 0, -1, "WITHSCORES"))
    return [[text(member), _score(run, key, member, score.decode())] for member, score in pairs]


def _score(run: Run, key: bytes, member: bytes, score: str) -> Any:
    try:
        float(score)
    except ValueError:
        # fakeredis keeps a place as a geohash, which is no number.
        ((longitude, latitude),) = run("GEOPOS", key, member)
        return [longitude.decode(), latitude.decode()]
    return score


def _write_hash(run: Run, key: bytes, value: Any) -> None:
    for field, content, *expires_at in value:
        run("HSET", key, original(field), original(content))
        if expires_at:
            run("HPEXPIREAT", key, expires_at[0], "FIELDS", 1, original(field))


def _write_zset(run: Run, key: bytes, value: Any) -> None:
    for member, score in value:
        if isinstance(score, list):
            run("GEOADD", key, *score, original(member))
        else:
            run("ZADD", key, score, original(member))


def _read_stream(run: Run, key: bytes) -> Any:
    about = _named(run("XINFO", "STREAM", key))
    groups = [_named(each) for each in run("XINFO", "GROUPS", key)]
    return {
        "entries": [
            [number.decode(), _texts(fields)] for number, fields in run("XRANGE", key, "-", "+")
        ],
        "last_id": about["last-generated-id"].decode(),
        "entries_added": about["entries-added"],
        "max_deleted_id": about["max-deleted-entry-id"].decode(),
        "groups": [_read_group(run, key, group) for group in groups],
    }


def _read_group(run: Run, key: bytes, group: dict[str, Any]) -> Any:
    name = group["name"]
    now = time.time() * 1000
    consumers = [_named(each)["name"] for each in run("XINFO", "CONSUMERS", key, name)]
    pending = run("XPENDING", key, name, "-", "+", group["pending"]) if group["pending"] else []
    return {
        "name": text(name),
        "last_id": group["last-delivered-id"].decode(),
        "entries_read": group["entries-read"],
        "consumers": _texts(consumers),
        "pending": [
            [number.decode(), text(consumer), round(now - idle), times]
            for number, consumer, idle, times in pending
        ],
    }


def write_stream(run: Run, key: bytes, value: Any, count: Callable[..., None]) -> None:
    """Write a stream; `count` sets its counters, as XSETID does."""
    # The one way to a stream that has no entry.
    run("XGROUP", "CREATE", key, "made", "0", "MKSTREAM")
    run("XGROUP", "DESTROY", key, "made")
    entries = dict(value["entries"])
    # What was deleted may still be pending; an entry can only be claimed while it is there.
    deleted = {each[0] for group in value["groups"] for each in group["pending"]} - entries.keys()
    for number in sorted([*entries, *deleted], key=_order):
        run("XADD", key, number, *_all_bytes(entries.get(number, ["deleted", ""])))
    counters = value["last_id"], value["entries_added"], value["max_deleted_id"]
    count(*counters)
    for group in value["groups"]:
        _write_group(run, key, group)
    if deleted:
        run("XDEL", key, *deleted)
        count(*counters)


def _order(number: str) -> list[int]:
    return [int(part) for part in number.split("-")]


def _write_group(run: Run, key: bytes, group: Any) -> None:
    name, read = original(group["name"]), group["entries_read"]
    counted = () if read is None else ("ENTRIESREAD", read)
    run("XGROUP", "CREATE", key, name, group["last_id"], *counted)
    for consumer in _all_bytes(group["consumers"]):
        run("XGROUP", "CREATECONSUMER", key, name, consumer)
    for number, consumer, seen_at, times in group["pending"]:
        since = ("TIME", seen_at, "RETRYCOUNT", times)
        run("XCLAIM", key, name, original(consumer), 0, number, *since, "FORCE", "JUSTID")


READERS: dict[str, Callable[[Run, bytes], Any]] = {
    "string": lambda run, key: text(run("GET", key)),
    "list": lambda run, key: _texts(run("LRANGE", key, 0, -1)),
    "set": lambda run, key: _texts(sorted(run("SMEMBERS", key))),
    "hash": _read_hash,
    "zset": _read_zset,
    "stream": _read_stream,
}
WRITERS: dict[str, Callable[[Run, bytes, Any], None]] = {
    "string": lambda run, key, value: run("SET", key, original(value)),
    "list": lambda run, key, value: run("RPUSH", key, *_all_bytes(value)),
    "set": lambda run, key, value: run("SADD", key, *_all_bytes(value)),
    "hash": _write_hash,
    "zset": _write_zset,
}
