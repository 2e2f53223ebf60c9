"""The file of a twin: all databases as extended JSON, which MongoDB's own tools write too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import bson
from bson import Binary
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps, loads

from quorum.services.mongo.memory.values import PLAIN, to_given, to_kept

if TYPE_CHECKING:
    from quorum.services.mongo.memory.engine import Engine
    from quorum.services.mongo.memory.store import Databases, Documents

_VERSION = 1
_OPTIONS = CANONICAL_JSON_OPTIONS.with_options(tz_aware=False, tzinfo=None)


def dump(engine: Engine) -> bytes:
    """Return everything that an engine keeps: documents, indexes, options, empty collections."""
    with engine.lock:
        # Documents are never changed, so that a list of them is a copy.
        kept = {
            name: {each: _kept(database[each]) for each in database.list_created_collection_names()}
            for name, database in engine.store.items()
        }
    written = {
        name: _object({each: _written(*parts) for each, parts in collections.items()})
        for name, collections in kept.items()
        if collections
    }
    return f'{{"version": {_VERSION}, "databases": {_object(written)}}}\n'.encode()


def load(data: bytes, store: Databases) -> None:
    """Put what a file holds in a store. Raises ValueError and the like for what is none of ours."""
    read: dict[str, Any] = loads(data, json_options=_OPTIONS)
    if read["version"] != _VERSION:
        raise ValueError(f"its version is {read['version']!r}; this is {_VERSION}")
    for name, collections in read["databases"].items():
        for each, found in collections.items():
            collection = store[name][each]
            collection.create(**to_kept(found["options"], PLAIN))
            for index in to_kept(found["indexes"], PLAIN):
                pairs = [(field, direction) for field, direction in index.pop("key")]
                collection.create_index(index.pop("name"), {"key": pairs, **index})
            for document in found["documents"]:
                kept = bson.decode(document, PLAIN) if isinstance(document, bytes) else document
                collection[kept["_id"]] = kept


def _kept(collection: Documents) -> tuple[dict[str, Any], list[Any], list[dict[str, Any]]]:
    indexes = [{"name": name, **index} for name, index in collection.indexes.items()]
    return dict(collection.options), indexes, list(collection.documents)


def _written(options: Any, indexes: Any, documents: list[dict[str, Any]]) -> str:
    lines = ",\n".join(map(_document, documents))
    return _object(
        {"options": _json(options), "indexes": _json(indexes), "documents": f"[\n{lines}\n]"}
    )


def _document(document: dict[str, Any]) -> str:
    if _is_odd(document):
        return _json(Binary(bson.encode(to_given(document, PLAIN))))
    return _json(document)


def _object(members: dict[str, str]) -> str:
    """Return an object of JSON, whose values are JSON already."""
    return "{" + ",\n".join(f"{json.dumps(name)}: {text}" for name, text in members.items()) + "}"


def _json(value: Any) -> str:
    return dumps(to_given(value, PLAIN), json_options=_OPTIONS)


def _is_odd(value: Any) -> bool:
    """Tell whether a field would be taken for a type of extended JSON, such as `$date`."""
    if isinstance(value, dict):
        return any(key.startswith("$") or _is_odd(each) for key, each in value.items())
    return isinstance(value, list) and any(map(_is_odd, value))
