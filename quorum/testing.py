"""Fakes for tests: every service swapped for its embedded twin, and put back afterwards."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from dependency_injector import providers

from quorum import current
from quorum.choice import Choice
from quorum.errors import ConfigurationError
from quorum.graph.assembly import Entered, constructor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from flask import Flask

    from quorum.execution import Execution
    from quorum.services.amqp.memory import MemoryBroker
    from quorum.services.mailer.memory import MemoryMailer
    from quorum.services.mongo.memory import MemoryMongo
    from quorum.services.pusher.memory import MemoryPusher
    from quorum.services.redis.memory import MemoryRedis
    from quorum.services.storage.folder import FolderStorage
    from quorum.services.tasks.memory import MemoryTasks


class Fakes:
    """The twins that serve while `fakes` lasts: an attribute for each, by its noun."""

    def __init__(self, container: Any, nouns: Collection[str]) -> None:
        self._container = container
        self._nouns = nouns

    @property
    def amqp(self) -> MemoryBroker:
        """The broker's twin, with what was `published`."""
        twin: MemoryBroker = self.__getattr__("amqp")
        return twin

    @property
    def mailer(self) -> MemoryMailer:
        """The mailer's twin, with its `outbox`."""
        twin: MemoryMailer = self.__getattr__("mailer")
        return twin

    @property
    def mongo(self) -> MemoryMongo:
        """The twin of MongoDB; look at what is in it by its `database`."""
        twin: MemoryMongo = self.__getattr__("mongo")
        return twin

    @property
    def pusher(self) -> MemoryPusher:
        """The twin of Pusher, with its `events`."""
        twin: MemoryPusher = self.__getattr__("pusher")
        return twin

    @property
    def redis(self) -> MemoryRedis:
        """The twin of Redis; look at what is in it by its `client`."""
        twin: MemoryRedis = self.__getattr__("redis")
        return twin

    @property
    def storage(self) -> FolderStorage:
        """The twin of the storage, in a temporary folder."""
        twin: FolderStorage = self.__getattr__("storage")
        return twin

    @property
    def tasks(self) -> MemoryTasks:
        """The twin of the background work, with what was submitted; `run_due` runs it.

        It has the schedules that the application had when the fakes began.
        """
        twin: MemoryTasks = self.__getattr__("tasks")
        return twin

    def __getattr__(self, noun: str) -> Any:
        if noun.startswith("_") or noun not in self._nouns:
            raise AttributeError(
                f"{noun!r} is not faked here; these are: {', '.join(sorted(self._nouns))}"
            )
        return getattr(self._container, noun)()


@contextmanager
def fakes(
    app: Flask,
    only: str | Collection[str] | None = None,
    except_: str | Collection[str] = (),
) -> Iterator[Fakes]:
    """Swap the services of an application for fresh embedded twins, and yield these.

    All services that have a twin, or `only` those named, but those in `except_`. Singletons
    that were built with another service are built anew, with the twins; at the end each is back
    as it was. The application's schedules rest meanwhile, and are the twin's. Raises
    ConfigurationError for a name that has no twin.
    """
    container: Any = current.container_of(app)
    only = (only,) if isinstance(only, str) else only
    nouns = _chosen(container, only, (except_,) if isinstance(except_, str) else except_)
    swapped = [
        name
        for name, provider in container.providers.items()
        if name in nouns or (not provider.overridden and _depends_on(provider, container, nouns))
    ]
    double = container.declarative_parent()
    for name, provider in container.providers.items():
        if name in nouns:
            _use_twin(getattr(double, name))
        elif name not in swapped and not isinstance(provider, providers.Self):
            # What has nothing to do with a twin is shared with the application.
            getattr(double, name).override(provider)
    with ExitStack() as undo:
        undo.callback(double.ledger.close)
        for name in swapped:
            undo.enter_context(_overriding(getattr(container, name), getattr(double, name)))
        # What they made ready, such as a queue, the twins do not have.
        undo.enter_context(app.extensions["quorum.loaded"].start_up.again(app))
        if "tasks" in nouns:
            undo.enter_context(_moved_schedules(app, double))
        yield Fakes(double, nouns)


@contextmanager
def _moved_schedules(app: Flask, double: Any) -> Iterator[None]:
    """Give the twin of the tasks the schedules of the application, which rest in this block."""
    execution: Execution = app.extensions["quorum.loaded"].execution
    for job, rule in execution.jobs:
        double.tasks().repeat(job, rule)
    with execution.resting():
        yield


@contextmanager
def _overriding(provider: Any, by: Any) -> Iterator[None]:
    provider.override(by)
    try:
        yield
    finally:
        if provider.last_overriding is by:
            # At once, so that no thread meets what is underneath.
            provider.reset_last_overriding()
        else:
            # The stock context would undo the last override, whoever made it.
            kept = [each for each in provider.overridden if each is not by]
            provider.reset_override()
            for each in kept:
                provider.override(each)


def _chosen(
    container: Any, only: Collection[str] | None, except_: Collection[str]
) -> Collection[str]:
    twins = {
        name
        for name, provider in container.providers.items()
        if isinstance(target := constructor(provider), Choice) and "memory" in target.drivers
    }
    unknown = {*(only or ()), *except_} - twins
    if unknown:
        raise ConfigurationError(
            f"there is no twin of {', '.join(sorted(unknown))}; there are "
            f"{', '.join(sorted(twins))}"
        )
    return (twins if only is None else twins & set(only)) - set(except_)


def _use_twin(provider: Any) -> None:
    target: Any = constructor(provider)
    built = provider.provides
    provider.set_provides(Entered(target.drivers["memory"], built.name, built.ledger))
    # A twin of a test keeps nothing for the next.
    left = provider.kwargs.items()
    provider.set_kwargs(
        **{name: value for name, value in left if name not in {"embedded", "data_path"}}
    )


def _depends_on(provider: Any, container: Any, nouns: Collection[str]) -> bool:
    faked = {id(getattr(container, noun)) for noun in nouns}
    return any(id(node) in faked for node in providers.traverse(provider))
