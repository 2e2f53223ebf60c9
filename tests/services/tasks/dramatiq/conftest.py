"""Tasks on RabbitMQ and on Redis, with workers in this process."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from quorum.services.redis.server import ServerRedis
from quorum.services.tasks.dramatiq import DramatiqTasks
from quorum.settings import AmqpSettings, RedisSettings, TasksSettings
from tests.services.tasks.dramatiq import work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Build = Callable[..., DramatiqTasks]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what a test opens, in the reverse order."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(autouse=True)
def fresh_work() -> Iterator[None]:
    """Forget what the jobs of other tests noted."""
    work.calls.clear()
    work.tries.clear()
    work.gate.clear()
    yield
    work.gate.set()


@pytest.fixture
def connect(stack: ExitStack) -> Build:
    """Build tasks of one application on whichever URLs are given, and close them."""
    own = f"shop-{uuid.uuid4().hex[:8]}"

    def build(
        amqp: str | None = None, redis: str | None = None, name: str = own, **options: Any
    ) -> DramatiqTasks:
        seconds = options.pop("timeout", 5.0)
        redis_settings = RedisSettings(url=redis, timeout=seconds)
        if redis is not None:
            service = ServerRedis(redis_settings, prefix=name)
            stack.callback(service.close)
            options["lease"] = lambda: service
        tasks = DramatiqTasks(
            TasksSettings(engine="dramatiq", threads=4),
            name=name,
            amqp=AmqpSettings(url=amqp, timeout=seconds),
            redis=redis_settings,
            **{"retries": 0, "backoff": 0.05} | options,
        )
        stack.callback(tasks.close, 1)
        return tasks

    return build


@pytest.fixture(
    params=[
        pytest.param("amqp", marks=[pytest.mark.live("amqp"), pytest.mark.live("redis")]),
        pytest.param("redis", marks=pytest.mark.live("redis")),
    ]
)
def build(request: pytest.FixtureRequest, connect: Build) -> Build:
    """Build tasks on each broker in turn, where Redis keeps the states."""
    urls = {"redis": request.getfixturevalue("redis_server").url}
    if request.param == "amqp":
        urls["amqp"] = request.getfixturevalue("amqp_server").url
    return lambda **options: connect(**urls | options)


@pytest.fixture
def tasks(build: Build) -> DramatiqTasks:
    """Give tasks on each broker in turn, without a worker."""
    return build()
