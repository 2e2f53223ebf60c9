"""The driver's own sessions, whose transactions end here and not on a server."""

from __future__ import annotations

from typing import Any

from pymongo.client_session import ClientSession

from quorum.services.mongo.memory.transactions import Transaction


class TwinSession(ClientSession):
    """A session of the twin; the driver keeps what may follow what."""

    _running: Transaction | None = None

    @classmethod
    def of(cls, session: ClientSession) -> TwinSession:
        """Make a session that the driver built one of ours."""
        # Built by the driver alone, whose constructor is its own affair.
        session.__class__ = cls
        assert isinstance(session, cls)  # noqa: S101 - for checkers
        return session

    def join(self) -> Transaction | None:
        """Return the transaction that an operation belongs to, begun by the first of them."""
        if not self.in_transaction:
            return None
        if self._running is None:
            self._running = Transaction()
        return self._running

    # The driver believes that no operation ever joined, and so asks no server for the end.
    def commit_transaction(self) -> None:
        super().commit_transaction()
        running, self._running = self._running, None
        client: Any = self.client
        if running is not None:
            with client.operation(None):
                running.commit()

    def abort_transaction(self) -> None:
        super().abort_transaction()
        self._running = None
