"""What is asked of a job before it is taken: that it can run, a name, an id, a moment."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import os
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected
from quorum.services.tasks.base import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RUNS_LATER = (
    inspect.CO_COROUTINE
    | inspect.CO_ITERABLE_COROUTINE
    | inspect.CO_GENERATOR
    | inspect.CO_ASYNC_GENERATOR
)
_LONGEST_NAME = 200
_NO_LIST = (str, bytes, Mapping)


def checked(job: Job) -> Job:
    """Return a job of its own arguments, whatever the caller does to those given afterwards.

    Raises Rejected where it cannot be run.
    """
    function, args, kwargs, callback, description = job
    _check_callable(function, "job")
    if callback is not None:
        _check_callable(callback, "callback")
    # The keys of a mapping alone would be the arguments.
    if isinstance(args, _NO_LIST):
        raise _no_arguments(job)
    try:
        return Job(function, tuple(args), {**kwargs}, callback, description)
    except TypeError as error:
        raise _no_arguments(job) from error


def check_function(function: object) -> None:
    """Raise Rejected where a call of it would not do its work."""
    _check_callable(function, "job")


def name_of(job: Job) -> str:
    """Return what logs and lists call a job: one line."""
    return _line(job.description) if job.description else function_name(job.function)


def function_name(function: object) -> str:
    """Return the name of a function, of a method with its class, of an object that of its class."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None)
    if not isinstance(name, str) or not name:
        name = type(function).__qualname__
    return name.rpartition("<locals>.")[2].replace("<lambda>", "lambda")


def unix_seconds(moment: Any) -> float:
    """Return a moment as Unix seconds. Raises Rejected where it is none, or has no time zone."""
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise Rejected(
                "tasks",
                f"the moment {moment.isoformat()} has no time zone; give it one, as in "
                "datetime.now(UTC)",
            )
        return moment.timestamp()
    seconds = number(moment)
    if seconds is None or math.isinf(seconds):
        raise Rejected(
            "tasks", f"a moment is an aware datetime or Unix seconds, not {moment!r:.80}"
        )
    return seconds


def seconds_to_wait(timeout: Any) -> float | None:
    """Return how long to wait: a past deadline is now, None and infinity are for ever.

    Raises Rejected for what is no number.
    """
    if timeout is None:
        return None
    seconds = number(timeout)
    if seconds is None:
        raise Rejected("tasks", f"timeout is a number of seconds, not {timeout!r:.80}")
    return None if seconds == math.inf else max(0.0, seconds)


def number(value: Any) -> float | None:
    """Return a number as a float, None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return None if math.isnan(found) else found


def new_id() -> str:
    """Return what no other job has, of this process or of another."""
    return f"{ids.prefix}-{next(ids.numbers)}"


class Ids:
    """Numbers after a prefix of this process: a tenth of the time of a UUID."""

    prefix: str
    numbers: Iterator[int]

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.prefix = secrets.token_hex(8)
        self.numbers = itertools.count(1)


ids = Ids()
os.register_at_fork(after_in_child=ids.renew)


def _no_arguments(job: Job) -> Rejected:
    return Rejected("tasks", f"{name_of(job)}: args are a list, and kwargs a dict")


def _check_callable(function: object, what: str) -> None:
    if not callable(function):
        raise Rejected("tasks", f"a {what} is a function, not {function!r:.80}")
    if _runs_later(function):
        raise Rejected(
            "tasks",
            f"the {what} {function_name(function)} is a coroutine or generator function, a call "
            "of which does nothing yet; give a plain function, such as one that calls asyncio.run",
        )


def _runs_later(function: Callable[..., Any]) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(type(function).__call__, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    # `inspect` asks the same in 3 µs.
    return isinstance(flags, int) and bool(flags & _RUNS_LATER)


def _line(text: object) -> str:
    return " ".join(str(text).split())[:_LONGEST_NAME]
