"""Background work: what tasks promise, and the values they take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from quorum.services.tasks.schedule.rules import Rule

State = Literal["scheduled", "queued", "running", "done", "failed", "cancelled", "dropped"]
"""`scheduled` waits for its moment, `queued` for a free thread; the last four are final.

`dropped` is what was accepted and will not run, since its process ended before its turn.
"""


class Job(NamedTuple):
    """A call to make in the background.

    `callback` is called after it, on the same thread: with `error=None`, or the exception that
    it raised; one that raises itself is logged, and changes nothing of the job's end.
    `description` is what logs and lists call it, the function's own name unless given.
    """

    function: Callable[..., Any]
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = {}
    callback: Callable[..., Any] | None = None
    description: str | None = None


class TaskCounts(NamedTuple):
    """The jobs of this process: those that wait and run now, and those that ended so far.

    `dropped` counts those that a full queue refused as well.
    """

    queued: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    dropped: int = 0


class Handle(Protocol):
    """A job that was submitted.

    In a forked child, what is asked of a job of the parent that has not ended raises Unavailable.
    Of a job on a broker Redis tells: without it all but `id` and `name` raise Unsupported, and
    while it is away Unavailable or TimedOut.
    """

    @property
    def id(self) -> str:
        """What tells it from every other job."""
        ...

    @property
    def name(self) -> str:
        """What logs and lists call it."""
        ...

    @property
    def state(self) -> State:
        """Where it is now."""
        ...

    @property
    def exception(self) -> BaseException | None:
        """What it raised; None while it has not ended, and where it raised nothing."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for its end for up to `timeout` seconds, for ever without; tell whether it came."""
        ...

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its end, and return what it returned.

        Raises what it raised, TimedOut after `timeout` seconds, and Unavailable where it was
        cancelled or dropped.
        """
        ...

    def cancel(self) -> bool:
        """Have it not run; tell whether it will not. False where it has begun or ended."""
        ...


class Schedule(Protocol):
    """A job that is due again and again."""

    @property
    def id(self) -> str:
        """What tells it from every other schedule of the application."""
        ...

    @property
    def name(self) -> str:
        """What logs and lists call it."""
        ...

    @property
    def rule(self) -> str:
        """When it is due, in words: `every 60 seconds`, `0 3 * * * UTC`."""
        ...

    @property
    def next_run(self) -> datetime | None:
        """When it is due next, in UTC; None while it runs here, is paused, or was cancelled."""
        ...

    @property
    def paused(self) -> bool:
        """Whether it waits for `resume`."""
        ...


class Tasks(Protocol):
    """Work in the background of an application.

    A job runs inside the application's context, with injection. One that raises, or that exits,
    is logged with its traceback, without its arguments, and harms no other.

    In one process (`threads`, `memory`) a job runs at most once: what waits as the process is
    killed is lost. On a broker (`dramatiq`) it runs at least once: one that is accepted is run
    even if workers and broker are killed, perhaps again, so that it must do no harm twice.
    There a function is named by its import path, and arguments and result are JSON.
    """

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Handle:
        """Have a function called as soon as a thread is free.

        Raises Rejected where it cannot be run, such as a coroutine function or, on a broker,
        what cannot travel there; Unavailable where the queue is full, the tasks are closed, or
        the broker cannot be reached; TimedOut where it does not answer in time.
        """
        ...

    def at(
        self, moment: datetime | float, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Handle:
        """Have a function called once at a moment: aware, or Unix seconds; the past is now.

        Raises what `submit` does, and Rejected for a moment without a time zone.
        """
        ...

    def enqueue(self, job: Job, at: datetime | float | None = None) -> Handle:
        """Do as `submit` and `at`, with a callback or a name of the job's own."""
        ...

    def every(
        self, seconds: float, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Schedule:
        """Have a function called every so many seconds, by one process of the cluster.

        It is due first after that time, and then by that interval from when it was due; where a
        run ended later than that, the missed ones become one. It never overlaps with itself.
        Raises Rejected for what cannot be run, and for seconds that are not above 0.
        """
        ...

    def cron(
        self,
        line: str,
        function: Callable[..., Any],
        /,
        *args: Any,
        timezone: str = "UTC",
        **kwargs: Any,
    ) -> Schedule:
        """Have a function called as a crontab line says, by one process of the cluster.

        The line has five fields, as in crontab(5). Where it names hour and minute, a time that the
        change to summer time leaves out is made up for after it, and one that comes twice is taken
        once; a line with `*` in either goes by the hours that pass. Missed runs become one.
        Raises Rejected for another line, and for a time zone that there is not.
        """
        ...

    def repeat(self, job: Job, rule: Rule) -> Schedule:
        """Have a job run whenever a rule of `schedule` says, as `every` and `cron` do."""
        ...

    def pause(self, schedule: Schedule | str) -> None:
        """Let a schedule, or the one of that id, rest; one that rests does so on.

        Raises Rejected for an id that there is not.
        """
        ...

    def resume(self, schedule: Schedule | str) -> None:
        """Let a schedule that rests go on from now; a no-op for another. Raises as `pause`."""
        ...

    def cancel(self, schedule: Schedule | str) -> None:
        """Have a schedule never be due again; a run under way goes on. A no-op for one that is so.

        Raises Rejected for an id that there never was.
        """
        ...

    @property
    def schedules(self) -> Sequence[Schedule]:
        """The schedules there are, in the order in which they were made."""
        ...

    @property
    def counts(self) -> TaskCounts:
        """The jobs of this process, counted."""
        ...

    def ping(self) -> None:
        """Return if jobs are run, or can be handed over, within a second; else raise."""
        ...

    def close(self, timeout: float | None = None) -> Sequence[str]:
        """Take no more work, and let what was submitted end, for up to `timeout` seconds.

        Unset, TASKS_TIMEOUT. Return the names of the jobs that did not: what waited is dropped,
        what runs is left running. They are logged as well. Schedules end; so do jobs whose moment
        is not here. On a broker what waits there is kept for the workers. A second call is a
        no-op.
        """
        ...
