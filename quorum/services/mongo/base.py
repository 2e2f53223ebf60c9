"""MongoDB: what the service promises, whichever driver serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection
    from pymongo.database import Database

Document = dict[str, Any]


class Mongo(Protocol):
    """Hands out pymongo's own client, set up to be bounded, confirmed and fork-safe.

    What is called on the client, a database or a collection raises pymongo's own errors,
    unchanged: https://pymongo.readthedocs.io/en/stable/api/pymongo/errors.html. A call takes at
    most MONGO_TIMEOUT seconds in all, the choice of a server and repetitions included; a block
    `with pymongo.timeout(60):` gives those in it another limit. A write that returned was
    acknowledged by a majority, from the disk. Within its limit pymongo repeats what the server
    knows again (reads, single writes); a write of several documents whose answer was lost raises
    AutoReconnect or NetworkTimeout, and then the outcome is unknown: part or all of it may have
    been done. Moments are aware UTC datetimes, both ways.
    """

    @property
    def client(self) -> MongoClient[Document]:
        """The client of this process.

        Raises Unavailable if the service is closed, ConfigurationError for a URL that the driver
        refuses.
        """
        ...

    @property
    def database(self) -> Database[Document]:
        """The database of the application.

        Named by the URL, else by MONGO_DATABASE, else by `load(mongo_database=)`, else as the
        application; suffixed `-<instance>`. Raises Unavailable if the service is closed.
        """
        ...

    def collection(self, name: str) -> Collection[Document]:
        """Return a collection of the database.

        Raises Rejected for a name that MongoDB does not allow, Unavailable if it is closed.
        """
        ...

    def ping(self) -> None:
        """Return within a second if the server answers; else raise Unavailable or TimedOut.

        A password that the server refuses raises Rejected.
        """
        ...

    def close(self) -> None:
        """Let go of all connections. A second call is a no-op."""
        ...
