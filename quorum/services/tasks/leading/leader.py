"""One process of the cluster leads: it alone runs the schedules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from quorum.services.tasks.leading.candidate import Candidate
from quorum.services.tasks.leading.claims import FileClaim, LeaseClaim
from quorum.services.tasks.leading.place import Place
from quorum.services.tasks.leading.runs import FileRuns, RedisRuns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from quorum.services.redis.base import Redis
    from quorum.services.tasks.leading.claims import Claim
    from quorum.services.tasks.leading.runs import Runs
    from quorum.settings import RedisSettings


class Leading(Protocol):
    """Whether this process is the one; what a scheduler asks of a leader."""

    @property
    def leads(self) -> bool:
        """Whether it leads now; costs nothing to ask."""
        ...

    @property
    def settled(self) -> bool:
        """Whether it is known who leads, this process or another; costs nothing to ask.

        What is due before that waits for it.
        """
        ...

    def start(self, changed: Callable[[], None]) -> None:
        """Begin to stand for it, in this process; a no-op while it does.

        `changed` is called, on another thread, as `leads` or `settled` changes. Raises Unavailable
        if no thread can be started.
        """
        ...

    def last_run(self, schedule: str) -> float | None:
        """Return which due time (Unix seconds) of a schedule the cluster ran last, if known."""
        ...

    def note_run(self, schedule: str, due: float) -> None:
        """Remember, for whoever leads next, that a due time (Unix seconds) was run."""
        ...

    def stop(self) -> None:
        """Stand for it no more, and let another lead at once. A second call is a no-op."""
        ...


class Leader:
    """Stands for an application's lead: on its machine, or in the cluster where there is Redis.

    Without Redis who holds the lock of a file leads, of those that run the application from the
    same folder as the same user. It ends with the process, however that ends, and another leads
    within two seconds; of a process that is stopped (SIGSTOP) it does not end.

    With Redis who holds a lease leads, which lasts for 9 seconds and is renewed every 3. One that
    is killed, stopped or cut off leads no more when it is over, which it knows without asking;
    another leads within 11 seconds. While Redis cannot be reached nobody begins to lead. After a
    restart in which it lost its data nobody does until it has been up for 9 seconds: whoever led
    before knows by then. Only where it loses the lease as it runs (a flush, a fail-over to another
    without it), or a machine sleeps as a whole, can two lead, for up to 3 seconds.

    A run that is under way as the lead is lost goes on.

    A child goes before its parent: a process whose living child stands too does not lead. So the
    workers of a server that loads the application before it forks do, and not their master.
    """

    def __init__(
        self,
        name: str,
        redis: RedisSettings,
        lease: Callable[[], Redis],
        *,
        folder: Path | None = None,
        expires_in: float = 9.0,
    ) -> None:
        self._name = name
        self._expires_in = expires_in
        self._lease = lease if redis.driver == "server" else None
        self._place = Place(name, folder)
        self._runs: Runs = RedisRuns(lease, name) if self._lease else FileRuns(self._place)
        self._candidate: Candidate | None = None

    @property
    def leads(self) -> bool:
        candidate = self._own_candidate()
        return candidate is not None and candidate.leads

    @property
    def settled(self) -> bool:
        candidate = self._own_candidate()
        return candidate is not None and candidate.settled

    def start(self, changed: Callable[[], None]) -> None:
        if self._own_candidate() is None:
            candidate = Candidate(self._name, self._place, self._claim(), changed)
            candidate.start()
            self._candidate = candidate

    def last_run(self, schedule: str) -> float | None:
        return self._runs.last(schedule)

    def note_run(self, schedule: str, due: float) -> None:
        self._runs.note(schedule, due)

    def stop(self) -> None:
        candidate, self._candidate = self._own_candidate(), None
        if candidate is not None:
            candidate.stop()

    def _claim(self) -> Claim:
        return LeaseClaim(self._lease, self._expires_in) if self._lease else FileClaim(self._place)

    def _own_candidate(self) -> Candidate | None:
        candidate = self._candidate
        # A forked child stands by itself, or not at all.
        return candidate if candidate is not None and candidate.process == os.getpid() else None
