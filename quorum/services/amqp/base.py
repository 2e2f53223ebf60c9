"""AMQP: what a broker promises, and the values it takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from quorum.services.counts import Counts

Body = Any
"""What a message says: bytes as they are, text as UTF-8, and whatever JSON can say as JSON."""

ExchangeType = Literal["direct", "topic", "fanout"]


class Delivery(Protocol):
    """A message that was given to us, to be acknowledged or rejected once."""

    @property
    def body(self) -> bytes:
        """The bytes that were published."""
        ...

    @property
    def headers(self) -> Mapping[str, Any]:
        """The headers it was published with, and those that the broker added.

        `x-delivery-count` is how often a durable queue was given it back, and may be missing at
        first; `x-death` is a list of mappings, the last death first: `reason` (`rejected`,
        `expired`, `delivery_limit`), `queue`, `exchange`, `routing-keys`, `count` and `time`.
        """
        ...

    @property
    def routing_key(self) -> str:
        """The routing key it was published with; its queue's name, on the default exchange."""
        ...

    @property
    def exchange(self) -> str:
        """The exchange it was published to, empty for the default one."""
        ...

    @property
    def message_id(self) -> str | None:
        """Its id; None where whoever published it gave none."""
        ...

    @property
    def content_type(self) -> str | None:
        """Its content type, such as application/json."""
        ...

    @property
    def redelivered(self) -> bool:
        """Whether it may have been given before: then what it asks for may be done already."""
        ...

    def json(self) -> Any:
        """Return what the body says in JSON. Raises Rejected where it is none."""
        ...

    def ack(self) -> None:
        """Tell the broker that it is dealt with; the queue lets go of it.

        Raises Unavailable where the connection it came by is gone: it will be delivered again.
        Raises Rejected if it was answered before.
        """
        ...

    def reject(self, *, requeue: bool = False) -> None:
        """Give it up: it goes to the dead-letter queue, or with `requeue` back to its queue.

        There it comes before all that was not given to anybody yet. One that was given back
        `delivery_limit` times goes to the dead-letter queue whatever is asked. Raises as `ack`
        does.
        """
        ...


Handler = Callable[[Delivery], object]


class Consumer(Protocol):
    """What takes the messages of one queue to a handler, until it is stopped."""

    @property
    def queue(self) -> str:
        """The queue it takes from."""
        ...

    @property
    def running(self) -> bool:
        """Whether messages come: False once it is stopped, and while it is being restored.

        False in a forked child too: a consumer stays with the process that began it.
        """
        ...

    @property
    def counts(self) -> Counts:
        """The calls of its handler, those that raised, and the seconds they took."""
        ...

    def stop(self, timeout: float | None = None) -> bool:
        """Take no more, and return once the handlers that run have ended: True if all did.

        `timeout` is in seconds, AMQP_TIMEOUT if it is not given. What was taken and not begun
        goes back to the queue, which counts as given back. A second call is a no-op that waits as
        well; inside a handler, it does not wait for that one.
        """
        ...


class Broker(Protocol):
    """Publishes messages, and takes them from queues.

    A publish that returns has been stored: the broker confirmed it, and at least one queue took
    it. What a call sent when the connection broke may or may not have been stored; then the error
    says that the outcome is unknown, and nothing is repeated in silence. Any thread may call, and
    a forked child may. Delivery is at least once: a handler must bear a message twice.

    Names are UTF-8 of 1 to 255 bytes (AMQP 0-9-1, 4.2.5.3: a short string), without control
    characters. A call takes at most AMQP_TIMEOUT seconds. Raises Unavailable where the broker
    cannot be reached, TimedOut where it does not answer in time, Rejected where it refuses or
    where our own check does, before anything is sent.
    """

    def publish(
        self,
        body: Body,
        *,
        routing_key: str = "",
        exchange: str = "",
        headers: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        message_id: str | None = None,
        expires_in: float | None = None,
        priority: int | None = None,
    ) -> str:
        """Publish a persistent message, and return its id once the broker has it.

        On the default exchange, `""`, the routing key is the name of a queue. The content type is
        that of the body: application/octet-stream, text/plain or application/json. The id is a
        random one unless it is given. `expires_in` is in seconds, at most 49 days: past it, the
        message is given to nobody, and goes to the dead letters once it is the next of its queue.
        `priority` is from 0 to 255, where the queue knows any.

        Headers are text, bytes, bool, whole numbers of 64 bits, moments with a time zone (which
        travel in whole seconds), None, and lists and mappings of these, 64 kB in all; pika has
        no form for float.

        Raises Rejected where no queue took it, where the exchange is unknown, the queue full, or
        the body neither bytes, text nor JSON; nothing is stored then, but behind an exchange a
        queue that is not full may have it.
        """
        ...

    def declare_queue(
        self, name: str, *, durable: bool = True, delivery_limit: int = 5, dead_letter: bool = True
    ) -> None:
        """Make sure that there is a queue of that name; a no-op where there is such a one.

        A durable one is a quorum queue (https://www.rabbitmq.com/docs/quorum-queues) and lives
        through a restart of the broker; another does not, and gives a message back once only.
        A message that was given back `delivery_limit` times, was rejected or has expired goes to
        the queue `<name>.dead`, which is declared as well, unless `dead_letter` is False; then it
        is gone. From there, a message may be given back as often as one likes. Raises Rejected
        where there is one of that name and other properties.
        """
        ...

    def declare_exchange(self, name: str, type: ExchangeType = "topic") -> None:  # noqa: A002 - AMQP's own word
        """Make sure that there is a durable exchange; a no-op where there is such a one.

        Raises Rejected where there is one of that name and another type, and for a name that is
        the broker's (`amq.…`).
        """
        ...

    def bind(self, queue: str, exchange: str, routing_key: str = "") -> None:
        """Have an exchange hand a queue what matches a routing key.

        In a topic exchange `*` stands for one word and `#` for any number, between dots. A no-op
        where it is bound so already. Raises Rejected where there is no such queue or exchange.
        """
        ...

    def get(self, queue: str, timeout: float = 0) -> Delivery | None:
        """Return the next message of a queue, or None where none came within `timeout` seconds.

        Raises Rejected where there is no such queue. One that is neither acknowledged nor
        rejected goes back to the queue when the connection ends.
        """
        ...

    def consume(
        self, queue: str, handler: Handler, *, prefetch: int = 10, threads: int = 1
    ) -> Consumer:
        """Have a handler called with each message of a queue, on `threads` threads of its own.

        At most `prefetch` messages are taken and not answered. One whose handler returns is
        acknowledged, unless the handler answered it itself; one whose handler raises is logged,
        counted and given back after a pause that grows to a second, so that it ends in the
        dead-letter queue. A queue that is neither durable nor declared by this service counts
        nothing: there it comes again every second. What was taken and not begun as the consumer
        stops or is killed counts as given back too: take few where handlers are slow and restarts
        are frequent. A handler is a plain
        function, no coroutine; it may call the broker and stop its consumer. Handlers run inside
        the context of the application, if there is one. After a restart of the broker the
        messages come again by themselves, also from a queue that was declared here and is gone.
        Raises Rejected where there is no such queue.
        """
        ...

    def ping(self) -> None:
        """Return within a second if the broker answers; else raise Unavailable or TimedOut.

        Raises Unavailable also where a consumer of ours takes no messages, and Rejected where the
        broker refuses the user.
        """
        ...

    def close(self) -> None:
        """Stop every consumer, and let go of the connection, within AMQP_TIMEOUT seconds.

        A second call is a no-op; any other call raises Unavailable.
        """
        ...
