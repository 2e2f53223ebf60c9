"""The documented functions of background work: `run_background`, `background`, timed work."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, TypeVar, overload

from quorum import current
from quorum.choice import lazy
from quorum.errors import Rejected
from quorum.execution import Declared, declarations
from quorum.services.tasks.base import Job
from quorum.services.tasks.jobs import check_function, function_name, number, unix_seconds
from quorum.services.tasks.schedule.evals import (
    daily_eval,
    hourly_eval,
    minutes_eval,
    monthly_eval,
    seconds_eval,
    weekly_eval,
)
from quorum.services.tasks.schedule.starting import Starting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from quorum.execution import Execution
    from quorum.services.tasks.base import Handle
    from quorum.services.tasks.schedule.rules import Rule

    Function = Callable[..., Any]

__all__ = [
    "background",
    "daily_eval",
    "daily_work",
    "hourly_eval",
    "hourly_work",
    "interval_work",
    "minutes_eval",
    "minutes_work",
    "monthly_eval",
    "monthly_work",
    "run_back",
    "run_background",
    "seconds_eval",
    "seconds_work",
    "weekly_eval",
    "weekly_work",
]

F = TypeVar("F", bound="Callable[..., Any]")

# Their module reads cron lines, by a library that `import quorum` does without.
_after_end = lazy("quorum.services.tasks.schedule.rules:AfterEnd")
_evaluated = lazy("quorum.services.tasks.schedule.rules:Evaluated")
_every = lazy("quorum.services.tasks.schedule.rules:Every")


def run_background(
    callable: Function,  # noqa: A002 - the documented name
    args: Sequence[Any] = [],
    kwargs: Mapping[str, Any] = {},
    target_time: datetime | float | None = None,
    callback: Function | None = None,
    description: str | None = None,
) -> Handle:
    """Have a function called in the background of the running application.

    Now, or at `target_time`: Unix seconds, or an aware datetime. `callback` is called after it,
    with `error=None` or the exception that it raised; `description` is its name in logs. Raises
    what `Tasks.submit` does, and NotLoaded without an application.
    """
    job = Job(callable, args, kwargs, callback, description)
    return current.container().tasks().enqueue(job, target_time)


run_back = run_background


@overload
def background(timeout: F) -> F: ...
@overload
def background(timeout: float | None = None) -> Callable[[F], F]: ...
def background(timeout: Any = None) -> Any:
    """Have a function called in every application that is loaded from now on.

    With `timeout` that is at once and then so many seconds after each run's end, in one process
    of the cluster; without, once in each process, or on a broker once for each process, by a
    worker. It may stand above `load()`. Where an application is loaded already it is begun there
    now, so that what the function uses must stand above it; one that is made inside of another
    function is then for that application alone. With `load(execution=False)` none is begun.
    Raises Rejected for what cannot be run, and for seconds that are not above 0.
    """
    if callable(timeout):
        return background()(timeout)
    rule = None if timeout is None else _after_end(timeout)

    def declare(function: F) -> F:
        check_function(function)
        _declare(Declared(function, rule, declarations.loads))
        return function

    return declare


def _declare(declared: Declared) -> None:
    execution = _running()
    if execution is None or any(declared.supersedes(each) for each in execution.declared):
        declarations.remember(declared)
        return
    if "<locals>" not in getattr(declared.function, "__qualname__", ""):
        declarations.remember(declared)
    execution.add(declared)


def _running() -> Execution | None:
    app = current.active_app() if current.has_context() else current.loaded_app()
    loaded = None if app is None else app.extensions.get("quorum.loaded")
    return None if loaded is None else loaded.execution


def interval_work(
    callable: Function,  # noqa: A002 - the documented name
    args: Sequence[Any] = [],
    kwargs: Mapping[str, Any] = {},
    callback: Function | None = None,
    initial: datetime | float | None = None,
    interval: float = 60,
    eval: Callable[..., float] | None = None,  # noqa: A002 - the documented name
    description: str | None = None,
) -> float:
    """Have a function called again and again, by one process of the cluster.

    First at `initial` (Unix seconds, or an aware datetime), then every `interval` seconds from
    when it was due, or that long after its end where it ended later than that. In the place of
    `interval`, `eval` returns each next time (Unix seconds); it is given `now` if it takes that.
    Without `initial` the first is when `eval` says, else now. It never overlaps with itself, and
    one that raises is called again. Returns the first time, as all functions of timed work do.
    Raises what `Tasks.repeat` does, and NotLoaded without an application.
    """
    rule: Rule = _every(interval) if eval is None else _evaluated(eval, _rule_name(eval))
    job = Job(callable, args, kwargs, callback, description)
    return _repeat(job, rule, time.time() if eval is None and initial is None else initial)


def seconds_work(
    callable: Function,  # noqa: A002 - the documented name
    offset: float = 0,
    args: Sequence[Any] = [],
    kwargs: Mapping[str, Any] = {},
    callback: Function | None = None,
    initial: datetime | float | None = None,
    description: str | None = None,
) -> float:
    """Have a function called every `offset` whole seconds; of 0, every second.

    `seconds_eval` computes when, as for the others their own; `initial` is the first time in the
    place of that. The other arguments, what is returned and what is raised are `interval_work`'s.
    """
    job = Job(callable, args, kwargs, callback, description)
    return _evaluate(job, initial, seconds_eval, offset)


def minutes_work(
    callable: Function,  # noqa: A002 - the documented name
    offset: float = 0,
    args: Sequence[Any] = [],
    kwargs: Mapping[str, Any] = {},
    callback: Function | None = None,
    initial: datetime | float | None = None,
    description: str | None = None,
) -> float:
    """Have a function called `offset` seconds after the start of each minute.

    Else as `seconds_work`.
    """
    job = Job(callable, args, kwargs, callback, description)
    return _evaluate(job, initial, minutes_eval, offset)


def hourly_work(
    callable: Function,  # noqa: A002 - the documented name
    offset: float = 0,
    args: Sequence[Any] = [],
    kwargs: Mapping[str, Any] = {},
    callback: Function | None = None,
    initial: datetime | float | None = None,
    description: str | None = None,
) -> float:
    """Have a function called `offset` seconds after the start of each hour, in UTC.

    Else as `seconds_work`.
    """
    job = Job(callable, args, kwargs, callback, description)
    return _evaluate(job, initial, hourly_eval, offset)


def daily_work(
    callable: Function,  # noqa: A002 - the documented name
    offset: float = 0,
    args: Sequence[Any] = [],
    kwargs: Mapping[str, Any] = {},
    callback: Function | None = None,
    initial: datetime | float | None = None,
    description: str | None = None,
) -> float:
    """Have a function called `offset` seconds after the start of each day, in UTC.

    Else as `seconds_work`.
    """
    job = Job(callable, args, kwargs, callback, description)
    return _evaluate(job, initial, daily_eval, offset)


def weekly_work(
    callable: Function,  # noqa: A002 - the documented name
    weekday: int = 4,
    offset: float = 0,
    args: Sequence[Any] = [],
    kwargs: Mapping[str, Any] = {},
    callback: Function | None = None,
    initial: datetime | float | None = None,
    description: str | None = None,
) -> float:
    """Have a function called each week, `offset` seconds after the start of a weekday, in UTC.

    Monday is 0. Else as `seconds_work`.
    """
    job = Job(callable, args, kwargs, callback, description)
    return _evaluate(job, initial, weekly_eval, weekday, offset)


def monthly_work(
    callable: Function,  # noqa: A002 - the documented name
    monthday: int = 1,
    offset: float = 0,
    args: Sequence[Any] = [],
    kwargs: Mapping[str, Any] = {},
    callback: Function | None = None,
    initial: datetime | float | None = None,
    description: str | None = None,
) -> float:
    """Have a function called each month, `offset` seconds after the start of a day, in UTC.

    A month without such a day has it on its last. Else as `seconds_work`.
    """
    job = Job(callable, args, kwargs, callback, description)
    return _evaluate(job, initial, monthly_eval, monthday, offset)


def _evaluate(job: Job, initial: datetime | float | None, eval: Function, *given: Any) -> float:  # noqa: A002 - the documented name
    *_, offset = given
    seconds = number(offset)
    if seconds is None or (eval is seconds_eval and seconds < 0):
        least = " of 0 or above" if eval is seconds_eval else ""
        raise Rejected("tasks", f"an offset is a number of seconds{least}, not {offset!r:.80}")
    told = ", ".join(map(str, given))
    rule = _evaluated(functools.partial(eval, *given), f"{eval.__name__}({told})")
    return _repeat(job, rule, initial)


def _repeat(job: Job, rule: Rule, initial: datetime | float | None) -> float:
    """Make a schedule, and return its first time."""
    tasks = current.container().tasks()
    # What cannot be computed is refused before there is a schedule of it.
    first = rule.first(time.time()) if initial is None else unix_seconds(initial)
    tasks.repeat(job, rule if initial is None else Starting(first, rule))
    return first


def _rule_name(eval: Function) -> str:  # noqa: A002 - the documented name
    return f"when {function_name(eval)} says"
