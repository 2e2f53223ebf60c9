"""A channel of pika's shape, over the broker."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from quorum.amqp.consumers import Consumers
from quorum.amqp.unanswered import Unanswered
from quorum.amqp.values import Declared, DeclareOk, described, refuse, refuse_given
from quorum.errors import ServiceError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pika import BasicProperties

    from quorum.amqp.connection import Connection
    from quorum.amqp.consumers import Callback
    from quorum.amqp.values import Method
    from quorum.services.amqp.base import Broker

_ELSEWHERE = {
    *("add_on_cancel_callback", "add_on_return_callback", "basic_recover", "cancel"),
    *("channel_number", "consume", "exchange_bind", "exchange_delete", "exchange_unbind"),
    *("flow", "get_waiting_message_count", "queue_delete", "queue_purge", "queue_unbind"),
    *("tx_commit", "tx_rollback", "tx_select"),
}


class Channel:
    """A channel; what it gave and was not answered goes back to its queue when it is closed."""

    def __init__(self, connection: Connection, broker: Broker) -> None:
        self.connection = connection
        self.is_open = True
        self._broker = broker
        self._unanswered = Unanswered()
        self._consumers = Consumers(broker, self._unanswered)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        refuse(name, "channel", _ELSEWHERE)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return not self.is_open

    @property
    def consumer_tags(self) -> list[str]:
        """The tags of those that `start_consuming` serves."""
        return self._consumers.tags

    def queue_declare(
        self,
        queue: str,
        passive: bool = False,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = False,
        arguments: Mapping[str, Any] | None = None,
    ) -> Declared:
        """Make sure that there is a queue; a no-op where there is such a one.

        As in pika it is durable only with `durable=True`: then it is a quorum queue; else a
        classic one, which does not live through a restart of the broker. Either has the queue
        `<name>.dead` beside it: see `Broker.declare_queue`. Raises Unsupported for the other
        arguments, and Rejected where there is one of that name and other properties, such as a
        queue that pika itself declared.
        """
        refuse_given(
            "queue_declare",
            passive=passive,
            exclusive=exclusive,
            auto_delete=auto_delete,
            arguments=arguments,
        )
        self._opened.declare_queue(queue, durable=durable)
        return Declared(DeclareOk(queue))

    def exchange_declare(
        self,
        exchange: str,
        exchange_type: Any = "direct",
        passive: bool = False,
        durable: bool = False,  # noqa: ARG002 - all are
        auto_delete: bool = False,
        internal: bool = False,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Make sure that there is an exchange: direct, topic or fanout, and always durable.

        Raises Unsupported for `passive`, `auto_delete`, `internal` and `arguments`, and Rejected
        where there is one of that name and another type, or one that is not durable.
        """
        refuse_given(
            "exchange_declare",
            passive=passive,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )
        # pika's ExchangeType is an enumeration.
        self._opened.declare_exchange(exchange, getattr(exchange_type, "value", exchange_type))

    def queue_bind(
        self,
        queue: str,
        exchange: str,
        routing_key: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Have an exchange hand a queue what matches a routing key, by default the queue's name.

        Raises Unsupported for `arguments`, and Rejected where there is no such queue or exchange.
        """
        refuse_given("queue_bind", arguments=arguments)
        self._opened.bind(queue, exchange, queue if routing_key is None else routing_key)

    def confirm_delivery(self) -> None:
        """Do nothing: every message is confirmed."""

    def basic_publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes | str,
        properties: BasicProperties | None = None,
        mandatory: bool = False,  # noqa: ARG002 - every message is
    ) -> None:
        """Publish a message; it is stored once this returns.

        It is persistent, whatever its delivery mode. Raises Rejected where no queue took it, be
        it `mandatory` or not, and Unsupported for a property that is not carried, such as
        `correlation_id` and `reply_to`.
        """
        self._opened.publish(
            body, exchange=exchange, routing_key=routing_key, **described(properties)
        )

    def basic_get(
        self, queue: str, auto_ack: bool = False
    ) -> tuple[Method, BasicProperties, bytes] | tuple[None, None, None]:
        """Return method, properties and body of the next message; thrice None for no message.

        Of the properties it has `content_type`, `headers` and `message_id`. Raises Rejected
        where there is no such queue.
        """
        delivery = self._opened.get(queue)
        if delivery is None:
            return None, None, None
        return self._unanswered.give(delivery, auto_ack=auto_ack)

    def basic_ack(self, delivery_tag: int = 0, multiple: bool = False) -> None:
        """Tell that a message is dealt with; with `multiple` all up to it, or all for 0.

        Raises Rejected for a tag that no message has which waits for an answer, and Unavailable
        where its connection is gone: it is delivered again.
        """
        for delivery in self._unanswered.take(delivery_tag, multiple=multiple):
            delivery.ack()

    def basic_nack(
        self, delivery_tag: int = 0, multiple: bool = False, requeue: bool = True
    ) -> None:
        """Give back a message, or with `requeue=False` give it up; else as `basic_ack`."""
        for delivery in self._unanswered.take(delivery_tag, multiple=multiple):
            delivery.reject(requeue=requeue)

    def basic_reject(self, delivery_tag: int = 0, requeue: bool = True) -> None:
        """Give back a message, or with `requeue=False` give it up; else as `basic_ack`."""
        self.basic_nack(delivery_tag, requeue=requeue)

    def basic_qos(
        self, prefetch_size: int = 0, prefetch_count: int = 0, global_qos: bool = False
    ) -> None:
        """Have `start_consuming` wait while so many messages are unanswered; 0 is no limit.

        Raises Unsupported for `prefetch_size` and `global_qos`.
        """
        refuse_given("basic_qos", prefetch_size=prefetch_size, global_qos=global_qos)
        self._consumers.prefetch = prefetch_count

    def basic_consume(
        self,
        queue: str,
        on_message_callback: Callback,
        auto_ack: bool = False,
        exclusive: bool = False,
        consumer_tag: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> str:
        """Have `start_consuming` call a function with each message of a queue; return its tag.

        It is called with channel, method, properties and body, and answers the message, unless
        `auto_ack` does. Raises Unsupported for `exclusive` and `arguments`.
        """
        refuse_given("basic_consume", exclusive=exclusive, arguments=arguments)
        self._check_open()
        return self._consumers.add(queue, on_message_callback, consumer_tag, auto_ack=auto_ack)

    def basic_cancel(self, consumer_tag: str) -> None:
        """Have `start_consuming` serve that consumer no longer; a no-op if it does not."""
        self._consumers.cancel(consumer_tag)

    def start_consuming(self) -> None:
        """Call the functions of `basic_consume`, on this thread, until all are cancelled.

        Raises what they raise, and what the broker does: Rejected where there is no such queue,
        Unavailable or TimedOut while it cannot be reached. It may be called again. What is to go
        on by itself is for `Broker.consume`, and the command `quorum consume`.
        """
        self._check_open()
        self._consumers.run(self)

    def stop_consuming(self, consumer_tag: str | None = None) -> None:
        """Cancel one consumer or all; `start_consuming` then returns. Any thread may call this."""
        for tag in self.consumer_tags if consumer_tag is None else [consumer_tag]:
            self.basic_cancel(tag)

    def close(self, reply_code: int = 0, reply_text: str = "") -> None:  # noqa: ARG002 - pika's
        """Cancel all consumers, and give back what was not answered; a second call is a no-op."""
        self.stop_consuming()
        self.is_open = False
        for delivery in self._unanswered.take(0, multiple=True):
            # One that cannot be given back is the broker's already.
            with suppress(ServiceError):
                delivery.reject(requeue=True)

    @property
    def _opened(self) -> Broker:
        self._check_open()
        return self._broker

    def _check_open(self) -> None:
        if not self.is_open:
            raise Unavailable("amqp", "the channel is closed; open another one")
