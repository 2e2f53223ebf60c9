"""The embedded twin: nothing runs until it is told to, or all at once."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.forks import PerProcess
from quorum.services.tasks.checked import CheckedTasks
from quorum.services.tasks.jobs import function_name, unix_seconds
from quorum.services.tasks.running.handles import JobHandle
from quorum.services.tasks.running.runner import Runner
from quorum.services.tasks.timing.agenda import Clock
from quorum.services.tasks.timing.due import DueWork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from quorum.services.tasks.base import Job, TaskCounts, Tasks
    from quorum.services.tasks.timing.repeated import Repeated

_ANY: Any = object()
_KEPT = 10_000


class Submitted(NamedTuple):
    """What was submitted: the job as it was given, what its caller holds, and for when."""

    job: Job
    handle: JobHandle
    at: float | None = None


class MemoryTasks(CheckedTasks):
    """What is submitted waits for `run_due`; with TASKS=eager it runs at once, on this thread.

    Both clocks are the one that `run_due` is told. `close` runs nothing: what waits is dropped.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.submitted: deque[Submitted] = deque(maxlen=_KEPT)
        self._told: float | None = None
        wall = self.clock.wall
        self.clock = Clock(*2 * [lambda: wall() if self._told is None else self._told])
        self._work = PerProcess(self._build_work)

    @property
    def handles(self) -> Sequence[JobHandle]:
        """What was submitted, as its callers hold it, in that order: the last 10,000."""
        return [each.handle for each in self.submitted]

    @property
    def counts(self) -> TaskCounts:
        return self._work.get().runner.backlog.counts

    def run_due(self, now: datetime | float | None = None) -> int:
        """Run all that was submitted, and what is due now or by the moment given; return how many.

        They run on this thread, in the order of their times, also those that they submit; each
        schedule at most once. No more than TASKS_LIMIT run in one call. Raises Rejected for a
        moment without a time zone.
        """
        moment = None if now is None else unix_seconds(now)
        before, self._told = self._told, moment
        try:
            return self._work.get().run(self.settings.limit)
        finally:
            self._told = before

    def send(self, id: str, name: str, job: Job, moment: float | None) -> JobHandle:  # noqa: A002, ARG002 - the handle makes both when it is asked for them
        work = self._work.get()
        handle = JobHandle(job, work.runner, work.remove)
        later = None if moment is None or moment <= self.clock.wall() else moment
        work.add(handle, later)
        self.submitted.append(Submitted(job, handle, moment))
        if later is None and self.settings.engine == "eager":
            work.runner.run(handle)
        return handle

    def watch(self, schedule: Repeated) -> None:
        self._work.get().repeat(schedule)

    def forget(self, schedule: Repeated) -> None:
        self._work.get().remove(schedule)

    def finish(self, timeout: float) -> list[str]:  # noqa: ARG002 - nothing runs that could be waited for
        backlog = self._work.get().runner.backlog
        backlog.closed = True
        left = backlog.drop_all(queued=True) + backlog.drop_all(queued=False)
        for handle in left:
            handle.end("dropped")
        return [each.name for each in left]

    def reach(self) -> None:
        self._work.get().runner.backlog.check()

    def assert_submitted(
        self,
        what: Callable[..., Any] | str,
        *,
        args: Any = _ANY,
        kwargs: Any = _ANY,
        times: int | None = None,
    ) -> None:
        """Assert that a function, or a job of a name, was submitted: at least once, or `times`.

        What is not given matches any. Raises AssertionError that lists what was submitted.
        """
        matched = sum(
            (what in (each.job.function, each.handle.name))
            and (args is _ANY or tuple(args) == tuple(each.job.args))
            and (kwargs is _ANY or kwargs == each.job.kwargs)
            for each in self.submitted
        )
        if matched == times or (times is None and matched):
            return
        name = what if isinstance(what, str) else function_name(what)
        given = {"args": args, "kwargs": kwargs}
        shown = "".join(
            f", {key}={value!r:.200}" for key, value in given.items() if value is not _ANY
        )
        expected = "at least 1 job" if times is None else f"{times} job{'s' * (times != 1)}"
        raise AssertionError(
            f"expected {expected} of {name}{shown}; {matched} matched. {self._listing()}"
        )

    def assert_nothing_submitted(self) -> None:
        """Assert that no job was submitted. Raises AssertionError that lists what was."""
        if self.submitted:
            raise AssertionError(f"expected no job. {self._listing()}")

    def _build_work(self) -> DueWork:
        runner = Runner(self.scope, self.settings.limit)
        runner.hint = "in a test it runs in run_due(), or at once with TASKS=eager"
        # Those that were made before a fork are the child's as well.
        return DueWork(runner, self.clock, self._schedules.values())

    def _listing(self) -> str:
        if not self.submitted:
            return "Nothing was submitted."
        lines = [
            f"\n  {number}. {each.handle.name} args={each.job.args!r:.200} "
            f"kwargs={each.job.kwargs!r:.200}"
            for number, each in enumerate(self.submitted, 1)
        ]
        return "Submitted:" + "".join(lines)


if TYPE_CHECKING:
    # A type error here tells that it keeps the contract no more.
    _KEEPS: type[Tasks] = MemoryTasks
