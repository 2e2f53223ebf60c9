"""What is kept: documents that are replaced and never changed, so that a copy costs no copying."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, cast

from mongomock_ng.filtering import filter_applies, resolve_key
from mongomock_ng.helpers import get_value_by_dot
from mongomock_ng.store import CollectionStore, DatabaseStore, ServerStore

from quorum.services.mongo.memory.values import comparable, copy_of

if TYPE_CHECKING:
    from collections import OrderedDict
    from collections.abc import Set as AbstractSet
    from types import TracebackType

    from mongomock_ng.thread import RWLock

Document = dict[str, Any]
Index = dict[str, Any]

MISSING: Any = resolve_key("field", {})
"""What the engine finds where a document has no such field."""

_SWEEP_SECONDS = 1.0

_clock = itertools.count(1)


def now() -> int:
    """Return a number above that of every change so far."""
    return next(_clock)


class Open:
    """Stands for the engine's locks: one above them all is held, and a fork renews that one."""

    def reader(self) -> Open:
        return self

    def writer(self) -> Open:
        return self

    def __enter__(self) -> None:
        """Do not wait."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let nobody wait."""


class UniqueIndex:
    """Which document holds each entry of a unique index."""

    def __init__(self, index: Index) -> None:
        self.key = dict(index["key"])
        self._sparse = bool(index.get("sparse"))
        self._partial = index.get("partialFilterExpression")
        self._holders: dict[Any, set[Any]] = {}

    def add(self, key: Any, document: Document) -> None:
        for entry in self._entries(document):
            self._holders.setdefault(entry, set()).add(key)

    def remove(self, key: Any, document: Document) -> None:
        for entry in self._entries(document):
            self._holders.get(entry, set()).discard(key)

    def taken(self, key: Any, document: Document, moved: AbstractSet[Any] = frozenset()) -> bool:
        """Tell whether another document, none of those `moved`, holds an entry of this one."""
        own = {key, *moved}
        return any(self._holders.get(entry, set()) - own for entry in self._entries(document))

    def _entries(self, document: Document) -> set[Any]:
        if self._partial is not None and not filter_applies(self._partial, document):
            return set()
        values = [get_value_by_dot(document, name, can_generate_array=True) for name in self.key]
        if self._sparse and all(value is MISSING for value in values):
            return set()
        # A document of which an array is indexed has an entry for each element.
        columns = [value if isinstance(value, list) and value else [value] for value in values]
        return {
            tuple(None if value is MISSING else comparable(value) for value in row)
            for row in itertools.product(*columns)
        }


class Documents(CollectionStore):
    """A collection: its documents by their ids, its indexes and its options."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._rwlock = cast("RWLock", Open())
        self._swept = float("-inf")
        self.drop()
        self.changed = 0

    def drop(self) -> None:
        super().drop()
        # A plain one: a child that was forked in the midst of a change finds it whole.
        self._documents = cast("OrderedDict[Any, Document]", {})
        self.options = {}
        self._unique: dict[str, UniqueIndex] = {}
        self.changed = now()

    def create(self, **options: Any) -> None:
        super().create(**options)
        self.changed = now()

    def create_index(self, index_name: str, index_dict: Index) -> None:
        super().create_index(index_name, index_dict)
        self._is_force_created = True
        self.changed = now()

    def drop_index(self, index_name: str) -> None:
        super().drop_index(index_name)
        self._unique.pop(index_name, None)
        self.changed = now()

    def _remove_expired_documents(self) -> None:
        # It looks at every document, and servers do so once a minute.
        if self._ttl_indexes and time.monotonic() - self._swept > _SWEEP_SECONDS:
            self._swept = time.monotonic()
            super()._remove_expired_documents()

    def get(self, key: Any) -> Document | None:
        """Return the document with an id."""
        self._remove_expired_documents()
        return self._documents.get(comparable(key))

    def unique(self, name: str) -> UniqueIndex:
        """Return a unique index with all documents in it."""
        found = self._unique.get(name)
        if found is None:
            found = self._unique[name] = UniqueIndex(self.indexes[name])
            for key, document in self._documents.items():
                found.add(key, document)
        return found

    def put(self, key: Any, document: Document | None) -> None:
        """Put a document, which must not be changed from now on, in the place of another."""
        before = self._documents.get(key)
        for index in self._unique.values():
            if before is not None:
                index.remove(key, before)
            if document is not None:
                index.add(key, document)
        if document is None:
            self._documents.pop(key, None)
        else:
            self._documents[key] = document
            self._is_force_created = True
        self.changed = now()

    def __contains__(self, key: Any) -> bool:
        return self.get(key) is not None

    def __getitem__(self, key: Any) -> Document:
        self._remove_expired_documents()
        found: Document = self._documents[comparable(key)]
        return found

    def __setitem__(self, key: Any, document: Document) -> None:
        self.put(comparable(key), copy_of(document))

    def __delitem__(self, key: Any) -> None:
        self.put(comparable(key), None)


class Collections(DatabaseStore):
    """A database."""

    def __getitem__(self, col_name: str) -> Documents:
        if col_name not in self._collections:
            self._collections[col_name] = Documents(col_name)
        found: Documents = self._collections[col_name]
        return found


class Databases(ServerStore):
    """All that one twin keeps."""

    def items(self) -> list[tuple[str, Collections]]:
        """Return every database that was ever asked for, with its name."""
        return list(self._databases.items())

    def __getitem__(self, db_name: str) -> Collections:
        if db_name not in self._databases:
            self._databases[db_name] = Collections()
        found: Collections = self._databases[db_name]
        return found
