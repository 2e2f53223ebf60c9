"""The kinds of provider a container is written with, where stock ones will not do."""

from __future__ import annotations

import inspect
import logging
import os
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, overload

from dependency_injector import providers

from quorum.errors import NotLoaded
from quorum.forks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

T = TypeVar("T")

logger = logging.getLogger("quorum.requests")


class _OwnLock:
    """Give every provider that asks its class for `storage_lock` a lock of its own."""

    def __get__(self, instance: object, owner: type) -> ForkSafeLock:
        return ForkSafeLock()


# Services of an app may use the stock class, whose one lock is shared by all its providers;
# another is shared by all that look up or set an override.
for _class, _name in (
    (providers.ThreadSafeSingleton, "storage_lock"),
    (providers.Provider, "overriding_lock"),
):
    os.register_at_fork(after_in_child=getattr(_class, _name)._at_fork_reinit)  # noqa: SLF001 - CPython has no other way


class ThreadSafeSingleton(providers.ThreadSafeSingleton[T]):
    """Build one object per container, once, however many threads ask first.

    The stock class has one lock for all its providers, so that two slow constructors wait for
    each other and a fork while one runs hangs the child. Here each provider has its own.
    """

    __slots__ = ()
    storage_lock = _OwnLock()


def quicken(provider: providers.Provider[Any]) -> None:
    """Make a provider that was given its own lock one of the stock class, which calls faster.

    Cython looks for an override of `_provide` at each call of a subclass: 0.25 µs of 0.4.
    """
    if type(provider) is ThreadSafeSingleton:
        # Built from source, the stock class is static, and an object's class cannot be set.
        with suppress(TypeError):
            provider.__class__ = providers.ThreadSafeSingleton  # type: ignore[assignment]


class Store:
    """The objects of one request, closed in the reverse order of their making."""

    def __init__(self) -> None:
        self._objects: dict[object, Any] = {}
        self._closers: list[Callable[..., object]] = []

    def get(self, key: object, build: Callable[[], Any]) -> Any:
        """Return the object of this request under `key`, built when it is first asked for."""
        if key not in self._objects:
            self._objects[key] = self._enter(build())
        return self._objects[key]

    def _enter(self, built: Any) -> Any:
        if inspect.isgenerator(built):
            generator = built
            built = contextmanager(lambda: generator)()
        if hasattr(built, "__enter__") and hasattr(built, "__exit__"):
            value = built.__enter__()
            self._closers.append(built.__exit__)
            return value
        if callable(getattr(built, "close", None)):
            self._closers.append(lambda *_: built.close())
        return built

    def close(self, error: BaseException | None = None) -> None:
        """Close every object, telling it the request's error if there was one; then forget all.

        A failure to close is logged under `quorum.requests` and stops no other. A second call
        is a no-op.
        """
        self._objects = {}
        # The traceback too: contextlib puts the one it is given on the error.
        told = (type(error), error, error.__traceback__) if error else (None, None, None)
        while self._closers:
            try:
                self._closers.pop()(*told)
            except BaseException as failure:
                if failure is error:
                    continue
                if not isinstance(failure, Exception):
                    raise
                logger.exception("an object of the request could not be closed")


entered: ContextVar[Store | None] = ContextVar("quorum_store", default=None)


def entered_store() -> Store:
    """Return the store of the innermost `with quorum.running(container)`.

    Raises NotLoaded outside of one.
    """
    store = entered.get()
    if store is None:
        raise NotLoaded(
            "an object per request was asked for, and no request is running: ask for it in a "
            "view, in `with app.app_context()` or in `with quorum.running(container)`"
        )
    return store


class PerRequest(providers.Factory[T]):
    """Build one object per request: the same within it, a new one in the next.

    A generator function gives what it yields, and goes on at the request's end; a context
    manager is entered, and left then; anything else that has `close()` is closed. The request's
    exception, if there was one, is raised at the `yield` or handed to `__exit__`. As in Flask,
    one that an error handler answered is none.
    """

    store: Callable[[], Store] = staticmethod(entered_store)

    if TYPE_CHECKING:

        @overload
        def __init__(
            self, provides: Callable[..., Iterator[T]], *args: Any, **kwargs: Any
        ) -> None: ...
        @overload
        def __init__(
            self, provides: Callable[..., AbstractContextManager[T]], *args: Any, **kwargs: Any
        ) -> None: ...
        @overload
        def __init__(
            self, provides: Callable[..., T] | None = None, *args: Any, **kwargs: Any
        ) -> None: ...
        def __init__(self, provides: Any = None, *args: Any, **kwargs: Any) -> None: ...

    def _provide(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        build: Callable[..., T] = super()._provide  # type: ignore[misc] # not in the stubs
        found: T = self.store().get(self, lambda: build(args, kwargs))
        return found
