"""The consumer of `quorum consume guestbook.summary:write guestbook.summary`."""

import logging
from datetime import datetime

from guestbook.containers import GuestbookContainer
from guestbook.days import Days
from guestbook.entries import CLOSED
from quorum import Delivery, Provide, inject

logger = logging.getLogger(__name__)


@inject
def write(delivery: Delivery, days: Days = Provide[GuestbookContainer.days]) -> None:
    """Count an entry in the summary of its day; a message that comes twice counts once.

    One that says something else raises, and ends in the dead-letter queue.
    """
    entry = delivery.json()
    if delivery.message_id is None:
        raise ValueError("a message without an id could not be told from one that comes again")
    try:
        days.count(delivery.message_id, entry["name"], datetime.fromisoformat(entry["at"]))
    except CLOSED as error:
        logger.warning("an entry is counted when it comes again: %s", error)
        delivery.reject(requeue=True)
