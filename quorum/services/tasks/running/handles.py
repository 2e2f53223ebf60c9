"""What a caller holds of a job of this process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

from quorum.errors import Rejected, TimedOut, Unavailable
from quorum.forks import ForkSafeLock
from quorum.services.tasks.jobs import name_of, seconds_to_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.tasks.base import Job, State
    from quorum.services.tasks.running.runner import Runner

FINAL: Final = frozenset({"done", "failed", "cancelled", "dropped"})

_making = ForkSafeLock()


class JobHandle:
    """A job of one process. In a forked child, that of a job of the parent says so.

    It holds the job until it ends, then what came of it. What most callers never ask for is made
    when somebody does: the id, the name, and what waits.
    """

    __slots__ = (
        "__weakref__",
        "_ended",
        "_error",
        "_name",
        "_number",
        "_result",
        "_state",
        "_then",
        "job",
        "runner",
    )

    def __init__(
        self,
        job: Job,
        runner: Runner,
        then: Callable[[JobHandle], None] | None = None,
        name: str | None = None,
    ) -> None:
        self.job: Job | None = job
        self.runner = runner
        self._then = then
        self._name = name
        self._number = next(runner.ids.numbers)
        self._state: State = "queued"
        self._result: Any = None
        self._error: BaseException | None = None
        self._ended: threading.Event | None = None

    def __repr__(self) -> str:
        return f"<job {self.name} {self.id}: {self._state}>"

    @property
    def id(self) -> str:
        return f"{self.runner.ids.prefix}-{self._number}"

    @property
    def name(self) -> str:
        # Noted as the job is let go of.
        job = self.job
        return self._name or ("" if job is None else name_of(job))

    @property
    def state(self) -> State:
        self._check_process()
        return self._state

    @property
    def exception(self) -> BaseException | None:
        self._check_process()
        return self._error

    def wait(self, timeout: float | None = None) -> bool:
        seconds = seconds_to_wait(timeout)
        if self._state in FINAL:
            return True
        self._check_process()
        with _making:
            ended = self._ended = self._ended or threading.Event()
        if seconds is None and self.runner.hint and self._state in {"scheduled", "queued"}:
            raise Rejected(
                "tasks",
                f"the job {self.name} ({self.id}) would never end; {self.runner.hint}",
            )
        # It may have ended before it saw the event.
        if self._state in FINAL:
            return True
        return ended.wait(None if seconds is None else min(seconds, threading.TIMEOUT_MAX))

    def result(self, timeout: float | None = None) -> Any:
        if not self.wait(timeout):
            raise TimedOut(
                "tasks",
                f"the job {self.name} ({self.id}) did not end within {timeout} s; "
                f"{self.runner.hint or f'it is {self._state}'}",
            )
        if self._error is not None:
            raise self._error
        if self._state == "cancelled":
            raise Unavailable("tasks", f"the job {self.name} ({self.id}) was cancelled")
        if self._state == "dropped":
            raise Unavailable(
                "tasks", f"the job {self.name} ({self.id}) was dropped, since the tasks were closed"
            )
        return self._result

    def cancel(self) -> bool:
        self._check_process()
        return self.runner.cancel(self)

    def now(self, state: State) -> None:
        """Note where it is now."""
        self._state = state

    def end(self, state: State, result: Any = None, error: BaseException | None = None) -> None:
        """Note how it ended, and tell those who wait."""
        self._result, self._error = result, error
        # What it was called with is of no more use to anybody.
        self._name, self.job = self.name, None
        self._state = state
        if self._ended is not None:
            self._ended.set()
        then, self._then = self._then, None
        if then is not None:
            then(self)

    def _check_process(self) -> None:
        if self.runner.pid != os.getpid() and self._state not in FINAL:
            raise Unavailable(
                "tasks",
                f"the job {self.name} ({self.id}) is of process {self.runner.pid}, which this "
                "one was forked from and which alone knows it; ask there",
            )
