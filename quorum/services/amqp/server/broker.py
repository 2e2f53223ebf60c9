"""A broker that is reached by AMQP 0-9-1, such as RabbitMQ."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from quorum.errors import Unavailable
from quorum.forks import PerProcess
from quorum.services.amqp.checked import CheckedBroker
from quorum.services.amqp.server import declared as asks
from quorum.services.amqp.server.consumer import ServerConsumer
from quorum.services.amqp.server.declared import Declared, Question
from quorum.services.amqp.server.link import Link
from quorum.services.amqp.server.options import check_options, parameters_of
from quorum.services.amqp.server.publisher import Publish
from quorum.services.amqp.server.taps import Get

if TYPE_CHECKING:
    from quorum.services.amqp.base import Consumer, Delivery, ExchangeType, Handler
    from quorum.services.amqp.checked import Queue, Scope
    from quorum.services.amqp.messages import Message
    from quorum.services.amqp.server.channels import Ask
    from quorum.settings import AmqpSettings

_PING_SECONDS = 0.75
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2


class ServerBroker(CheckedBroker):
    """RabbitMQ, or another broker that speaks its AMQP 0-9-1, over one connection a process.

    AMQP_URL may give `heartbeat` in seconds (10), which bounds how long a dead connection goes
    unseen where nothing is sent, `channel_max`, `frame_max` and the files and options of TLS.
    Raises ConfigurationError for an option that it cannot have.
    """

    check_settings = staticmethod(check_options)

    def __init__(self, settings: AmqpSettings, *, scope: Scope) -> None:
        super().__init__(settings, scope=scope)
        check_options(settings)
        self._declared = Declared()
        self._link = PerProcess(self._build)

    def send(self, exchange: str, routing_key: str, message: Message) -> None:
        self._link.get().run(Publish(self._settings.timeout, exchange, routing_key, message))

    def make_queues(self, *queues: Queue) -> None:
        end = time.monotonic() + self._settings.timeout
        for queue in queues:
            left = max(0.0, end - time.monotonic())
            what = f"the queue {queue.name!r} is there with other properties; take another name"
            self._link.get().run(Question(left, asks.queue_ask(queue), what))
            self._declared.queues[queue.name] = queue

    def make_exchange(self, name: str, kind: ExchangeType) -> None:
        self._ask(
            asks.exchange_ask(name, kind),
            f"the exchange {name!r} is there with another type; take that, or another name",
        )
        self._declared.exchanges[name] = kind

    def join(self, queue: str, exchange: str, routing_key: str) -> None:
        self._ask(
            asks.binding_ask(queue, exchange, routing_key),
            f"the queue {queue!r} cannot be bound to the exchange {exchange!r}; declare both first",
        )
        self._declared.bindings[queue, exchange, routing_key] = None

    def fetch(self, queue: str, timeout: float) -> Delivery | None:
        end = time.monotonic() + timeout
        pause = _FIRST_PAUSE
        while True:
            self._check_open()
            link = self._link.get()
            found: Delivery | None = link.run(Get(link, queue, self._declared.queues.get(queue)))
            left = end - time.monotonic()
            if found is not None or left <= 0:
                return found
            time.sleep(min(pause, left))
            pause = min(_LONGEST_PAUSE, pause * 2)

    def start(self, queue: str, handler: Handler, prefetch: int, threads: int) -> Consumer:
        consumer = ServerConsumer(self._link.get(), queue, self._declared, prefetch)
        consumer.start(handler, self._scope, threads)
        return consumer

    def reach(self) -> None:
        link = self._link.get()
        seconds = min(_PING_SECONDS, self._settings.timeout)
        link.run(Question(seconds, lambda _, done: done(None), "a channel was refused"))
        for consumer in list(link.consumers):
            if not consumer.running and not consumer.stopped:
                raise Unavailable("amqp", f"no messages come from the queue {consumer.queue!r}")

    def release(self) -> None:
        link = self._link.built
        if link is None:
            return
        end = time.monotonic() + self._settings.timeout
        consumers = list(link.consumers)
        for consumer in consumers:
            consumer.cancel()
        for consumer in consumers:
            consumer.stop(max(0.0, end - time.monotonic()) * 0.8)
        link.close(max(0.2, end - time.monotonic()))

    def _ask(self, ask: Ask, what: str) -> None:
        self._link.get().run(Question(self._settings.timeout, ask, what))

    def _build(self) -> Link:
        parameters = parameters_of(self._settings)
        return Link(parameters, f"{parameters.host}:{parameters.port}", self._settings.timeout)
