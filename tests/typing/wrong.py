"""Uses that are wrong: mypy --strict finds an error on each line that says so, and no other."""

from __future__ import annotations

from typing import Protocol

from dependency_injector.providers import Provider

from quorum import (
    Broker,
    Container,
    Mailer,
    Mongo,
    PerRequest,
    Provide,
    Pusher,
    Redis,
    Settings,
    Storage,
    ThreadSafeSingleton,
    choose,
    inject,
)


class Bell(Protocol):
    def ring(self) -> int: ...


class Wrong:
    def __init__(self, settings: object) -> None: ...
    def send(self) -> int:
        return 1


class Session:
    """An object per request."""


class AppContainer(Container):
    bell: Provider[Bell] = ThreadSafeSingleton(choose(Bell, memory=Wrong))  # error
    post: Provider[Mailer] = ThreadSafeSingleton(choose(Mailer, memory=Wrong))  # error
    alone: Provider[Bell] = ThreadSafeSingleton(Wrong, 1)  # error
    session: Provider[Session] = PerRequest(Wrong)  # error


@inject
def settings_for_a_mailer(mailer: Mailer = Provide[Container.settings]) -> None: ...  # error


@inject
def mailer_for_settings(settings: Settings = Provide[Container.mailer]) -> None: ...  # error


@inject
def no_such_service(mailer: Mailer = Provide[Container.mailr]) -> None: ...  # error


@inject
def not_a_provider(mailer: Mailer = Provide[5]) -> None: ...  # error


@inject
def right(number: int, mailer: Mailer = Provide[Container.mailer]) -> int:
    mailer.snd()  # error
    return number


right("1")  # error
right(1, 2)  # error
text: str = right(1)  # error


@inject
def stores(
    mongo: Mongo = Provide[Container.redis],  # error
    redis: Redis = Provide[Container.storage],  # error
    storage: Storage = Provide[Container.storage],
) -> None:
    mongo.find_one({})  # error
    redis.get("visits")  # error
    storage.put("a.txt", "text")  # error


@inject
def messages(
    amqp: Broker = Provide[Container.pusher],  # error
    pusher: Pusher = Provide[Container.pusher],
) -> None:
    amqp.publish(b"", "orders")  # error
    amqp.consume("orders", "handle")  # error
    pusher.trigger("orders", "new")  # error
    pusher.trigger_batch([{"channel": "orders"}])  # error
