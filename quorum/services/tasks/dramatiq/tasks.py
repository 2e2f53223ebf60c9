"""Tasks on a broker, RabbitMQ or Redis, by way of dramatiq."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from quorum.errors import ConfigurationError, Problem, Rejected, ServiceError
from quorum.services.redis.server import ServerRedis
from quorum.services.tasks.base import TaskCounts
from quorum.services.tasks.dramatiq.errands import check_errand, errand_of
from quorum.services.tasks.dramatiq.handles import DramatiqHandle
from quorum.services.tasks.dramatiq.performer import Performer
from quorum.services.tasks.dramatiq.rabbit import RabbitBackend
from quorum.services.tasks.dramatiq.records import NoRecords, RedisRecords
from quorum.services.tasks.dramatiq.redis import RedisBackend
from quorum.services.tasks.dramatiq.workers import Workers
from quorum.services.tasks.jobs import new_id
from quorum.services.tasks.running.runner import logger
from quorum.services.tasks.timed import TimedTasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorum.services.tasks.base import Job, Tasks
    from quorum.services.tasks.dramatiq.backend import Backend
    from quorum.services.tasks.dramatiq.errands import Errand
    from quorum.services.tasks.timing.repeated import Repeated
    from quorum.settings import AmqpSettings, RedisSettings, TasksSettings

RETRIES = 10
BACKOFF = 1.0
"""Seconds until a job that failed is tried again; they double, to 17 minutes in all."""
_PAUSE = 2.0


class DramatiqTasks(TimedTasks):
    """Jobs on RabbitMQ, where AMQP_URL is set, else on Redis; `quorum worker` runs them.

    One that raises is tried again, `retries` times, and is then a dead letter for a week. What
    became of a job is known where Redis is configured, for a day after its end; a handle raises
    Unsupported elsewhere. A run of a schedule is not tried again before it is due again. A job may
    wait for its moment in a worker's memory: RabbitMQ and Redis have it still.

    Raises ConfigurationError where neither AMQP_URL nor REDIS_URL is set.
    """

    def __init__(
        self,
        settings: TasksSettings,
        *,
        name: str,
        amqp: AmqpSettings | None = None,
        redis: RedisSettings | None = None,
        retries: int = RETRIES,
        backoff: float = BACKOFF,
        **others: Any,
    ) -> None:
        self._queue = f"{name}-tasks"
        self._backend = _backend(self._queue, amqp, redis)
        self._records = None
        if redis is not None and redis.url is not None:
            self._records = RedisRecords(ServerRedis(redis, prefix=name), self._queue)
        self._retries = retries
        self._backoff = backoff
        self._stopping = threading.Event()
        self._workers: list[Workers] = []
        # It is closed at exit from here on, so that it must be whole.
        super().__init__(settings, name=name, amqp=amqp, redis=redis, **others)

    @staticmethod
    def check_groups(
        *, amqp: AmqpSettings | None = None, redis: RedisSettings | None = None, **_: object
    ) -> None:
        """Raise ConfigurationError where there is no broker, or its URL cannot be taken."""
        _backend("tasks", amqp, redis)

    def work(self, threads: int | None = None) -> Workers:
        """Run jobs in this process, on TASKS_THREADS threads unless it is told otherwise.

        They end as the tasks are closed, if they are not stopped before.
        """
        self._check_open()
        records = self._records or NoRecords()
        performer = Performer(self._backend, records, self.scope, self._retries, self._backoff)
        workers = Workers(self._backend, self._queue, performer, threads or self.settings.threads)
        self._workers.append(workers)
        return workers

    def dead(self) -> Sequence[Errand]:
        """Return the jobs that failed for good, the oldest first."""
        self._check_open()
        return self._backend.dead()

    def retry(self, job: str) -> Errand:
        """Have a dead letter, of a job's id, run again. Raises Rejected for an unknown one."""
        self._check_open()
        found = self._backend.revive(job)
        if found is None:
            raise Rejected("tasks", f"there is no dead letter {job!r:.80}; see `quorum tasks`")
        if self._records is not None:
            self._records.again(job)
        return found

    def check(self, job: Job) -> None:
        check_errand(job)

    def send(self, id: str, name: str, job: Job, moment: float | None) -> DramatiqHandle:  # noqa: A002 - the contract's own word
        errand = errand_of(job, id, name)
        delay = None if moment is None else moment - self.clock.wall()
        self._backend.send(errand, delay if delay is not None and delay > 0 else None)
        return DramatiqHandle(id, name, moment, self._records)

    def begin(self, schedule: Repeated, due: float) -> None:
        threading.Thread(
            target=self._hand_over,
            args=(schedule, due),
            name=f"quorum-tasks-{self.name}-handing-over",
            daemon=True,
        ).start()

    def finish(self, timeout: float) -> list[str]:
        self._stopping.set()
        timer = self._timer.built
        if timer is not None:
            timer.stop()
        end = time.monotonic() + timeout
        left: list[str] = []
        for workers in self._workers:
            left += workers.stop(max(0.0, end - time.monotonic()))
        self._backend.close()
        if self._records is not None:
            self._records.close()
        return left

    def reach(self) -> None:
        self._backend.ping()

    @property
    def counts(self) -> TaskCounts:
        performers = [workers.performer for workers in self._workers if not workers.foreign]
        return TaskCounts(
            running=sum(len(each.running) for each in performers),
            done=sum(each.done for each in performers),
            failed=sum(each.failed for each in performers),
        )

    def _hand_over(self, schedule: Repeated, due: float) -> None:
        """Send a run of a schedule, unless one is under way; wait while the broker is away."""
        try:
            errand = errand_of(schedule.job, new_id(), schedule.name, schedule.id)
            if self.note(schedule, due):
                self._send_run(errand, schedule.id)
        except Exception:  # noqa: BLE001 - the next time is still to be set
            logger.exception("the schedule %s was due, and could not be begun", schedule.id)
        finally:
            self.ended(schedule, due)

    def _send_run(self, errand: Errand, schedule: str) -> None:
        marked = in_doubt = False
        while not self._stopping.is_set():
            try:
                # A mark whose answer was lost may be our own: rather run twice than never.
                if not marked and not self._backend.mark(schedule) and not in_doubt:
                    return
                marked = True
                self._backend.send(errand)
            except ServiceError as error:
                in_doubt = True
                logger.warning("the schedule %s waits: %s", schedule, error.args[1])
                self._stopping.wait(_PAUSE)
            else:
                return
        if marked:
            self._backend.unmark(schedule)


def _backend(queue: str, amqp: AmqpSettings | None, redis: RedisSettings | None) -> Backend:
    if amqp is not None and amqp.url is not None:
        return RabbitBackend(amqp, queue)
    if redis is not None and redis.url is not None:
        return RedisBackend(redis, queue)
    rule = "is dramatiq, which needs a broker; set AMQP_URL or REDIS_URL"
    raise ConfigurationError([Problem("tasks.engine", rule)])


if TYPE_CHECKING:
    # A type error here tells that it keeps the contract no more.
    _KEEPS: type[Tasks] = DramatiqTasks
