"""What every broker does before it sends: the checks, the counting, the open state."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from quorum.errors import Rejected, Unavailable
from quorum.forks import ForkSafeLock
from quorum.services.amqp.base import ExchangeType
from quorum.services.amqp.messages import check_name, check_routing_key, message_of, shown
from quorum.services.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from quorum.services.amqp.base import Consumer, Delivery, Handler
    from quorum.services.amqp.messages import Message
    from quorum.settings import AmqpSettings

    Scope = Callable[[], AbstractContextManager[object]]

_LONGEST_WAIT = 24 * 3600.0
_MOST = 65_535
_DEAD = ".dead"


@dataclass(frozen=True)
class Queue:
    """A queue as it was declared; `dead` is where its dead letters go, None for nowhere."""

    name: str
    durable: bool = True
    delivery_limit: int = 5
    dead: str | None = None


class CheckedBroker(ABC):
    """A broker but for the last steps, which are given what was checked.

    All raise errors of ours; `get` and `consume` of the driver may take longer than a call, and
    bound each of their steps.
    """

    def __init__(self, settings: AmqpSettings, *, scope: Scope) -> None:
        self._settings = settings
        self._scope = scope
        self._closed = False
        self._closing = ForkSafeLock()
        self.counts = Counts()

    @abstractmethod
    def send(self, exchange: str, routing_key: str, message: Message) -> None:
        """Publish a message; returns once it is confirmed and routed."""

    @abstractmethod
    def make_queues(self, *queues: Queue) -> None:
        """Declare queues in this order, within one call's time."""

    @abstractmethod
    def make_exchange(self, name: str, kind: ExchangeType) -> None:
        """Declare a durable exchange."""

    @abstractmethod
    def join(self, queue: str, exchange: str, routing_key: str) -> None:
        """Bind a queue to an exchange."""

    @abstractmethod
    def fetch(self, queue: str, timeout: float) -> Delivery | None:
        """Return the next message of a queue, waiting for it for up to `timeout` seconds."""

    @abstractmethod
    def start(self, queue: str, handler: Handler, prefetch: int, threads: int) -> Consumer:
        """Begin to take the messages of a queue."""

    @abstractmethod
    def reach(self) -> None:
        """Return if the broker answers now, and every consumer takes messages."""

    @abstractmethod
    def release(self) -> None:
        """Stop what runs and let go of what is held; called once, as the broker closes."""

    def publish(
        self,
        body: Any,
        *,
        routing_key: str = "",
        exchange: str = "",
        headers: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        message_id: str | None = None,
        expires_in: float | None = None,
        priority: int | None = None,
    ) -> str:
        with self._call():
            message = message_of(body, headers, content_type, message_id, expires_in, priority)
            if exchange != "":
                check_name(exchange, "exchange")
            self.send(exchange, check_routing_key(routing_key), message)
            return message.message_id

    def declare_queue(
        self, name: str, *, durable: bool = True, delivery_limit: int = 5, dead_letter: bool = True
    ) -> None:
        with self._call():
            name = _own_name(name, "queue")
            dead = _own_name(name + _DEAD, "queue of dead letters") if dead_letter else None
            limit = _number(delivery_limit, "delivery_limit", 1)
            # Who looks through the dead letters gives them back often; none may get lost.
            letters = [] if dead is None else [Queue(dead, durable, _MOST)]
            self.make_queues(*letters, Queue(name, durable, limit if durable else 1, dead))

    def declare_exchange(self, name: str, type: ExchangeType = "topic") -> None:  # noqa: A002 - AMQP's own word
        with self._call():
            if type not in get_args(ExchangeType):
                kinds = ", ".join(get_args(ExchangeType))
                raise Rejected("amqp", f"an exchange is one of {kinds}, not {shown(type)}")
            self.make_exchange(_own_name(name, "exchange"), type)

    def bind(self, queue: str, exchange: str, routing_key: str = "") -> None:
        with self._call():
            self.join(
                check_name(queue, "queue"),
                check_name(exchange, "exchange"),
                check_routing_key(routing_key),
            )

    def get(self, queue: str, timeout: float = 0) -> Delivery | None:
        with self._call():
            wait = isinstance(timeout, int | float) and 0 <= timeout <= _LONGEST_WAIT
            if not wait:
                raise Rejected(
                    "amqp", f"timeout is from 0 to a day, in seconds, not {shown(timeout)}"
                )
            return self.fetch(check_name(queue, "queue"), timeout)

    def consume(
        self, queue: str, handler: Handler, *, prefetch: int = 10, threads: int = 1
    ) -> Consumer:
        with self._call():
            if not callable(handler) or _runs_later(handler) or not _takes_one(handler):
                raise Rejected(
                    "amqp",
                    "a handler is called with each delivery; give a plain function of one argument",
                )
            return self.start(
                check_name(queue, "queue"),
                handler,
                _number(prefetch, "prefetch", 1),
                _number(threads, "threads", 1),
            )

    def ping(self) -> None:
        self._check_open()
        self.reach()

    def close(self) -> None:
        with self._closing:
            closed, self._closed = self._closed, True
        if not closed:
            self.release()

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Count the block as a call, once the broker is seen open."""
        with self.counts.call():
            self._check_open()
            yield

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("amqp", "it is closed; load the application again to use it")


def _own_name(name: object, what: str) -> str:
    text = check_name(name, what)
    if text.startswith("amq."):
        raise Rejected(
            "amqp", f"the name of the {what} {text[:40]!a} is the broker's; take another"
        )
    return text


def _runs_later(handler: object) -> bool:
    """Tell whether a call of it would only prepare what it does."""
    return (
        inspect.iscoroutinefunction(handler)
        or inspect.isgeneratorfunction(handler)
        or inspect.isasyncgenfunction(handler)
    )


def _takes_one(handler: Handler) -> bool:
    try:
        inspect.signature(handler).bind(None)
    except TypeError:
        return False
    except ValueError:
        # Not all that is built in tells what it takes.
        return True
    return True


def _number(value: object, what: str, least: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST:
        return value
    raise Rejected("amqp", f"{what} is a number from {least} to {_MOST}, not {shown(value)}")
