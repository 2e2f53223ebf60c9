"""A job as it travels: in the options of a message, which dramatiq writes into no log."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dramatiq import Message
from dramatiq.common import dq_name

from quorum.services.tasks.base import Job
from quorum.services.tasks.dramatiq.travel import (
    Path,
    check_json,
    check_path,
    function_at,
    path_of,
)
from quorum.services.tasks.jobs import name_of

ACTOR = "quorum"
_OPTION = "quorum"


@dataclass(frozen=True)
class Errand:
    """A job in words of JSON; `schedule` is the id of the one it is a run of, if it is one.

    `attempts` counts those that failed; `error` and `ended_at` (Unix seconds) tell of the last.
    """

    id: str
    name: str
    function: Path
    args: list[Any] = field(default_factory=list, repr=False)
    kwargs: dict[str, Any] = field(default_factory=dict, repr=False)
    callback: Path | None = None
    schedule: str | None = None
    attempts: int = 0
    error: str | None = None
    ended_at: float | None = None

    def message(self, queue: str) -> Message[Any]:
        """Return the message that carries it."""
        options = {_OPTION: asdict(self)}
        return Message(
            queue_name=queue,
            actor_name=ACTOR,
            args=(),
            kwargs={},
            options=options,
            message_id=self.id,
        )

    def failed(self, error: str, now: float) -> Errand:
        """Return it after one more attempt that failed."""
        return replace(self, attempts=self.attempts + 1, error=error, ended_at=now)

    def anew(self) -> Errand:
        """Return it as it was submitted."""
        return replace(self, attempts=0, error=None, ended_at=None)

    def job(self) -> Job:
        """Return what is to be called. Raises ImportError or AttributeError where it is gone."""
        callback = None if self.callback is None else function_at(self.callback)
        return Job(function_at(self.function), self.args, self.kwargs, callback, self.name)


def check_errand(job: Job) -> None:
    """Raise Rejected, with the reason, for a job that cannot travel, as far as that is known now.

    While a module is imported, its functions are not found in it yet.
    """
    name = name_of(job)
    for place, value in enumerate(job.args, 1):
        check_json(value, f"argument {place} of {name}")
    for keyword, value in job.kwargs.items():
        check_json(value, f"argument {keyword!r} of {name}")
    check_path(job.function)
    if job.callback is not None:
        check_path(job.callback)


def errand_of(job: Job, id_: str, name: str, schedule: str | None = None) -> Errand:
    """Return a job that was checked as it travels. Raises Rejected where no path leads to it."""
    return Errand(
        id_,
        name,
        path_of(job.function),
        list(job.args),
        dict(job.kwargs),
        None if job.callback is None else path_of(job.callback),
        schedule,
    )


def delayed(message: Message[Any], seconds: float) -> Message[Any]:
    """Return a message that workers keep for so many seconds from now."""
    eta = int((time.time() + max(0.0, seconds)) * 1000)
    return message.copy(queue_name=dq_name(message.queue_name), options={"eta": eta})


def errand_in(message: Message[Any]) -> Errand:
    """Return what a message carries. Raises KeyError or TypeError for another's message."""
    found = dict(message.options[_OPTION])
    callback = found.pop("callback")
    return Errand(
        function=Path(*found.pop("function")),
        callback=None if callback is None else Path(*callback),
        **found,
    )
