"""The engine: mongomock-ng, with documents that are replaced whole, unique indexes and views."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from mongomock_ng import filtering
from mongomock_ng.collection import Collection
from mongomock_ng.database import Database
from mongomock_ng.mongo_client import MongoClient
from pymongo.common import validate_ok_for_replace, validate_ok_for_update
from pymongo.errors import DuplicateKeyError, OperationFailure
from pymongo.operations import IndexModel

from quorum.forks import ForkSafeLock
from quorum.services.mongo.memory import equality
from quorum.services.mongo.memory.arithmetic import settled
from quorum.services.mongo.memory.filters import check_filter, check_update
from quorum.services.mongo.memory.store import MISSING, Databases, Documents
from quorum.services.mongo.memory.values import KEPT, comparable, copy_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quorum.services.mongo.memory.transactions import Transaction

equality.mend()

_DUPLICATE = 11000
_INDEX_NOT_FOUND = 27
_INDEX_CONFLICT = 86
_INVALID_OPTIONS = 72


class Engine(MongoClient):
    """All databases of one twin. One thread at a time may use it."""

    def __init__(self) -> None:
        self.store = Databases()
        super().__init__(_store=self.store)
        # One for all: the library's own would stay shut in a child forked in the midst of a call.
        self.lock = ForkSafeLock()
        self.transaction: Transaction | None = None
        """That of the operation that runs now."""

    def get_database(self, name: str | None = None, *_: Any, **__: Any) -> EngineDatabase:
        return EngineDatabase(self, name, _store=self._store[name])


class EngineDatabase(Database):
    """A database, as the stages of an aggregation see it too."""

    def get_collection(self, name: str, *_: Any, **__: Any) -> EngineCollection:
        return EngineCollection(self, name, codec_options=KEPT, _db_store=self._store)


class EngineCollection(Collection):
    """A collection, as the transaction of the running operation sees it."""

    @property
    def _store(self) -> Documents:
        base: Documents = self._db_store[self._name]
        transaction: Transaction | None = self.database.client.transaction
        return base if transaction is None else transaction.view(base)

    def _iter_documents(self, filter: dict[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: A002
        check_filter(filter)
        wanted = filter.get("_id")
        if wanted is None or isinstance(wanted, (dict, list, *filtering._RE_TYPES)):  # noqa: SLF001
            found = super()._iter_documents(filter)
        else:
            document = self._store.get(wanted)
            matches = document is not None and filtering.filter_applies(filter, document)
            found = iter([document] if matches else [])
        # An update changes what it is given, and must not change what others see meanwhile.
        return (copy_of(document) for document in found)

    def _insert(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(data, dict) and data.get("_id", MISSING) in self._store:
            raise self._duplicate("_id_", {"_id": 1}, {"_id": data["_id"]})
        return super()._insert(data, *args, **kwargs)

    def _ensure_uniques(self, new_data: dict[str, Any]) -> None:
        key = comparable(new_data["_id"])
        for name, index in self._store.indexes.items():
            if index.get("unique"):
                self._refuse_duplicate(name, key, new_data)

    def _refuse_duplicate(self, name: str, key: Any, document: dict[str, Any]) -> None:
        index = self._store.unique(name)
        if index.taken(key, document):
            found = {each: filtering.resolve_key(each, document) for each in index.key}
            values = {each: None if value is MISSING else value for each, value in found.items()}
            raise self._duplicate(name, index.key, values)

    def _duplicate(self, index: str, key: Any, values: dict[str, Any]) -> DuplicateKeyError:
        message = (
            f"E11000 duplicate key error collection: {self.full_name} index: {index} "
            f"dup key: {values}"
        )
        details = {"index": 0, "code": _DUPLICATE, "errmsg": message}
        return DuplicateKeyError(
            message, _DUPLICATE, {**details, "keyPattern": key, "keyValue": values}
        )

    def _apply_update_document(
        self, existing_document: Any, spec: Any, document: Any, was_insert: bool
    ) -> None:
        if not was_insert:
            # A condition on the id must not be taken for the id.
            spec = {**spec, "_id": existing_document["_id"]}
        super()._apply_update_document(
            existing_document, spec, settled(existing_document, document), was_insert
        )

    def _update(self, spec: Any, document: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        check_update(document)
        result: dict[str, Any] = super()._update(spec, document, *args, **kwargs)
        return result

    def query(
        self,
        filter: dict[str, Any],  # noqa: A002 - pymongo's word
        *,
        sort: Any,
        hint: Any,
        projection: Any,
        skip: int,
        limit: int,
    ) -> list[dict[str, Any]]:
        """Return the documents that a cursor gives; a limit of 0 is none."""
        if hint:
            self.check_hint(hint)
        order = list(sort.items()) if sort else None
        found = self._get_dataset(filter, order, projection, dict)
        return list(itertools.islice(found, skip, skip + limit if limit else None))

    def size(self) -> int:
        """Return the number of documents."""
        return len(self._store)

    def check_hint(self, hint: Any) -> None:
        """Raise OperationFailure, as a server does, for a hint that is no index."""
        names = {"_id_", "$natural", *self._store.indexes}
        name = hint if isinstance(hint, str) else IndexModel(_pairs(hint)).document["name"]
        if name not in names and name not in {"_id_1", "$natural_1", "$natural_-1"}:
            raise OperationFailure("hint provided does not correspond to an existing index", 2)

    def find_and_delete(self, filter: Any, projection: Any = None, sort: Any = None) -> Any:  # noqa: A002
        """Delete the first document that matches, and return it."""
        old = self._first(filter, sort)
        if old is None:
            return None
        del self._store[old["_id"]]
        return self._copy_only_fields(old, projection, dict, filter=filter)

    def find_and_replace(self, filter: Any, replacement: Any, **options: Any) -> Any:  # noqa: A002
        """Replace the first document that matches, and return it as it was or is."""
        validate_ok_for_replace(replacement)
        return self._find_and_change(filter, replacement, **options)

    def find_and_update(self, filter: Any, update: Any, **options: Any) -> Any:  # noqa: A002
        """Update the first document that matches, and return it as it was or is."""
        validate_ok_for_update(update)
        return self._find_and_change(filter, update, **options)

    def _find_and_change(
        self,
        filter: Any,  # noqa: A002
        change: Any,
        *,
        projection: Any = None,
        sort: Any = None,
        upsert: bool = False,
        return_document: bool = False,
        array_filters: Any = None,
    ) -> Any:
        old = self._first(filter, sort)
        if old is None and not upsert:
            return None
        # The filter stays, since it tells which element of an array is meant.
        spec = {**filter, "_id": old["_id"]} if old is not None else filter
        result = self._update(spec, change, upsert, array_filters=array_filters)
        if return_document:
            old = copy_of(self._store[result["upserted"] if old is None else old["_id"]])
        return old and self._copy_only_fields(old, projection, dict, filter=filter)

    def _first(self, filter: Any, sort: Any) -> dict[str, Any] | None:  # noqa: A002
        return next(self._get_dataset(filter, sort and _pairs(sort), None, dict), None)

    def distinct(self, key: str, filter: Any = None, *_: Any, **__: Any) -> list[Any]:  # noqa: A002
        """Return the values of a field, each once, in the order in which they are found."""
        values: dict[Any, Any] = {}
        for document in self._iter_documents(filter or {}):
            for found in filtering.iter_key_candidates(key, document):
                for value in found if isinstance(found, list) else [found]:
                    if value is not MISSING:
                        values.setdefault(comparable(value), value)
        return list(values.values())

    def put_index(self, name: str, index: dict[str, Any]) -> None:
        """Create an index. Raises if documents break it, or another has its name."""
        store = self._store
        existing = store.indexes.get(name)
        if existing is not None and existing != index:
            raise OperationFailure(
                f"An existing index has the same name as the requested index: {name}",
                _INDEX_CONFLICT,
            )
        if existing is not None:
            return
        store.create_index(name, index)
        try:
            if index.get("unique"):
                for document in store.documents:
                    self._refuse_duplicate(name, comparable(document["_id"]), document)
        except BaseException:
            store.drop_index(name)
            raise

    def take_index(self, name: str) -> None:
        """Drop an index, or all with "*". Raises OperationFailure if there is none."""
        if name == "_id_":
            raise OperationFailure("cannot drop _id index", _INVALID_OPTIONS)
        if name != "*" and name not in self._store.indexes:
            raise OperationFailure(f"index not found with name [{name}]", _INDEX_NOT_FOUND)
        for each in list(self._store.indexes) if name == "*" else [name]:
            self._store.drop_index(each)


def _pairs(keys: Any) -> list[tuple[str, Any]]:
    """Return the fields and directions of a sort or an index, in whichever form they were given."""
    if isinstance(keys, str):
        return [(keys, 1)]
    items = keys.items() if isinstance(keys, dict) else keys
    return [(each, 1) if isinstance(each, str) else tuple(each) for each in items]
