"""The driver's own collection, with each call done by the engine in the place of a server."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, cast

from pymongo.collection import Collection
from pymongo.command_cursor import CommandCursor
from pymongo.common import validate_is_document_type, validate_list
from pymongo.operations import IndexModel, InsertOne
from pymongo.results import BulkWriteResult, InsertManyResult, InsertOneResult

from quorum.services.mongo.memory.arguments import bound, understood, unsupported
from quorum.services.mongo.memory.bulk import Bulk, with_id
from quorum.services.mongo.memory.filters import check_pipeline
from quorum.services.mongo.memory.values import documents_given, to_given

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bson.codec_options import CodecOptions

    from quorum.services.mongo.memory.database import TwinDatabase
    from quorum.services.mongo.memory.engine import EngineCollection

Document = dict[str, Any]

_CHANGE = ("filter", "upsert", "array_filters", "sort", "bypass_document_validation")
_FIND_AND = ("filter", "projection", "sort", "upsert", "return_document", "array_filters")
_INDEX = ("unique", "sparse", "expireAfterSeconds", "partialFilterExpression")
# They change how an index is built, and not what it does.
_INDEX_WITHOUT_EFFECT = frozenset({"background", "v", "hidden"})


def _served(name: str, *known: str, verb: str = "") -> Any:
    """Return a call of the driver that the engine does: by its `verb`, or the same name."""
    original = getattr(Collection, name)

    @functools.wraps(original)
    def call(self: TwinCollection, *args: Any, **kwargs: Any) -> Any:
        arguments = bound(original, args, kwargs)
        session, hint = arguments.pop("session", None), arguments.get("hint")
        given = understood(arguments, known, self.codec_options)
        with self.engine(session) as engine:
            if hint:
                engine.check_hint(hint)
            result = getattr(engine, verb or name)(**given)
        return to_given(result, self.codec_options) if isinstance(result, (dict, list)) else result

    return call


class TwinCollection(Collection[Document]):
    """A collection that lives in this process.

    What is not written here asks for a server, which the client then refuses.
    """

    update_one = _served("update_one", *_CHANGE, "update")
    update_many = _served("update_many", *_CHANGE, "update")
    replace_one = _served("replace_one", *_CHANGE, "replacement")
    delete_one = _served("delete_one", "filter")
    delete_many = _served("delete_many", "filter")
    count_documents = _served("count_documents", "filter", "skip", "limit")
    estimated_document_count = _served("estimated_document_count", verb="size")
    distinct = _served("distinct", "key", "filter")
    find_one_and_delete = _served("find_one_and_delete", *_FIND_AND, verb="find_and_delete")
    find_one_and_update = _served(
        "find_one_and_update", *_FIND_AND, "update", verb="find_and_update"
    )
    find_one_and_replace = _served(
        "find_one_and_replace", *_FIND_AND, "replacement", verb="find_and_replace"
    )

    @contextmanager
    def engine(self, session: Any, *, alone: bool = False) -> Iterator[EngineCollection]:
        """Hold the engine for one operation; `alone`, it must be no part of a transaction."""
        with self._twin.client.operation(session, alone=alone) as engine:
            yield engine.get_database(self._twin.name).get_collection(self.name)

    def insert_one(self, document: Any, *args: Any, **kwargs: Any) -> InsertOneResult:
        validate_is_document_type("document", document)
        with_id(document)
        arguments = bound(Collection.insert_one, (document, *args), kwargs)
        session = arguments.pop("session", None)
        known = ("document", "bypass_document_validation")
        given = understood(arguments, known, self.codec_options)
        with self.engine(session) as engine:
            result = engine.insert_one(**given)
        return InsertOneResult(document.get("_id", result.inserted_id), acknowledged=True)

    def insert_many(self, documents: Any, *args: Any, **kwargs: Any) -> InsertManyResult:
        arguments = bound(Collection.insert_many, (documents, *args), kwargs)
        given = arguments.pop("documents")
        if isinstance(given, (dict, str)) or not given:
            raise TypeError("documents must be a non-empty list")
        given = list(given)
        self._write([InsertOne(document) for document in given], arguments)
        return InsertManyResult([document.get("_id") for document in given], acknowledged=True)

    def bulk_write(self, requests: Any, *args: Any, **kwargs: Any) -> BulkWriteResult:
        arguments = bound(Collection.bulk_write, (requests, *args), kwargs)
        return BulkWriteResult(self._write(arguments.pop("requests"), arguments), acknowledged=True)

    def aggregate(self, *args: Any, **kwargs: Any) -> CommandCursor[Document]:
        arguments = bound(Collection.aggregate, args, kwargs)
        session, hint = arguments.pop("session", None), arguments.get("hint")
        pipeline = understood(arguments, ("pipeline",), self.codec_options)["pipeline"]
        validate_list("pipeline", pipeline)
        with self.engine(session) as engine:
            if hint:
                engine.check_hint(hint)
            check_pipeline(pipeline)
            found = list(engine.aggregate(pipeline))
            stored = bool(pipeline) and bool({"$out", "$merge"} & pipeline[-1].keys())
        return self._cursor([] if stored else found)

    def create_index(self, keys: Any, *args: Any, **kwargs: Any) -> str:
        arguments = bound(Collection.create_index, (keys, *args), kwargs)
        session, _ = arguments.pop("session", None), arguments.pop("comment", None)
        arguments.pop("maxTimeMS", None)
        return self.create_indexes([IndexModel(**arguments)], session)[0]

    def create_indexes(self, indexes: Sequence[IndexModel], *args: Any, **kwargs: Any) -> list[str]:
        arguments = bound(Collection.create_indexes, (indexes, *args), kwargs)
        found = [_index(model, self.codec_options) for model in indexes]
        with self.engine(arguments.get("session"), alone=True) as engine:
            for name, index in found:
                engine.put_index(name, index)
        return [name for name, _ in found]

    def drop_index(self, index_or_name: Any, *args: Any, **kwargs: Any) -> None:
        arguments = bound(Collection.drop_index, (index_or_name, *args), kwargs)
        name = arguments["index_or_name"]
        if not isinstance(name, str):
            name = IndexModel(name).document["name"]
        with self.engine(arguments.get("session"), alone=True) as engine:
            engine.take_index(name)

    def find_raw_batches(self, *_: Any, **__: Any) -> NoReturn:
        raise unsupported("find_raw_batches")

    def drop_indexes(self, *args: Any, **kwargs: Any) -> None:
        self.drop_index("*", *args, **kwargs)

    def list_indexes(self, *args: Any, **kwargs: Any) -> Any:
        arguments = bound(Collection.list_indexes, args, kwargs)
        with self.engine(arguments.get("session")) as engine:
            return self._cursor(list(engine.list_indexes()))

    def index_information(self, *args: Any, **kwargs: Any) -> Any:
        found = {index.pop("name"): index for index in self.list_indexes(*args, **kwargs)}
        return {name: {**index, "key": list(index["key"].items())} for name, index in found.items()}

    def options(self, *args: Any, **kwargs: Any) -> Any:
        with self.engine(bound(Collection.options, args, kwargs).get("session")) as engine:
            return to_given(engine.options(), self.codec_options)

    def drop(self, *args: Any, **kwargs: Any) -> None:
        session = bound(Collection.drop, args, kwargs).get("session")
        with self.engine(session, alone=True) as engine:
            engine.drop()

    def rename(self, new_name: str, *args: Any, **kwargs: Any) -> Any:
        arguments = bound(Collection.rename, (new_name, *args), kwargs)
        session = arguments.pop("session", None)
        given = understood(arguments, ("new_name", "dropTarget"), self.codec_options)
        with self.engine(session, alone=True) as engine:
            return engine.rename(**given)

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        found = super().with_options(*args, **kwargs)
        return TwinCollection(
            self._twin,
            found.name,
            codec_options=found.codec_options,
            read_preference=found.read_preference,
            write_concern=found.write_concern,
            read_concern=found.read_concern,
        )

    def __getitem__(self, name: str) -> TwinCollection:
        found: TwinCollection = self._twin[f"{self.name}.{name}"].with_options(
            self.codec_options, self.read_preference, self.write_concern, self.read_concern
        )
        return found

    @property
    def _twin(self) -> TwinDatabase:
        return cast("TwinDatabase", self.database)

    def _write(self, requests: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        session = arguments.pop("session", None)
        given = understood(arguments, ("ordered",), self.codec_options)
        bulk = Bulk(self.codec_options)
        bulk.add(requests)
        with self.engine(session) as engine:
            return bulk.execute(engine, ordered=given.get("ordered", True))

    def _cursor(self, documents: list[Any]) -> CommandCursor[Document]:
        batch = documents_given(documents, self.codec_options)
        found = {"id": 0, "ns": self.full_name, "firstBatch": batch}
        return CommandCursor(self, found, None)


def _index(model: Any, codec_options: CodecOptions[Any]) -> tuple[str, dict[str, Any]]:
    """Return an index as the engine keeps it, with its name."""
    if not isinstance(model, IndexModel):
        raise TypeError(f"{model!r} is not an instance of pymongo.operations.IndexModel")
    document: dict[str, Any] = dict(model.document)
    key, name = document.pop("key"), document.pop("name")
    options = {key: value for key, value in document.items() if key not in _INDEX_WITHOUT_EFFECT}
    options = understood(options, _INDEX, codec_options)
    # As the engine writes them: what is off is left out.
    options = {key: value for key, value in options.items() if value is not False}
    return name, {"key": list(key.items()), **options}
