"""MongoDB over pymongo: one bounded, confirming client per process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pymongo
from pymongo import _csot
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from quorum.forks import PerProcess
from quorum.services.client import ClientService
from quorum.services.deadline import Deadline
from quorum.services.mongo.commands import CommandCounts
from quorum.services.mongo.failures import explain, explain_look_up, explain_url
from quorum.services.mongo.names import check_collection, check_database
from quorum.services.mongo.options import client_options
from quorum.services.singleflight import SingleFlight

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection
    from pymongo.database import Database

    from quorum.services.mongo.base import Document
    from quorum.settings import MongoSettings

_PING_SECONDS = 0.75
# The driver looks for a server by half seconds: a longer limit would be a whole one.
_SELECTION_SECONDS = 0.45
_CLOSE_SECONDS = 1.0
_COLLECTIONS = 1000


class _Session(ClientSession):
    """A session whose repeated transactions end with the limit of one call."""

    def with_transaction(self, *args: Any, **kwargs: Any) -> Any:
        # The driver repeats for 120 s, each attempt with a limit of its own; the user's own holds.
        limit = None if _csot.get_timeout() is not None else self.client.options.timeout
        if limit is None:
            return super().with_transaction(*args, **kwargs)
        with pymongo.timeout(limit):
            return super().with_transaction(*args, **kwargs)


class _Client(pymongo.MongoClient[dict[str, Any]]):
    """The driver's own, but for its sessions."""

    def start_session(self, *args: Any, **kwargs: Any) -> ClientSession:
        session = super().start_session(*args, **kwargs)
        session.__class__ = _Session
        return session


class _Connected(NamedTuple):
    client: MongoClient[Document]
    database: Database[Document]
    collections: dict[str, Collection[Document]]
    """Those that were asked for; to build one anew for each call would be felt."""


class ServerMongo(ClientService):
    """Speaks to the servers of MONGO_URL, whose options hold where they break no promise.

    So a shorter time limit in the URL holds and a longer one does not; a `w` of a number is
    raised to a majority.
    """

    noun = "mongo"

    def __init__(self, settings: MongoSettings, *, database: str) -> None:
        super().__init__()
        self.counts = CommandCounts()
        self._settings = settings
        self._name = check_database(database)
        self._connected = PerProcess(self._connect)
        # The driver looks a name of mongodb+srv up as a client is built, for up to two timeouts.
        self._looking_up = SingleFlight(self._connected.get)

    @staticmethod
    def check_settings(settings: MongoSettings) -> None:
        """Raise ConfigurationError for a URL that the driver refuses; nothing is looked up."""
        url = settings.url.get_secret_value() if settings.url else ""
        try:
            client_options(url, settings.timeout, "check")
        except (PyMongoError, ValueError, TypeError) as error:
            refusal = explain_url(error, url)
        else:
            return
        raise refusal

    @property
    def client(self) -> MongoClient[Document]:
        return self._open().client

    @property
    def database(self) -> Database[Document]:
        return self._open().database

    def collection(self, name: str) -> Collection[Document]:
        check_collection(self._name, name)
        connected = self._open()
        found = connected.collections.get(name)
        if found is None:
            # An application that names them after its visitors must not fill the memory.
            if len(connected.collections) >= _COLLECTIONS:
                connected.collections.clear()
            found = connected.collections[name] = connected.database[name]
        return found

    def prepare(self) -> None:
        """Build the client, unless its servers must be looked up for that."""
        if not self._looked_up:
            self._open()

    def ping(self) -> None:
        deadline = Deadline(min(_PING_SECONDS, self._settings.timeout))
        client = self._open(deadline).client
        try:
            with pymongo.timeout(min(_SELECTION_SECONDS, deadline.remaining())):
                # Asked for what it needs a server for, which must be one that takes writes.
                _ = client.is_primary
            with pymongo.timeout(deadline.remaining()):
                client.admin.command("ping")
        except (PyMongoError, TimeoutError) as error:
            self._check_open()
            raise explain(error, client, self._place) from error

    def close(self) -> None:
        super().close()
        connected = self._connected.built
        if connected is not None:
            # It says goodbye, and a server that hangs must not hold that up.
            with pymongo.timeout(_CLOSE_SECONDS):
                connected.client.close()

    @property
    def _place(self) -> str:
        return self._settings.public_address or "MongoDB"

    def _open(self, deadline: Deadline | None = None) -> _Connected:
        self._check_open()
        connected = self._connected.built
        if connected is None:
            connected = self._build(deadline or Deadline(self._settings.timeout))
        if self._closed:
            # By another thread, which may have come before there was anything to close.
            self.close()
            self._check_open()
        return connected

    def _build(self, deadline: Deadline) -> _Connected:
        if not self._looked_up:
            return self._connected.get()
        try:
            return self._looking_up.result(deadline.remaining())
        except TimeoutError as error:
            raise explain_look_up(deadline.seconds) from error

    @property
    def _looked_up(self) -> bool:
        return self._url.startswith("mongodb+srv:")

    @property
    def _url(self) -> str:
        return (
            self._settings.url.get_secret_value() if self._settings.url else "mongodb://localhost"
        )

    def _connect(self) -> _Connected:
        url = self._url
        try:
            options: dict[str, Any] = client_options(url, self._settings.timeout, self._name)
            client: MongoClient[Document] = _Client(url, event_listeners=[self.counts], **options)
        except (PyMongoError, ValueError, TypeError, OSError) as error:
            refusal = explain_url(error, url)
        else:
            return _Connected(client, client[self._name], {})
        # Raised out here and without the driver's error, which may repeat a part of the URL.
        raise refusal
