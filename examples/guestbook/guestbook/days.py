"""The day's summary: how many signed, and who was the last."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from pymongo import DESCENDING, timeout
from pymongo.errors import DuplicateKeyError

from guestbook.entries import CLOSED
from quorum import Mongo

logger = logging.getLogger(__name__)

NAMED = 5
"""How many of a day's visitors its summary names."""

REMEMBERED = 1000
"""How many messages a day remembers. One that comes again comes soon after it came first."""


@dataclass(frozen=True)
class Day:
    """What is known of one day: how many signed, who came last, the latest first, and when."""

    entries: int
    names: tuple[str, ...]
    last: datetime


class Days:
    """Keeps a summary of each day, in UTC; many consumers may write one at the same time."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo

    def count(self, message: str, name: str, at: datetime) -> bool:
        """Count an entry in its day, and tell whether it is new: one message counts once."""
        days = self._mongo.collection("days")
        day = at.astimezone(UTC).date().isoformat()
        # Two that begin the same day may both find that there is none.
        with suppress(DuplicateKeyError):
            days.update_one({"_id": day}, {"$setOnInsert": {"entries": 0}}, upsert=True)
        # In one step, so that a message is neither remembered uncounted nor counted unremembered.
        # Sorted by what the entry says: a queue may be emptied by many, in any order.
        newest = {"$each": [{"name": name, "at": at}], "$sort": {"at": DESCENDING}, "$slice": NAMED}
        counted = days.update_one(
            {"_id": day, "counted": {"$ne": message}},
            {
                "$inc": {"entries": 1},
                "$push": {
                    "counted": {"$each": [message], "$slice": -REMEMBERED},
                    "latest": newest,
                },
            },
        )
        return counted.matched_count == 1

    def today(self) -> Day | None:
        """Return the summary of this day; None before the first entry, or where none can be had."""
        day = datetime.now(UTC).date().isoformat()
        try:
            # Seconds. Nobody should wait for a summary for longer.
            with timeout(1):
                found = self._mongo.collection("days").find_one({"_id": day, "entries": {"$gt": 0}})
        except CLOSED as error:
            logger.warning("the summary of the day could not be read: %s", error)
            return None
        if found is None:
            return None
        latest = found["latest"]
        return Day(found["entries"], tuple(each["name"] for each in latest), latest[0]["at"])
