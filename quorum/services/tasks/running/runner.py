"""How a job runs: in a context of its own, harming no other."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from contextvars import Context
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from quorum.services.tasks.jobs import Ids
from quorum.services.tasks.running.backlog import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from quorum.services.tasks.base import Job
    from quorum.services.tasks.running.handles import JobHandle

    Scope = Callable[[], AbstractContextManager[object]]

logger = logging.getLogger("quorum.tasks")


class Named(Protocol):
    """What is known of a job wherever it runs."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


class Runner:
    """Runs the jobs of a backlog on whichever thread asks, each inside `scope()`."""

    def __init__(self, scope: Scope, limit: int) -> None:
        self.pid = os.getpid()
        self.hint = ""
        self.ids = Ids()
        self.backlog = Backlog(limit)
        self._scope = scope

    def run(self, handle: JobHandle) -> bool:
        """Run a job that waits, to its end; tell whether it still was to run. Raises nothing."""
        if not self.backlog.begin(handle):
            return False
        job: Any = handle.job
        # Neither the submitter's variables of context, nor those of the thread's last job.
        context = Context()
        result, error = context.run(call, job, self._scope)
        of_callback = None
        if job.callback is not None:
            of_callback = context.run(call_back, job, error, self._scope)
        if self.left:
            # It forked, and came back in the child: what it ends here is the parent's.
            return False
        if error is not None:
            log_failure(handle, error)
        if of_callback is not None:
            log_failure(handle, of_callback, of="callback of")
        self.backlog.ended(well=error is None)
        handle.end("done" if error is None else "failed", result, error)
        return True

    @property
    def left(self) -> bool:
        """Whether this is a forked child, where all that it knows is the parent's."""
        return self.pid != os.getpid()

    def cancel(self, handle: JobHandle) -> bool:
        """Have a job not run; tell whether it will not."""
        if not self.backlog.withdraw(handle):
            return False
        handle.end("cancelled")
        return True


def call(job: Job, scope: Scope) -> tuple[Any, BaseException | None]:
    """Call a job's function inside `scope()`; return its result, and what it raised."""
    return _call(job.function, job.args, job.kwargs, scope)


def call_back(job: Job, error: BaseException | None, scope: Scope) -> BaseException | None:
    """Call a job's callback, if it has one, inside `scope()`; return what that raised."""
    if job.callback is None:
        return None
    return _call(job.callback, (), {"error": error}, scope)[1]


def _call(
    function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], scope: Scope
) -> tuple[Any, BaseException | None]:
    try:
        with scope():
            result = function(*args, **kwargs)
            _check_ran(result)
    # One that exits must not take its thread along.
    except BaseException as error:  # noqa: BLE001
        return None, error
    return result, None


def _check_ran(result: Any) -> None:
    if type(result) is CoroutineType:
        # It did not run, and whoever waits for it would think that it had.
        result.close()
        raise TypeError("it returned a coroutine, which nobody runs; call asyncio.run")


def log_failure(job: Named, error: BaseException, of: str = "job", then: str = "") -> None:
    """Write a job's failure to the log, without its arguments."""
    # The log may be of the application's own making; the job has ended all the same.
    with suppress(Exception):
        # Whole: logging asks the truth of an exception that it is given alone.
        exc_info = (type(error), error, error.__traceback__)
        logger.error("the %s %s (%s) failed%s", of, job.name, job.id, then, exc_info=exc_info)
