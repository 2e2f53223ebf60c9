"""Each driver of tasks, and how its work happens while a test waits."""

from __future__ import annotations

import uuid
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from quorum.services.redis.server import ServerRedis
from quorum.services.tasks.dramatiq import DramatiqTasks
from quorum.services.tasks.memory import MemoryTasks
from quorum.services.tasks.threads import ThreadTasks
from quorum.settings import AmqpSettings, RedisSettings, TasksSettings
from tests.services.tasks.gates import DEADLINE
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from quorum.services.tasks.base import Handle, Tasks


class Engine:
    """Builds the tasks of one driver, which end with the stack."""

    driver: Any = None

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def build(self, scope: Any = nullcontext, name: str = "", **settings: Any) -> Any:
        """Build tasks; those of one name are one application's."""
        name = name or f"shop-{uuid.uuid4().hex[:8]}"
        tasks = self.driver(TasksSettings(**settings), name=name, scope=scope, **self.servers(name))
        self._stack.callback(tasks.close, 5)
        return tasks

    def servers(self, name: str) -> dict[str, Any]:
        """Return what tells the driver of its servers."""
        return {}

    def step(self, tasks: Any) -> None:
        """Let work happen."""

    def settle(self, tasks: Tasks, condition: Callable[[], Any], seconds: float = DEADLINE) -> None:
        """Let work happen until something is true, and fail if it is not in time."""

        def stepped() -> Any:
            self.step(tasks)
            return condition()

        wait_until(stepped, seconds)

    def end(self, tasks: Tasks, *handles: Handle) -> None:
        """Let work happen until those jobs have ended."""
        self.settle(tasks, lambda: all(handle.wait(0) for handle in handles))

    def value(self, tasks: Tasks, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Have a function called, and return what it returned."""
        handle = tasks.submit(function, *args, **kwargs)
        self.end(tasks, handle)
        return handle.result(0)


class Threads(Engine):
    """Threads of this process; they work by themselves."""

    driver = ThreadTasks


class Memory(Engine):
    """The twin; it works when it is told to."""

    driver = MemoryTasks

    def step(self, tasks: Any) -> None:
        tasks.run_due()


class Distributed(Engine):
    """Dramatiq on a broker; workers of this process work."""

    driver = DramatiqTasks

    def __init__(self, stack: ExitStack, redis: str | None, amqp: str | None = None) -> None:
        super().__init__(stack)
        self._redis = RedisSettings.model_validate({"url": redis})
        self._amqp = AmqpSettings.model_validate({"url": amqp})
        self._working: list[Any] = []

    def servers(self, name: str) -> dict[str, Any]:
        if self._redis.url is None:
            return {"amqp": self._amqp}
        lease = ServerRedis(self._redis, prefix=name)
        self._stack.callback(lease.close)
        return {"amqp": self._amqp, "redis": self._redis, "lease": lambda: lease}

    def build(self, scope: Any = nullcontext, name: str = "", **settings: Any) -> Any:
        return super().build(scope, name, **{"engine": "dramatiq"} | settings)

    def step(self, tasks: Any) -> None:
        if tasks not in self._working:
            self._working.append(tasks)
            self._stack.callback(tasks.work(2).stop, 5)


HERE: list[Any] = ["memory", "threads"]
BROKERS = [
    pytest.param("rabbitmq", marks=[pytest.mark.live("amqp"), pytest.mark.live("redis")]),
    pytest.param("redis", marks=pytest.mark.live("redis")),
]


def engine_of(request: pytest.FixtureRequest, stack: ExitStack) -> Engine:
    """Return the driver that a fixture is parametrized with."""
    if request.param in HERE:
        return Memory(stack) if request.param == "memory" else Threads(stack)
    redis = request.getfixturevalue("redis_server").url
    if request.param == "redis":
        return Distributed(stack, redis)
    return Distributed(stack, redis, request.getfixturevalue("amqp_server").url)
