"""Transactions: each sees the documents as they were when it began, and itself until it ends."""

from __future__ import annotations

from typing import Any

from pymongo.errors import OperationFailure

from quorum.services.mongo.memory.store import Documents, now

_WRITE_CONFLICT = 112
_NO_SUCH_TRANSACTION = 251
_SNAPSHOT_UNAVAILABLE = 246


class View(Documents):
    """A collection as one transaction sees it."""

    def __init__(self, base: Documents) -> None:
        super().__init__(base.name)
        self.base = base
        self.indexes = base.indexes
        self.options = base.options
        self._is_force_created = base._is_force_created  # noqa: SLF001 - of the same class
        self._documents = base._documents.copy()  # noqa: SLF001
        self._start = dict(self._documents)
        self._touched: set[Any] = set()

    def put(self, key: Any, document: dict[str, Any] | None) -> None:
        super().put(key, document)
        self._touched.add(key)

    @property
    def changes(self) -> dict[Any, dict[str, Any] | None]:
        """The documents that the transaction put, and None for those that it took away."""
        return {key: self._documents.get(key) for key in self._touched}

    @property
    def overtaken(self) -> bool:
        """Whether another wrote one of its documents, or one that must differ from its own."""
        held = self.base._documents  # noqa: SLF001
        if any(held.get(key) is not self._start.get(key) for key in self._touched):
            return True
        unique = [self.base.unique(name) for name in _unique_names(self.base)]
        put = {key: document for key, document in self.changes.items() if document is not None}
        moved = set(self._touched)
        return any(
            index.taken(key, document, moved) for index in unique for key, document in put.items()
        )


class Transaction:
    """The views of a transaction, by the collection each is of."""

    def __init__(self) -> None:
        self._began = now()
        self._views: dict[int, View] = {}
        self._aborted = False

    def view(self, base: Documents) -> View:
        """Return how a collection was when the transaction began, with what it did since.

        Raises OperationFailure if that is not known any more.
        """
        if self._aborted:
            raise _transient("the transaction has been aborted", _NO_SUCH_TRANSACTION)
        found = self._views.get(id(base))
        if found is None:
            if base.changed > self._began:
                raise _transient("the collection changed since", _SNAPSHOT_UNAVAILABLE)
            found = self._views[id(base)] = View(base)
        return found

    def abort(self) -> None:
        """Give it up: nothing of it was done, and nothing more can be."""
        self._aborted = True

    def commit(self) -> None:
        """Make all of it so. Raises OperationFailure, and does nothing, if another overtook it."""
        if self._aborted:
            raise _transient("the transaction has been aborted", _NO_SUCH_TRANSACTION)
        if any(view.overtaken for view in self._views.values()):
            raise _transient("Write conflict during commit", _WRITE_CONFLICT)
        for view in self._views.values():
            for key, document in view.changes.items():
                view.base.put(key, document)


def _unique_names(store: Documents) -> list[str]:
    return [name for name, index in store.indexes.items() if index.get("unique")]


def _transient(message: str, code: int) -> OperationFailure:
    details = {"code": code, "errmsg": message, "errorLabels": ["TransientTransactionError"]}
    return OperationFailure(message, code, details)
