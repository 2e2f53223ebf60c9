"""Idle connections, each taken by one thread at a time."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorum.services.mailer.smtp.session import Session

_KEPT = 16
_IDLE_SECONDS = 60.0


class Pool:
    """Connections kept for the next mail, in this process alone."""

    def __init__(self) -> None:
        # Appending and popping a deque is atomic: there is no lock that a fork could leave shut.
        self._idle: deque[Session] = deque()
        self._closed = False

    def take(self) -> Session | None:
        """Return the connection used last that looks alive, if there is one."""
        while True:
            try:
                session = self._idle.pop()
            except IndexError:
                return None
            if _fresh(session) and session.quiet:
                return session
            session.leave()

    def keep(self, session: Session) -> None:
        """Keep a connection for the next mail; leave the oldest if there are enough."""
        session.used = time.monotonic()
        self._idle.append(session)
        # Another thread may empty it at any moment.
        with suppress(IndexError):
            while self._is_surplus(self._idle[0]):
                self._idle.popleft().leave()

    def _is_surplus(self, oldest: Session) -> bool:
        return self._closed or len(self._idle) > _KEPT or not _fresh(oldest)

    def drain(self) -> None:
        """Leave every idle connection."""
        while True:
            try:
                self._idle.popleft().leave()
            except IndexError:
                return

    def close(self) -> None:
        """Leave every idle connection, and each that comes back."""
        self._closed = True
        self.drain()


def _fresh(session: Session) -> bool:
    return session.pid == os.getpid() and time.monotonic() - session.used < _IDLE_SECONDS
