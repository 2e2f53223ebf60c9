"""Uses that are right: mypy --strict finds nothing here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import flask
from dependency_injector.providers import Provider

import quorum
from quorum import (
    Broker,
    Consumer,
    Container,
    Delivery,
    Event,
    Handle,
    Mailer,
    Mongo,
    PerRequest,
    Provide,
    Pusher,
    Redis,
    Schedule,
    Settings,
    Storage,
    Tasks,
    ThreadSafeSingleton,
    choose,
    inject,
    lazy,
)
from quorum.services.amqp.memory import MemoryBroker
from quorum.services.amqp.server import ServerBroker
from quorum.services.mailer.memory import MemoryMailer
from quorum.services.pusher.memory import MemoryPusher
from quorum.services.pusher.remote import RemotePusher


class Bell(Protocol):
    def ring(self) -> int: ...


class Brass:
    def __init__(self, settings: object) -> None: ...
    def ring(self) -> int:
        return 1


class Session:
    def query(self) -> str:
        return ""


def generated() -> Iterator[Session]:
    yield Session()


@contextmanager
def managed() -> Iterator[Session]:
    yield Session()


class AppContainer(Container):
    bell: Provider[Bell] = ThreadSafeSingleton(
        choose(Bell, memory=Brass, server=lazy("a.b:C")), Container.settings.provided.bell
    )
    alone: Provider[Bell] = ThreadSafeSingleton(Brass, 1)
    post: Provider[Mailer] = ThreadSafeSingleton(
        choose(Mailer, memory=MemoryMailer, smtp=lazy("a.b:C")), Container.settings.provided.mailer
    )
    messages: Provider[Broker] = ThreadSafeSingleton(
        choose(Broker, memory=MemoryBroker, server=ServerBroker), Container.settings.provided.amqp
    )
    events: Provider[Pusher] = ThreadSafeSingleton(
        choose(Pusher, memory=MemoryPusher, remote=RemotePusher), Container.settings.provided.pusher
    )
    session: Provider[Session] = PerRequest(Session)
    generated: Provider[Session] = PerRequest(generated)
    managed: Provider[Session] = PerRequest(managed)


app = quorum.load(name=__name__, container=AppContainer)


@app.post("/welcome/<address>")
@inject
def welcome(address: str, mailer: Mailer = Provide[Container.mailer]) -> tuple[str, int]:
    mailer.send(subject="Welcome", to=[address], text="Good to have you.")
    return "", 204


@inject
def many(
    mailer: Mailer = Provide[AppContainer.post],
    bell: Bell = Provide[AppContainer.bell],
    settings: Settings = Provide[Container.settings],
    session: Session = Provide[AppContainer.session],
    other: Session = Provide[AppContainer.generated],
    third: Session = Provide[AppContainer.managed],
    name: str = Provide["settings.provided.name"],
    part: float = Provide[Container.settings.provided.mailer.timeout],
    container: AppContainer = Provide[AppContainer],
    maybe: Mailer | None = Provide[Container.mailer],
) -> int:
    return bell.ring()


@inject
async def later(mailer: Mailer = Provide[Container.mailer]) -> str:
    return "sent"


async def use() -> str:
    number: int = many()
    given: int = many(MemoryMailer(Settings().mailer, lambda template, context: ""))
    text: str = await later()
    return text * number * given


container = Container(settings=Settings())
with quorum.running(container) as running:
    running.mailer().ping()
quorum.APP.test_client()


@inject
def stores(
    mongo: Mongo = Provide[Container.mongo],
    redis: Redis = Provide[Container.redis],
    storage: Storage = Provide[Container.storage],
    health: quorum.Health = Provide[Container.health],
) -> str | None:
    found = mongo.collection("entries").find_one({"name": "ana"})
    mongo.database["entries"].insert_one({"name": "ana"})
    redis.client.incr("visits")
    with redis.lock("report", expires_in=10) as lock:
        lock.check()
    storage.put("a.txt", b"text", metadata={"by": "ana"})
    storage.put("upload", flask.request.files["file"].stream)
    storage.put("body", flask.request.stream)
    storage.put("view", memoryview(b"text"))
    health.check()
    return None if found is None else storage.stat("a.txt").content_type


@inject
def handle(delivery: Delivery, mailer: Mailer = Provide[Container.mailer]) -> str:
    return str(delivery.json()["name"])


@inject
def messages(
    amqp: Broker = Provide[Container.amqp], pusher: Pusher = Provide[Container.pusher]
) -> bool:
    amqp.declare_queue("orders")
    number: str = amqp.publish({"name": "ana"}, routing_key="orders", headers={"by": "ana"})
    consumer: Consumer = amqp.consume("orders", handle, prefetch=5, threads=2)
    delivery = amqp.get("orders", timeout=1)
    if delivery is not None:
        delivery.ack()
    pusher.trigger(["orders"], "new", {"id": number}, socket_id="1.2")
    pusher.trigger_batch([Event("orders", "new", number)])
    return consumer.stop(5)


def documented() -> None:
    channel = quorum.get_amqp().channel()
    channel.basic_publish("", "orders", b"", quorum.properties_amqp(delivery_mode=2))
    method, _, _ = channel.basic_get(channel.queue_declare("orders").method.queue)
    if method is not None:
        channel.basic_ack(method.delivery_tag)
    quorum.get_pusher().trigger("orders", "new", {})
    quorum.get_mongo_db()["entries"].find_one()
    quorum.mongodb.get_connection().admin.command("ping")
    quorum.get_redis().get("visits")


@quorum.background(timeout=60)
@inject
def watch(mailer: Mailer = Provide[Container.mailer]) -> None:
    mailer.send_later(subject="Watch", to="ana@example.org", text="All is well.").wait(5)


@quorum.background
def begin() -> int:
    return 1


@inject
def work(tasks: Tasks = Provide[Container.tasks]) -> float:
    handle: Handle = tasks.submit(print, "now")
    at: Handle = quorum.run_background(print, ["then"], target_time=0, callback=print)
    schedule: Schedule = tasks.cron("0 3 * * *", watch, timezone="Europe/Lisbon")
    tasks.pause(schedule)
    number: int = begin() + quorum.weekly_eval(0, 3600, now=0)
    watch()
    at.cancel()
    return quorum.daily_work(watch, 3600) + number + len(handle.id)
