"""What all tasks do before the last steps: the checks, the names, the schedules, the open state."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected
from quorum.forks import ForkSafeLock
from quorum.services.tasks.base import Job
from quorum.services.tasks.jobs import (
    check_function,
    checked,
    name_of,
    new_id,
    seconds_to_wait,
    unix_seconds,
)
from quorum.services.tasks.running.backlog import closed
from quorum.services.tasks.schedule.rules import Cron, Every
from quorum.services.tasks.timing.agenda import Clock
from quorum.services.tasks.timing.repeated import Repeated
from quorum.settings import AmqpSettings, RedisSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from quorum.services.redis.base import Redis
    from quorum.services.tasks.base import Handle, Schedule, TaskCounts
    from quorum.services.tasks.running.runner import Scope
    from quorum.services.tasks.schedule.rules import Rule
    from quorum.settings import TasksSettings

logger = logging.getLogger("quorum.tasks")

_LONGEST_LIST = 20


def _no_redis() -> Redis:
    raise Rejected("tasks", "they were given no Redis; set REDIS_URL")


class CheckedTasks(ABC):
    """Tasks but for the last steps, which are given what was checked."""

    closes_first = True
    """Before the other services, which the jobs that still run may use."""

    def __init__(
        self,
        settings: TasksSettings,
        *,
        name: str,
        scope: Scope = nullcontext,
        amqp: AmqpSettings | None = None,
        redis: RedisSettings | None = None,
        lease: Callable[[], Redis] = _no_redis,
        execution: bool = True,
        clock: Clock = Clock(),  # noqa: B008 - it is a constant
    ) -> None:
        self.settings = settings
        self.name = name
        self.scope = scope
        self.amqp = amqp or AmqpSettings()
        self.redis = redis or RedisSettings()
        self.lease = lease
        self.execution = execution
        self.clock = clock
        self._closed = False
        self._lock = ForkSafeLock()
        self._schedules: dict[str, Repeated] = {}
        self._ids: dict[str, int] = {}

    @abstractmethod
    def send(self, id: str, name: str, job: Job, moment: float | None) -> Handle:  # noqa: A002 - the contract's own word
        """Have a job run as soon as can be, or at a moment of Unix seconds that may be past."""

    @abstractmethod
    def watch(self, schedule: Repeated) -> None:
        """Have a schedule run whenever it is due, first from now on."""

    @abstractmethod
    def forget(self, schedule: Repeated) -> None:
        """Have a schedule run no more: it rests, or has ended. A run under way goes on."""

    @abstractmethod
    def finish(self, timeout: float) -> list[str]:
        """End as `close` says, and return the names of what is left; called once."""

    @abstractmethod
    def reach(self) -> None:
        """Return if jobs are run, or can be handed over, within a second; else raise."""

    @property
    @abstractmethod
    def counts(self) -> TaskCounts: ...

    def check(self, job: Job) -> None:  # noqa: B027 - a driver in one process can run any
        """Raise Rejected for a job that this driver cannot run."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Handle:
        check_function(function)
        return self._send(Job(function, args, kwargs), None)

    def at(
        self, moment: datetime | float, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Handle:
        check_function(function)
        return self._send(Job(function, args, kwargs), unix_seconds(moment))

    def enqueue(self, job: Job, at: datetime | float | None = None) -> Handle:
        return self._send(checked(job), None if at is None else unix_seconds(at))

    def every(
        self, seconds: float, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Schedule:
        return self.repeat(Job(function, args, kwargs), Every(seconds))

    def cron(
        self,
        line: str,
        function: Callable[..., Any],
        /,
        *args: Any,
        timezone: str = "UTC",
        **kwargs: Any,
    ) -> Schedule:
        return self.repeat(Job(function, args, kwargs), Cron(line, timezone))

    def repeat(self, job: Job, rule: Rule) -> Schedule:
        job = checked(job)
        self.check(job)
        name = name_of(job)
        with self._lock:
            self._check_open()
            schedule = Repeated(self._free_id(name), name, job, rule, self.clock)
            self.watch(schedule)
            self._ids[schedule.id] = 1
            self._schedules[schedule.id] = schedule
        return schedule

    def pause(self, schedule: Schedule | str) -> None:
        with self._lock:
            found = self._found(schedule)
            found.paused, found.due = True, None
            self.forget(found)

    def resume(self, schedule: Schedule | str) -> None:
        with self._lock:
            found = self._found(schedule)
            rested, found.paused = found.paused, False
            if rested:
                self.watch(found)

    def cancel(self, schedule: Schedule | str) -> None:
        with self._lock:
            if not self._is_over(schedule):
                found = self._found(schedule)
                del self._schedules[found.id]
                self._end(found)

    @property
    def schedules(self) -> Sequence[Schedule]:
        return list(self._schedules.values())

    def start(self) -> None:
        """Run the schedules from now on, which `execution=False` has only listed so far."""
        self.execution = True

    def ping(self) -> None:
        self._check_open()
        self.reach()

    def close(self, timeout: float | None = None) -> Sequence[str]:
        seconds = seconds_to_wait(self.settings.timeout if timeout is None else timeout)
        with self._lock:
            if self._closed:
                return []
            self._closed = True
            while self._schedules:
                self._end(self._schedules.popitem()[1])
        left = self.finish(threading.TIMEOUT_MAX if seconds is None else seconds)
        if left:
            jobs = "1 job" if len(left) == 1 else f"{len(left)} jobs"
            logger.warning("closed with %s left: %s", jobs, _listed(left))
        return left

    def _send(self, job: Job, moment: float | None) -> Handle:
        self._check_open()
        self.check(job)
        return self.send(new_id(), name_of(job), job, moment)

    def _check_open(self) -> None:
        if self._closed:
            raise closed()

    def _free_id(self, name: str) -> str:
        """Return the name, or `<name>-2`, `<name>-3` …: the first that no schedule ever had."""
        found = name
        while found in self._ids:
            # Where the search for this name ended the last time.
            self._ids[name] += 1
            found = f"{name}-{self._ids[name]}"
        return found

    def _end(self, schedule: Repeated) -> None:
        schedule.cancelled, schedule.due = True, None
        self.forget(schedule)

    def _is_over(self, schedule: Schedule | str) -> bool:
        found = _id_of(schedule)
        return found in self._ids and found not in self._schedules

    def _found(self, schedule: Schedule | str) -> Repeated:
        found = self._schedules.get(_id_of(schedule))
        if found is None:
            names = ", ".join(self._schedules) or "none"
            raise Rejected(
                "tasks", f"there is no schedule {_id_of(schedule)!r:.80}; there are: {names:.400}"
            )
        return found


def _id_of(schedule: Schedule | str) -> str:
    found = schedule if isinstance(schedule, str) else getattr(schedule, "id", None)
    if not isinstance(found, str):
        raise Rejected("tasks", f"a schedule is named by itself or its id, not {schedule!r:.80}")
    return found


def _listed(names: list[str]) -> str:
    more = len(names) - _LONGEST_LIST
    return ", ".join(names[:_LONGEST_LIST]) + (f" and {more} more" if more > 0 else "")
