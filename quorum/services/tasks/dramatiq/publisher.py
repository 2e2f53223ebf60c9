"""The service `amqp`, with the words that the queues of dramatiq need."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected
from quorum.services.amqp.messages import message_of
from quorum.services.amqp.server import ServerBroker
from quorum.services.amqp.server.declared import Question
from quorum.services.amqp.server.publisher import Publish

if TYPE_CHECKING:
    from quorum.services.amqp.server.channels import Ask

_FULL, _NOBODY = "it is full", "no queue takes"
_PAUSE = 0.05
_LEAST = 0.1


class Publisher(ServerBroker):
    """Publishes what is confirmed, over one connection a process; `end` is a monotonic time."""

    def deadline(self) -> float:
        """Return the end of a call that begins now."""
        return time.monotonic() + self._settings.timeout

    def declare_as(self, name: str, arguments: dict[str, Any], end: float) -> None:
        """Declare a durable queue with arguments of its own."""
        self._within(
            end,
            lambda channel, done: channel.queue_declare(
                name, durable=True, arguments=arguments, callback=done
            ),
            f"the queue {name!r} is there as another kind",
        )

    def purge(self, name: str, end: float) -> None:
        """Empty a queue; a no-op for one that is not there."""
        try:
            self._within(
                end,
                lambda channel, done: channel.queue_purge(name, callback=done),
                f"the queue {name!r} cannot be emptied",
            )
        except Rejected as error:
            if "404" not in str(error):
                raise

    def put(self, queue: str, body: bytes, job: str, end: float) -> bool:
        """Publish to a queue that has no limit; False where there is no such queue.

        One that was just made refuses messages for a moment; nothing is stored then.
        """
        while True:
            try:
                self._put(queue, body, job, None, end)
            except Rejected as error:
                if _NOBODY in str(error):
                    return False
                if _FULL not in str(error) or time.monotonic() + _PAUSE >= end:
                    raise
                time.sleep(_PAUSE)
            else:
                return True

    def put_one(self, queue: str, expires_in: float, end: float) -> bool:
        """Publish to a queue of one message; False where that is there already."""
        try:
            self._put(queue, b"", None, expires_in, end)
        except Rejected as error:
            if _FULL in str(error):
                return False
            raise
        return True

    def _put(
        self, queue: str, body: bytes, job: str | None, expires_in: float | None, end: float
    ) -> None:
        self._check_open()
        message = message_of(body, None, "application/json", job, expires_in, None)
        self._link.get().run(Publish(_left(end), "", queue, message))

    def _within(self, end: float, ask: Ask, what: str) -> None:
        self._check_open()
        self._link.get().run(Question(_left(end), ask, what))


def _left(end: float) -> float:
    return max(_LEAST, end - time.monotonic())
