"""New entries for pages that are open, over server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
import logging
import threading
import time
from collections.abc import Iterator

from guestbook.entries import CLOSED, Entry, Guestbook
from guestbook.events import CHANNEL, EVENT, Events
from guestbook.settings import GuestbookGroup
from quorum import Pusher
from quorum.forks import PerProcess
from quorum.services.pusher.memory import MemoryPusher

logger = logging.getLogger(__name__)

LIFETIME = 4.0
"""Seconds that a stream lasts: less than a server waits for its threads when it is told to stop."""

KEEP_ALIVE = 2.0
"""Seconds between two signs of life, by whose failing the server learns that nobody listens."""

AGAIN, WHEN_FULL, WHEN_CLOSED = 500, 10_000, 30_000
"""Milliseconds after which a browser asks for another stream."""


class Live:
    """Streams new entries to the browsers that ask, a few at a time.

    Each stream holds a thread of the server. Whoever comes while all places are taken is given
    what is new, and asks again after a while.
    """

    def __init__(
        self, settings: GuestbookGroup, guestbook: Guestbook, events: Events, pusher: Pusher
    ) -> None:
        self._guestbook = guestbook
        self._events = events
        self._pusher = pusher
        # A child that is forked has all its threads, whoever listens to its parent.
        self._places = PerProcess(lambda: threading.Semaphore(settings.streams))

    def stream(self, after: int) -> Iterator[str] | None:
        """Return the messages that tell of the entries since a stamp, and of those to come.

        None where a Pusher tells of them: no process knows what another one triggers.
        """
        twin = self._pusher
        return self._messages(twin, after) if isinstance(twin, MemoryPusher) else None

    def _messages(self, pusher: MemoryPusher, after: int) -> Iterator[str]:
        places = self._places.get()
        lasts = places.acquire(blocking=False)
        try:
            # Before the first look into the book: no entry falls in between.
            with pusher.follow(CHANNEL) as follower:
                yield f"retry: {AGAIN if lasts else WHEN_FULL}\n\n"
                end = time.monotonic() + (LIFETIME if lasts else 0)
                sent: set[str] = set()
                while True:
                    for entry in self._guestbook.since(after):
                        if entry.id not in sent:
                            yield self._message(entry)
                        sent.add(entry.id)
                        after = entry.stamp
                    left = end - time.monotonic()
                    if left <= 0:
                        return
                    # An event is why to look, and so is the time: others may write to the book.
                    event = follower.get(min(KEEP_ALIVE, left))
                    if follower.closed:
                        return
                    if event is None:
                        yield ": still here\n\n"
        except CLOSED as error:
            logger.warning("an open page does not see new entries: %s", error)
            yield f"retry: {WHEN_CLOSED}\n\n"
        finally:
            if lasts:
                places.release()

    def _message(self, entry: Entry) -> str:
        data = json.dumps(self._events.shown(entry))
        return f"id: {entry.stamp}\nevent: {EVENT}\ndata: {data}\n\n"
