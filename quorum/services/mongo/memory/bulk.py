"""Writes in one call, each counted: what `bulk_write` and `insert_many` do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.common import validate_is_document_type
from pymongo.errors import BulkWriteError, InvalidOperation, WriteError

from quorum.services.mongo.memory.arguments import understood
from quorum.services.mongo.memory.values import to_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bson.codec_options import CodecOptions

    from quorum.services.mongo.memory.engine import EngineCollection

_KNOWN = {"filter", "update", "replacement", "upsert", "array_filters", "sort"}


def with_id(document: Any) -> None:
    """Give a document an id, in the place where the caller has it, as the driver does."""
    if not isinstance(document, RawBSONDocument) and "_id" not in document:
        document["_id"] = ObjectId()


class Bulk:
    """Takes what the driver's own operations (`UpdateOne`, …) add to it, and then does it."""

    def __init__(self, options: CodecOptions[Any]) -> None:
        self._options = options
        self._writes: list[tuple[Callable[[EngineCollection], dict[str, Any]], Any]] = []

    def add(self, operations: Iterable[Any]) -> None:
        """Take the operations of a call. Raises as the driver does for one that is none."""
        for operation in operations:
            try:
                add_to = operation._add_to_bulk  # noqa: SLF001 - the way it has for it
            except AttributeError:
                raise TypeError(f"{operation!r} is not a valid request") from None
            add_to(self)
        if not self._writes:
            raise InvalidOperation("No operations to execute")

    def add_insert(self, document: Any) -> None:
        """Take an `InsertOne`."""
        validate_is_document_type("document", document)
        with_id(document)
        kept = to_kept(document, self._options)

        def write(engine: EngineCollection) -> dict[str, Any]:
            engine.insert_one(kept)
            return {"nInserted": 1}

        self._writes.append((write, document))

    def add_update(
        self, selector: Any, update: Any, multi: bool = False, *args: Any, **more: Any
    ) -> None:
        """Take an `UpdateOne` or `UpdateMany`."""
        if args:
            more["upsert"] = args[0]
        arguments = {"filter": selector, "update": update, **more}
        self._add_change("update_many" if multi else "update_one", arguments)

    def add_replace(
        self, selector: Any, replacement: Any, upsert: Any = False, **more: Any
    ) -> None:
        """Take a `ReplaceOne`."""
        more["upsert"] = bool(upsert)
        self._add_change("replace_one", {"filter": selector, "replacement": replacement, **more})

    def add_delete(self, selector: Any, limit: int, **more: Any) -> None:
        """Take a `DeleteOne` or `DeleteMany`."""
        given = understood({"filter": selector, **more}, ("filter",), self._options)

        def write(engine: EngineCollection) -> dict[str, Any]:
            method = engine.delete_one if limit else engine.delete_many
            return {"nRemoved": method(**given).deleted_count}

        self._writes.append((write, {"q": selector, "limit": limit}))

    def _add_change(self, verb: str, arguments: dict[str, Any]) -> None:
        given = understood(arguments, _KNOWN, self._options)

        def write(engine: EngineCollection) -> dict[str, Any]:
            result = getattr(engine, verb)(**given)
            counts = {"nMatched": result.matched_count, "nModified": result.modified_count}
            if result.upserted_id is None:
                return counts
            return {"nUpserted": 1, "upserted": result.upserted_id}

        self._writes.append((write, arguments))

    def execute(self, engine: EngineCollection, *, ordered: bool) -> dict[str, Any]:
        """Do it all, or, `ordered`, all before the first that fails. Raises BulkWriteError."""
        counts = dict.fromkeys(("nInserted", "nMatched", "nModified", "nUpserted", "nRemoved"), 0)
        upserted: list[Any] = []
        errors: list[Any] = []
        for number, (write, given) in enumerate(self._writes):
            try:
                done = write(engine)
            except WriteError as error:
                details = {"code": error.code, "errmsg": str(error), **(error.details or {})}
                errors.append({**details, "index": number, "op": given})
                if ordered:
                    break
                continue
            if "upserted" in done:
                upserted.append({"index": number, "_id": done.pop("upserted")})
            for name, count in done.items():
                counts[name] += count
        result = {"writeErrors": errors, "writeConcernErrors": [], **counts, "upserted": upserted}
        if errors:
            raise BulkWriteError(result)
        return result
