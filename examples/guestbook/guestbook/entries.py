"""The guestbook: who signed it, and with which words."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from guestbook.settings import GuestbookGroup


@dataclass(frozen=True)
class Entry:
    """What one visitor wrote, and when."""

    name: str
    message: str
    at: datetime


class Guestbook:
    """Keeps the newest entries in memory; one serves all threads."""

    def __init__(self, settings: GuestbookGroup) -> None:
        self.title = settings.title
        self.owner = settings.owner
        self._entries: deque[Entry] = deque(maxlen=settings.keep)
        self._lock = Lock()

    def sign(self, name: str, message: str) -> Entry:
        """Add an entry; where the book is full, the oldest one goes."""
        entry = Entry(name, message, datetime.now(UTC))
        with self._lock:
            self._entries.appendleft(entry)
        return entry

    def entries(self) -> list[Entry]:
        """Return the entries, the newest first."""
        with self._lock:
            return list(self._entries)
