"""The embedded twin: a MongoDB in this process, kept in one file where it is given a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from quorum.errors import Unavailable
from quorum.forks import PerProcess
from quorum.services.client import ClientService
from quorum.services.files import KeptFile
from quorum.services.mongo.memory.client import TwinClient
from quorum.services.mongo.memory.dump import dump, load
from quorum.services.mongo.memory.engine import Engine
from quorum.services.mongo.names import check_collection, check_database

if TYPE_CHECKING:
    from pathlib import Path

    from pymongo import MongoClient
    from pymongo.collection import Collection
    from pymongo.database import Database

    from quorum.services.mongo.base import Document
    from quorum.settings import MongoSettings


class MemoryMongo(ClientService):
    """Keeps documents in this process, with the driver's own classes before them.

    What only a server can do (`$text`, `$where`, collations, change streams, …) raises
    Unsupported. With a `data_path` all of it is in `<data_path>/mongo.json`, read when it is first
    used and written by `flush`, `close` and the end of the interpreter; one process at a time keeps
    that file. Without one, a forked child goes on with a copy of its own.
    """

    noun = "mongo"

    def __init__(
        self,
        settings: MongoSettings,  # noqa: ARG002 - every driver takes them
        *,
        database: str,
        data_path: Path | None = None,
    ) -> None:
        super().__init__()
        self._name = check_database(database)
        self._engine = Engine()
        path = data_path / "mongo.json" if data_path is not None else None
        self._file = KeptFile(self.noun, path, variable="MONGO_URL") if path is not None else None
        self._clients = PerProcess(self._build)
        self._copied: TwinClient | None = None

    @property
    def client(self) -> MongoClient[Document]:
        self._check_open()
        client = self._clients.get()
        if self._closed:
            # By another thread, which may have come before there was anything to close.
            self.close()
            self._check_open()
        return client

    @property
    def database(self) -> Database[Document]:
        return self.client[self._name]

    def collection(self, name: str) -> Collection[Document]:
        check_collection(self._name, name)
        return self.client[self._name][name]

    def ping(self) -> None:
        try:
            self.client.admin.command("ping")
        except PyMongoError as error:
            raise Unavailable(self.noun, f"its client is of no use any more ({error})") from error

    def flush(self) -> None:
        """Save what is kept now; a no-op without a `data_path`.

        Raises Unavailable if it cannot be saved, or if the service is closed.
        """
        self._check_open()
        self._save()

    def close(self) -> None:
        super().close()
        client = self._clients.built
        try:
            self._save()
        finally:
            if self._file is not None:
                self._file.release()
            if client is not None:
                client.close()

    def _build(self) -> TwinClient:
        if self._file is None:
            # A child goes on with a copy of all of it; nothing in it is shared.
            self._copied = self._copied or TwinClient(self._engine, self.counts, self._check_kept)
            return self._copied
        # What a child inherited is the parent's; its own is what the file holds.
        self._engine = engine = Engine()
        self._file.load(lambda data: load(data, engine.store))
        self._file.save_at_exit(self._save)
        return TwinClient(engine, self.counts, self._check_kept)

    def _save(self) -> None:
        if self._file is not None:
            self._file.save(lambda: dump(self._engine))

    def _check_kept(self) -> None:
        """Refuse what would be lost: it was asked of a client that another process built."""
        if self._file is not None and not self._file.kept:
            raise Unavailable(
                self.noun,
                f"{self._file.path} is kept by the process that this one was forked from; set "
                "MONGO_URL to share a server",
            )
