"""A channel of its own for one question, so that a refusal costs nobody else's work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.channel import Channel

    from quorum.services.amqp.server.connection import Connection

    Ask = Callable[[Channel, Callable[[Any], None]], object]


class Errand:
    """Asks on a channel that is closed after it.

    `ask` is given the channel and what to call with the answer; then `done` is called, or
    `failed` with the reason for which the channel was closed.
    """

    def __init__(
        self,
        connection: Connection,
        ask: Ask,
        done: Callable[[Any], object],
        failed: Callable[[Exception], object],
    ) -> None:
        self._ask = ask
        self._done = done
        self._failed = failed
        self._answered = False
        self._channel = connection.channel(on_open_callback=self._opened)
        self._channel.add_on_close_callback(self._closed)

    def _opened(self, channel: Channel) -> None:
        self._ask(channel, self._answer)

    def _answer(self, answer: Any = None) -> None:
        self._answered = True
        self._channel.close()
        self._done(answer)

    def _closed(self, _: Channel, reason: Exception) -> None:
        if not self._answered:
            self._failed(reason)
