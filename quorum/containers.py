"""The wiring of an application: one paragraph a service."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from dependency_injector.providers import Dependency, Object, Provider, Self

from quorum.choice import choose, lazy
from quorum.graph.assembly import Assembly
from quorum.providers import ThreadSafeSingleton
from quorum.services.amqp.base import Broker
from quorum.services.health import Health
from quorum.services.mailer.base import Mailer
from quorum.services.mongo.base import Mongo
from quorum.services.pusher.base import Pusher
from quorum.services.redis.base import Redis
from quorum.services.storage.base import Storage
from quorum.services.tasks.base import Tasks
from quorum.services.templates import Templates
from quorum.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class Container(Assembly):
    """The services of one application; subclass it to add your own or to replace one.

    `Container(settings=Settings(...))` works without an application. `load()` puts the
    application's own templates in the place of `render`, its context in that of `scope`, inside
    which handlers of messages and jobs run, gives `locate`, which makes a path of it a URL, and
    says with `execution` whether this process runs its schedules.
    """

    __self__ = Self()

    settings: Provider[Settings] = Dependency(instance_of=Settings)

    render: Provider[Callable[[str, dict[str, Any]], str]] = ThreadSafeSingleton(Templates)

    locate: Provider[Callable[[str], str] | None] = Object(None)

    scope: Provider[Callable[[], AbstractContextManager[object]]] = Object(nullcontext)

    execution: Provider[bool] = Object(True)  # noqa: FBT003 - an object as any other

    amqp: Provider[Broker] = ThreadSafeSingleton(
        choose(
            Broker,
            memory=lazy("quorum.services.amqp.memory:MemoryBroker"),
            server=lazy("quorum.services.amqp.server:ServerBroker"),
        ),
        settings.provided.amqp,
        embedded=settings.provided.embedded,
        scope=scope,
    )

    mailer: Provider[Mailer] = ThreadSafeSingleton(
        choose(
            Mailer,
            memory=lazy("quorum.services.mailer.memory:MemoryMailer"),
            smtp=lazy("quorum.services.mailer.smtp:SmtpMailer"),
        ),
        settings.provided.mailer,
        embedded=settings.provided.embedded,
        data_path=settings.provided.data_path,
        render=render,
        tasks=__self__.provided.tasks,
    )

    mongo: Provider[Mongo] = ThreadSafeSingleton(
        choose(
            Mongo,
            memory=lazy("quorum.services.mongo.memory:MemoryMongo"),
            server=lazy("quorum.services.mongo.server:ServerMongo"),
        ),
        settings.provided.mongo,
        embedded=settings.provided.embedded,
        data_path=settings.provided.data_path,
        database=settings.provided.mongo_database,
    )

    pusher: Provider[Pusher] = ThreadSafeSingleton(
        choose(
            Pusher,
            memory=lazy("quorum.services.pusher.memory:MemoryPusher"),
            remote=lazy("quorum.services.pusher.remote:RemotePusher"),
        ),
        settings.provided.pusher,
        embedded=settings.provided.embedded,
    )

    redis: Provider[Redis] = ThreadSafeSingleton(
        choose(
            Redis,
            memory=lazy("quorum.services.redis.memory:MemoryRedis"),
            server=lazy("quorum.services.redis.server:ServerRedis"),
        ),
        settings.provided.redis,
        embedded=settings.provided.embedded,
        data_path=settings.provided.data_path,
        prefix=settings.provided.name,
    )

    storage: Provider[Storage] = ThreadSafeSingleton(
        choose(
            Storage,
            memory=lazy("quorum.services.storage.folder:FolderStorage"),
            s3=lazy("quorum.services.storage.s3:S3Storage"),
        ),
        settings.provided.storage,
        embedded=settings.provided.embedded,
        data_path=settings.provided.data_path,
        locate=locate,
    )

    tasks: Provider[Tasks] = ThreadSafeSingleton(
        choose(
            Tasks,
            memory=lazy("quorum.services.tasks.memory:MemoryTasks"),
            eager=lazy("quorum.services.tasks.memory:MemoryTasks"),
            threads=lazy("quorum.services.tasks.threads:ThreadTasks"),
            dramatiq=lazy("quorum.services.tasks.dramatiq:DramatiqTasks", extra="dramatiq"),
        ),
        settings.provided.tasks,
        name=settings.provided.name,
        scope=scope,
        amqp=settings.provided.amqp,
        redis=settings.provided.redis,
        lease=redis.provider,
        execution=execution,
    )

    health: Provider[Health] = ThreadSafeSingleton(Health, __self__)
