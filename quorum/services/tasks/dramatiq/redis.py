"""Redis as the broker of the tasks: what is sent, and what is among the dead letters."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dramatiq import DecodeError, Message
from dramatiq.common import xq_name

from quorum.errors import ServiceError, TimedOut, Unavailable
from quorum.forks import PerProcess
from quorum.services.redis.failures import explained
from quorum.services.redis.server import ServerRedis
from quorum.services.tasks.dramatiq.backend import MARK_SECONDS, RUN_SECONDS
from quorum.services.tasks.dramatiq.errands import delayed, errand_in
from quorum.services.tasks.dramatiq.failures import told
from quorum.services.tasks.dramatiq.redis_workers import RedisWorkers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import redis
    from dramatiq import Broker
    from dramatiq.middleware import Middleware

    from quorum.services.tasks.dramatiq.errands import Errand
    from quorum.settings import RedisSettings


class RedisBackend:
    """Lists as dramatiq keeps them, under keys that begin with the application's queue.

    As durable as that Redis: what it confirmed within the last second before a crash may be lost
    with `appendfsync everysec`.
    """

    def __init__(self, settings: RedisSettings, queue: str) -> None:
        self._queue = queue
        self._dead = f"{queue}:{xq_name(queue)}"
        self._redis = ServerRedis(settings, prefix=queue)
        self._sending = PerProcess(lambda: self._build([]))

    @property
    def client(self) -> redis.Redis:
        """The client of this process."""
        return self._redis.client

    def send(self, errand: Errand, delay: float | None = None) -> None:
        message = errand.message(self._queue)
        with self._asked(changes=True):
            self._sending.get().put(message if delay is None else delayed(message, delay))

    def bury(self, errand: Errand) -> None:
        with self._asked(changes=True):
            self._add_dead(errand)

    def dead(self) -> Sequence[Errand]:
        with self._asked():
            found = self.client.hvals(f"{self._dead}.msgs")
        return sorted(self._errands(found), key=lambda each: each.ended_at or 0)

    def revive(self, job: str) -> Errand | None:
        with self._asked():
            found = self.client.hgetall(f"{self._dead}.msgs")
        for key, data in found.items():
            for errand in self._errands([data]):
                if errand.id == job:
                    # Twice rather than never, should this process end in between.
                    self.send(errand.anew())
                    with self._asked(changes=True), self.client.pipeline() as pipe:
                        pipe.zrem(self._dead, key)
                        pipe.hdel(f"{self._dead}.msgs", key)
                        pipe.execute()
                    return errand
        return None

    def mark(self, schedule: str) -> bool:
        with self._asked(changes=True):
            return bool(self.client.set(self._mark_of(schedule), 1, nx=True, ex=int(MARK_SECONDS)))

    def renew(self, schedule: str) -> None:
        with self._asked(changes=True):
            self.client.set(self._mark_of(schedule), 1, ex=int(RUN_SECONDS))

    def unmark(self, schedule: str) -> None:
        with self._asked(changes=True):
            self.client.delete(self._mark_of(schedule))

    def broker(self, middleware: Sequence[Middleware]) -> Broker:
        return self._build(middleware)

    def ping(self) -> None:
        with told():
            self._redis.ping()

    def close(self) -> None:
        self._redis.close()

    def _build(self, middleware: Sequence[Middleware]) -> RedisWorkers:
        return RedisWorkers(self.client, self._redis.place, self._queue, middleware)

    def _mark_of(self, schedule: str) -> str:
        return f"{self._queue}:schedule:{schedule}"

    def _add_dead(self, errand: Errand) -> None:
        key = str(uuid.uuid4())
        data = errand.message(self._queue).encode()
        with self.client.pipeline() as pipe:
            pipe.zadd(self._dead, {key: time.time() * 1000})
            pipe.hset(f"{self._dead}.msgs", key, data)
            pipe.execute()

    @staticmethod
    def _errands(found: Iterable[bytes | str]) -> Iterator[Errand]:
        for data in found:
            try:
                # REDIS_URL may ask for text.
                encoded = data.encode() if isinstance(data, str) else data
                yield errand_in(Message.decode(encoded))
            except (DecodeError, KeyError, TypeError, ValueError):
                continue

    @contextmanager
    def _asked(self, *, changes: bool = False) -> Iterator[None]:
        """Raise errors of ours; of what changes something, whether it did may be unknown."""
        try:
            with told(), explained(self._redis.place):
                yield
        except (Unavailable, TimedOut) as error:
            outcome = f"; {_outcome(error)}" if changes else ""
            raise type(error)("tasks", f"{error.args[1]}{outcome}") from error.__cause__


def _outcome(error: ServiceError) -> str:
    if isinstance(getattr(error.__cause__, "__context__", None), ConnectionRefusedError):
        return "nothing was sent; check REDIS_URL and the network"
    return "the outcome is unknown: it may be done or not"
