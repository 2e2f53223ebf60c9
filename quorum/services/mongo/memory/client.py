"""The driver's own client, with an engine in this process and never a server."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from decimal import localcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

from bson.decimal128 import create_decimal128_context
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.cursor import CursorType
from pymongo.errors import InvalidOperation, OperationFailure, PyMongoError

from quorum.services.mongo.memory.arguments import asked, bound, understood, unsupported
from quorum.services.mongo.memory.database import TwinDatabase
from quorum.services.mongo.memory.sessions import TwinSession
from quorum.services.mongo.memory.values import documents_given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quorum.services.counts import Counts
    from quorum.services.mongo.memory.engine import Engine
    from quorum.services.mongo.memory.transactions import Transaction

_numbers = itertools.count(1)

_NOT_IN_A_TRANSACTION = 263
_STUMBLES = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
_OF_A_QUERY = {"$query", "$orderby", "$hint", "$comment", "$maxTimeMS", "$readPreference"}


class TwinClient(MongoClient[dict[str, Any]]):
    """A client whose databases are in this process.

    Whatever of the driver is not written here, or in the classes beside, comes at last to the
    question for a server; that is where it is refused.
    """

    def __init__(self, engine: Engine, counts: Counts, check: Callable[[], None]) -> None:
        # A name of its own, by which the driver tells clients apart.
        super().__init__(f"mongodb://embedded-{next(_numbers)}", connect=False, tz_aware=True)
        self._engine = engine
        self._counts = counts
        self._open = True
        self._check = check

    @contextmanager
    def operation(self, session: ClientSession | None, *, alone: bool = False) -> Iterator[Engine]:
        """Hold the engine for one operation, as a part of the transaction of a session.

        `alone`: it must be no part of one. Raises Unsupported for what the engine cannot do.
        """
        engine = self._engine
        with self._counts.call(), engine.lock, localcontext(create_decimal128_context()):
            if not self._open:
                raise InvalidOperation("Cannot use MongoClient after close")
            self._check()
            transaction = self._transaction_of(session)
            if transaction is not None and alone:
                raise OperationFailure("not in a transaction", _NOT_IN_A_TRANSACTION)
            before, engine.transaction = engine.transaction, transaction
            try:
                yield engine
            except NotImplementedError as error:
                raise unsupported(str(error)) from error
            except _STUMBLES as error:
                # The engine was not written for this; what was given is checked before.
                raise unsupported(repr(error)) from error
            except PyMongoError:
                if transaction is not None:
                    # As a server does: what failed once has failed as a whole.
                    transaction.abort()
                raise
            finally:
                engine.transaction = before

    def close(self) -> None:
        self._open = False
        super().close()

    def start_session(self, *args: Any, **kwargs: Any) -> TwinSession:
        if bound(MongoClient.start_session, args, kwargs).get("snapshot"):
            raise unsupported("a snapshot session")
        return TwinSession.of(super().start_session(*args, **kwargs))

    def get_database(self, name: str | None = None, *args: Any, **kwargs: Any) -> TwinDatabase:
        if name is None:
            # Raises, since no URL names one.
            super().get_database()
        return TwinDatabase(self, name, *args, **kwargs)  # type: ignore[arg-type] # not None here

    def __getitem__(self, name: str) -> TwinDatabase:
        return TwinDatabase(self, name)

    def get_default_database(self, *args: Any, **kwargs: Any) -> TwinDatabase:
        found = super().get_default_database(*args, **kwargs)
        return TwinDatabase(
            self,
            found.name,
            found.codec_options,
            found.read_preference,
            found.write_concern,
            found.read_concern,
        )

    def list_database_names(self, *args: Any, **kwargs: Any) -> list[str]:
        return [found["name"] for found in self.list_databases(*args, **kwargs)]

    def list_databases(self, *args: Any, **kwargs: Any) -> Any:
        arguments = bound(MongoClient.list_databases, args, kwargs)
        session = arguments.pop("session", None)
        understood(arguments, (), self.codec_options)
        with self.operation(session) as engine:
            names = sorted(engine.list_database_names())
        return self.admin.cursor([{"name": name, "empty": False} for name in names])

    def drop_database(self, name_or_database: Any, session: Any = None, *_: Any, **__: Any) -> None:
        name = getattr(name_or_database, "name", name_or_database)
        if not isinstance(name, str):
            raise TypeError("name_or_database must be an instance of str or a Database")
        with self.operation(session, alone=True) as engine:
            database = engine.get_database(name)
            for each in database.list_collection_names():
                database.drop_collection(each)

    def _transaction_of(self, session: ClientSession | None) -> Transaction | None:
        if session is None:
            # Newer drivers may have one bound to the running context.
            session = getattr(self, "_get_bound_session", lambda: None)()
        if session is None:
            return None
        if not isinstance(session, ClientSession):
            raise ValueError(  # noqa: TRY004 - the driver's own
                "'session' argument must be a ClientSession or None."
            )
        if session.has_ended:
            raise InvalidOperation("Cannot use ended session")
        if session.client is not self:
            raise InvalidOperation("Can only use session with the MongoClient that started it")
        return session.join() if isinstance(session, TwinSession) else None

    def _run_operation(self, operation: Any, *_: Any, **__: Any) -> Any:
        """Answer the driver's cursors, which ask all their questions here."""
        session, options = operation.session, operation.codec_options
        spec = operation.spec if "$query" in operation.spec else {"$query": operation.spec}
        unknown = [*(spec.keys() - _OF_A_QUERY), *(["a collation"] * bool(operation.collation))]
        if operation.name != "find" or operation.flags & CursorType.TAILABLE_AWAIT:
            unknown.append("a tailable cursor")
        if unknown:
            raise unsupported(", ".join(unknown))
        query, fields = asked([spec["$query"], operation.fields], options)
        # The driver lends a cursor a session of its own where it was given none.
        own = session is None or session._implicit  # noqa: SLF001
        with self.operation(None if own else session) as engine:
            collection = engine.get_database(operation.db).get_collection(operation.coll)
            found = collection.query(
                query,
                sort=spec.get("$orderby"),
                hint=spec.get("$hint"),
                projection=fields,
                skip=operation.ntoskip,
                limit=abs(operation.limit),
            )
        cursor = {
            "id": 0,
            "ns": operation.namespace(),
            "firstBatch": documents_given(found, options),
        }
        return SimpleNamespace(address=None, from_command=True, docs=[{"cursor": cursor, "ok": 1}])

    def _get_topology(self) -> NoReturn:
        if not self._open:
            raise InvalidOperation("Cannot use MongoClient after close")
        raise unsupported("this call")
