"""The guestbook: who signed it, with which words and which picture."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import DESCENDING, IndexModel, timeout
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, PyMongoError

from guestbook.pictures import Pictures
from guestbook.settings import GuestbookGroup
from quorum import Mongo, ServiceError

# Calls on pymongo's own objects raise its own errors; those of Quorum's verbs are ServiceErrors.
CLOSED = (PyMongoError, ServiceError)
"""What is raised where the book cannot be opened."""

NEWEST_FIRST = [("at", DESCENDING), ("_id", DESCENDING)]
INDEXES = [IndexModel(NEWEST_FIRST), IndexModel("form", unique=True)]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Entry:
    """What one visitor wrote, when, and the name of the picture if there is one."""

    id: str
    name: str
    message: str
    at: datetime
    picture: str | None = None

    @property
    def when(self) -> str:
        """The moment, to be read."""
        return f"{self.at.day} {self.at:%B %Y, %H:%M} UTC"

    @property
    def stamp(self) -> int:
        """The moment, in milliseconds since 1970: what MongoDB keeps of it."""
        return (self.at - EPOCH) // MILLISECOND


class Guestbook:
    """Keeps the newest entries in MongoDB; many threads and processes may share one book."""

    def __init__(self, settings: GuestbookGroup, mongo: Mongo, pictures: Pictures) -> None:
        self.title = settings.title
        self.owner = settings.owner
        self._keep = settings.keep
        self._mongo = mongo
        self._pictures = pictures
        self._indexed = False

    def sign(self, name: str, message: str, form: str, picture: str | None = None) -> Entry | None:
        """Add an entry and return it; None where it is there: one `form` makes one entry.

        Whoever gets an error may therefore try again, also where the first try did arrive.
        """
        entry = {"name": name, "message": message, "at": datetime.now(UTC), "picture": picture}
        try:
            id_ = self._entries().insert_one(entry | {"form": form}).inserted_id
        except DuplicateKeyError:
            return None
        return _entry(entry | {"_id": id_})

    def entries(self) -> list[Entry]:
        """Return the entries, the newest first."""
        return self._newest({})

    def since(self, stamp: int) -> list[Entry]:
        """Return the entries of that moment and later, the oldest first."""
        # Seconds. One who waits for news holds a thread of the server.
        with timeout(1):
            newest = self._newest({"at": {"$gte": EPOCH + stamp * MILLISECOND}})
        return newest[::-1]

    def _newest(self, which: dict[str, Any]) -> list[Entry]:
        found = self._entries().find(which).sort(NEWEST_FIRST).limit(self._keep)
        return [_entry(each) for each in found]

    def trim(self) -> None:
        """Let the oldest entries go where the book is over-full, each with its picture."""
        entries = self._entries()
        for old in entries.find({}, {"picture": True}).sort(NEWEST_FIRST).skip(self._keep):
            # The picture first: where this fails, the entry still leads to it the next time.
            if old["picture"]:
                self._pictures.delete(old["picture"])
            entries.delete_one({"_id": old["_id"]})

    def _entries(self) -> Collection[dict[str, Any]]:
        entries = self._mongo.collection("entries")
        # At first use: a constructor must not wait for a server. Twice does no harm.
        if not self._indexed:
            entries.create_indexes(INDEXES)
            self._indexed = True
        return entries


def _entry(found: dict[str, Any]) -> Entry:
    return Entry(str(found["_id"]), found["name"], found["message"], found["at"], found["picture"])
