"""The driver's own database, with each call done by the engine in the place of a server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from mongomock_ng.filtering import filter_applies
from pymongo.command_cursor import CommandCursor
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

from quorum.services.mongo.memory.arguments import asked, bound
from quorum.services.mongo.memory.collection import TwinCollection
from quorum.services.mongo.memory.values import documents_given, to_given

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quorum.services.mongo.memory.client import TwinClient
    from quorum.services.mongo.memory.engine import EngineDatabase

_NAMESPACE_EXISTS = 48
_OF_A_COLLECTION = {"codec_options", "read_preference", "write_concern", "read_concern"}


class TwinDatabase(Database[dict[str, Any]]):
    """A database that lives in this process."""

    @property
    def client(self) -> TwinClient:
        return cast("TwinClient", super().client)

    @contextmanager
    def engine(self, session: Any, *, alone: bool = False) -> Iterator[EngineDatabase]:
        """Hold the engine for one operation; `alone`, it must be no part of a transaction."""
        with self.client.operation(session, alone=alone) as engine:
            yield engine.get_database(self.name)

    def get_collection(self, name: str, *args: Any, **kwargs: Any) -> TwinCollection:
        return TwinCollection(self, name, None, *args, **kwargs)

    def __getitem__(self, name: str) -> TwinCollection:
        return TwinCollection(self, name)

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        found = super().with_options(*args, **kwargs)
        return TwinDatabase(
            self.client,
            found.name,
            found.codec_options,
            found.read_preference,
            found.write_concern,
            found.read_concern,
        )

    def create_collection(self, name: str, *args: Any, **kwargs: Any) -> TwinCollection:
        arguments = bound(Database.create_collection, (name, *args), kwargs)
        session, check = arguments.pop("session", None), arguments.pop("check_exists", True)
        shown = {key: arguments.pop(key, None) for key in _OF_A_COLLECTION}
        found = self.get_collection(arguments.pop("name"), **shown)
        given = asked(arguments, self.codec_options)
        with self.engine(session, alone=True) as engine:
            if name in engine.list_collection_names():
                if check:
                    raise CollectionInvalid(f"collection {name} already exists")
                raise OperationFailure(f"Collection {name} already exists.", _NAMESPACE_EXISTS)
            engine.create_collection(name, **given)
        return found

    def drop_collection(self, name_or_collection: Any, *args: Any, **kwargs: Any) -> Any:
        name = getattr(name_or_collection, "name", name_or_collection)
        if not isinstance(name, str):
            raise TypeError("name_or_collection must be an instance of str or a Collection")
        arguments = bound(Database.drop_collection, (name, *args), kwargs)
        with self.engine(arguments.get("session"), alone=True) as engine:
            engine.drop_collection(name)
        return {"ok": 1.0}

    def list_collection_names(self, *args: Any, **kwargs: Any) -> list[str]:
        return [found["name"] for found in self.list_collections(*args, **kwargs)]

    def list_collections(self, *args: Any, **kwargs: Any) -> Any:
        arguments = bound(Database.list_collections, args, kwargs)
        wanted = asked(arguments.get("filter") or {}, self.codec_options)
        with self.engine(arguments.get("session")) as engine:
            found = [
                {"name": name, "type": "collection", "options": engine[name].options()}
                for name in engine.list_collection_names()
            ]
            found = [each for each in found if filter_applies(wanted, each)]
        return self.cursor(found)

    def command(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        arguments = bound(Database.command, (command, *args), kwargs)
        wanted = arguments.pop("command")
        value, session = arguments.pop("value", 1), arguments.pop("session", None)
        for name in ("check", "allowable_errors", "read_preference", "codec_options", "comment"):
            arguments.pop(name, None)
        wanted = {wanted: value} if isinstance(wanted, str) else dict(wanted)
        wanted = asked({**wanted, **arguments}, self.codec_options)
        with self.engine(session) as engine:
            if "buildinfo" in {name.lower() for name in wanted}:
                answer = engine.client.server_info()
            else:
                answer = engine.command(wanted)
        return to_given(answer, self.codec_options)

    def cursor(self, documents: list[Any]) -> CommandCursor[Any]:
        """Return a cursor over documents that are not in a collection."""
        batch = documents_given(documents, self.codec_options)
        return CommandCursor(self["$cmd.list"], {"id": 0, "ns": "", "firstBatch": batch}, None)
