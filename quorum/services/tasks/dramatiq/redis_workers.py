"""What takes jobs from Redis for the workers, and gives them back where a connection is lost."""

from __future__ import annotations

import copy
import logging
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import dq_name
from dramatiq.errors import ConnectionClosed

from quorum.errors import TimedOut, Unavailable
from quorum.services.redis.failures import explained
from quorum.services.tasks.dramatiq.errands import delayed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dramatiq.middleware import Middleware

logger = logging.getLogger("quorum.tasks")

_HEARTBEAT_SECONDS = 30.0
"""After which a worker that says nothing is taken for dead, and its jobs are given to others."""
_MAINTENANCE = 20_000
"""Commands of a million that look for dead workers."""
_ID = "redis_message_id"


class RedisWorkers(RedisBroker):
    """Dramatiq's broker, on a client that is bounded."""

    # The server would be asked for it under a lock of the class, which a fork may leave shut.
    _max_unpack_size_val: Any = 1000

    def __init__(
        self, client: Any, place: str, namespace: str, middleware: Sequence[Middleware]
    ) -> None:
        super().__init__(
            client=client,
            namespace=namespace,
            middleware=list(middleware),
            heartbeat_timeout=int(_HEARTBEAT_SECONDS * 1000),
            maintenance_chance=_MAINTENANCE,
        )
        self.place = place
        self.lost = False
        self.left: dict[str, list[MessageProxy]] = {}

    @property
    def consumer_class(self) -> type[RedisConsumer]:
        return RedisConsumer

    def found(self) -> None:
        """Write that jobs come again, if it was written that they do not."""
        if self.lost:
            self.lost = False
            logger.info("jobs come from %s again", self.place)

    def put(self, message: Message[Any]) -> Message[Any]:
        """Put a message into its queue."""
        # Each has an id of its own here: a job that is tried again is another message.
        message = message.copy(options={_ID: str(uuid.uuid4())})
        self.do_enqueue(message.queue_name, message.options[_ID], message.encode())
        return message

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        with closed_connections(self):
            return self.put(message if delay is None else delayed(message, delay / 1000))


class RedisConsumer(_RedisConsumer):
    """Takes the messages of one queue under a name of its own.

    So what it was given and never saw, since the answer was lost, is given to others some time
    after it is replaced by another.
    """

    def __init__(self, broker: RedisWorkers, *args: Any) -> None:
        # Of any type: commands are found by their name.
        own: Any = copy.copy(broker)
        own.broker_id = str(uuid.uuid4())
        fetch = own.do_fetch
        # REDIS_URL may ask for text.
        own.do_fetch = lambda *args: [
            each.encode() if isinstance(each, str) else each for each in fetch(*args)
        ]
        super().__init__(own, *args)
        self.logger = logging.getLogger("quorum.tasks.dramatiq")
        self._shared = broker
        self._delays = dq_name(self.queue_name) == self.queue_name
        self._held: dict[str, MessageProxy] = {}
        self._beaten_at = 0.0

    def __next__(self) -> MessageProxy | None:
        with closed_connections(self._shared):
            self._give_back()
            self._beat()
            message: MessageProxy | None = super().__next__()
            self._shared.found()
        if message is not None:
            message.taken_by = self.broker  # type: ignore[attr-defined]  # kept beside it
            self._held[message.options[_ID]] = message
        return message

    def ack(self, message: MessageProxy) -> None:
        # What is kept waits for another worker: this one ends.
        if getattr(message, "kept", False):
            self.requeue([message])
        else:
            self._answer("ack", message)

    def nack(self, message: MessageProxy) -> None:
        self._answer("nack", message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        with closed_connections(self._shared):
            for message in messages:
                taken_by: Any = message.taken_by
                taken_by.do_requeue(self.queue_name, message.options[_ID])
                self._held.pop(message.options[_ID], None)

    def close(self) -> None:
        """Have given back what no thread works on."""
        left = self._shared.left.setdefault(self.queue_name, [])
        for data in self.message_cache:
            message = MessageProxy(Message.decode(data))
            message.taken_by = self.broker  # type: ignore[attr-defined]  # kept beside it
            left.append(message)
        self.message_cache = []
        if self._delays:
            left.extend(self._held.values())
            self._held = {}
        with closed_connections(self._shared):
            self._give_back()

    def _answer(self, command: str, message: MessageProxy) -> None:
        taken_by: Any = message.taken_by
        identity = message.options[_ID]
        with closed_connections(self._shared):
            getattr(taken_by, f"do_{command}")(self.queue_name, identity)
        self._held.pop(identity, None)
        self.queued_message_ids.discard(message.message_id)

    def _give_back(self) -> None:
        left = self._shared.left.get(self.queue_name, [])
        while left:
            left[-1].taken_by.do_requeue(self.queue_name, left[-1].options[_ID])
            left.pop()

    def _beat(self) -> None:
        """Say that it lives, also while it may take no more."""
        now = time.monotonic()
        full = self.outstanding_message_count >= self.prefetch
        if full and now - self._beaten_at > _HEARTBEAT_SECONDS / 6:
            self.broker.do_fetch(self.queue_name, 0)
            self._beaten_at = now


@contextmanager
def closed_connections(broker: RedisWorkers) -> Iterator[None]:
    """Raise what dramatiq takes for a reason to try again, and write so once."""
    try:
        with explained(broker.place):
            yield
    except (Unavailable, TimedOut) as error:
        if not broker.lost:
            broker.lost = True
            logger.warning("no jobs come, which is tried again: %s", error.args[1])
        raise ConnectionClosed(error) from error
