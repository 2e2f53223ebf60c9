"""A connection of pika's shape, over the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from quorum.amqp.channel import Channel
from quorum.amqp.values import refuse
from quorum.errors import Unavailable

if TYPE_CHECKING:
    from quorum.services.amqp.base import Broker

_ELSEWHERE = {
    *("add_callback_threadsafe", "add_on_connection_blocked_callback", "basic_nack"),
    *("add_on_connection_unblocked_callback", "basic_nack_supported", "call_later"),
    *("consumer_cancel_notify", "consumer_cancel_notify_supported", "exchange_exchange_bindings"),
    *("exchange_exchange_bindings_supported", "process_data_events", "publisher_confirms"),
    *("publisher_confirms_supported", "remove_timeout", "sleep", "update_secret"),
    # Of pika 1.5.
    "accept_consumer_cancel_ok_supported",
}


class Connection:
    """A connection of pika's shape: the application's broker, which stays when this is closed."""

    def __init__(self, broker: Broker) -> None:
        self.is_open = True
        self._broker = broker
        self._channels: list[Channel] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        refuse(name, "connection", _ELSEWHERE)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return not self.is_open

    def channel(self, channel_number: int | None = None) -> Channel:  # noqa: ARG002 - pika's
        """Return a new channel. Raises Unavailable once this is closed."""
        if not self.is_open:
            raise Unavailable("amqp", "the connection is closed; call get_amqp() for another one")
        made = Channel(self, self._broker)
        self._channels = [*(each for each in self._channels if each.is_open), made]
        return made

    def close(self, reply_code: int = 200, reply_text: str = "") -> None:  # noqa: ARG002 - pika's
        """Close the channels of this connection; a second call is a no-op."""
        self.is_open = False
        for channel in self._channels:
            channel.close()

    def disconnect(self) -> None:
        """Close the connection, by the name that flask-quorum gave it."""
        self.close()
