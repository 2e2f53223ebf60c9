"""What a broker of dramatiq does for the tasks, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dramatiq import Broker
    from dramatiq.middleware import Middleware

    from quorum.services.tasks.dramatiq.errands import Errand

MARK_SECONDS = 3600.0
"""After which a schedule is taken for one that is not under way, if no worker began its run."""
RUN_SECONDS = 24 * 3600.0
"""After which it is so if a worker began it."""


class Backend(Protocol):
    """Sends errands to the queue of the application, and keeps those that failed.

    Any thread may call, and a forked child may; a call is bounded by the time limit of its
    settings group. Raises Unavailable, TimedOut or Rejected of the service `tasks`.
    """

    def send(self, errand: Errand, delay: float | None = None) -> None:
        """Put an errand into the queue; returns once the broker has it. `delay` is in seconds."""
        ...

    def bury(self, errand: Errand) -> None:
        """Put an errand that failed for good among the dead letters."""
        ...

    def dead(self) -> Sequence[Errand]:
        """Return the dead letters, the oldest first."""
        ...

    def revive(self, job: str) -> Errand | None:
        """Send the dead letter of a job's id again; None where there is none."""
        ...

    def mark(self, schedule: str) -> bool:
        """Mark a schedule as under way in the cluster; False where it is so already.

        Not for ever: whoever marked it may have died.
        """
        ...

    def renew(self, schedule: str) -> None:
        """Have the mark of a schedule last, whose run begins now."""
        ...

    def unmark(self, schedule: str) -> None:
        """Mark a schedule as not under way."""
        ...

    def broker(self, middleware: Sequence[Middleware]) -> Broker:
        """Return a broker for the workers of this process."""
        ...

    def ping(self) -> None:
        """Return within a second if jobs can be handed over."""
        ...

    def close(self) -> None:
        """Let go of the connections. A second call is a no-op."""
        ...
