"""The kinds of provider a container is written with, where dependency-injector's own will not do."""

from __future__ import annotations

import inspect
import logging
import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from dependency_injector import providers

from quorum.errors import NotLoaded
from quorum.forks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class _OwnLock:
    """Give every provider that asks its class for `storage_lock` a lock of its own."""

    def __get__(self, instance: object, owner: type) -> ForkSafeLock:
        return ForkSafeLock()


# Services of an app may use the stock class, whose one lock is shared by all its providers.
_stock_lock: Any = providers.ThreadSafeSingleton.storage_lock
os.register_at_fork(after_in_child=_stock_lock._at_fork_reinit)  # noqa: SLF001


class ThreadSafeSingleton(providers.ThreadSafeSingleton[T]):
    """Build one object per container, once, however many threads ask first.

    The stock class has one lock for all its providers, so that two slow constructors wait for
    each other and a fork while one runs hangs the child. Here each provider has its own.
    """

    storage_lock = _OwnLock()


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
        while self._closers:
            try:
                self._closers.pop()(type(error) if error else None, error, None)
            except Exception as failure:
                if failure is not error:
                    logging.getLogger("quorum.requests").exception("an object could not be closed")


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
    exception, if there was one, is raised at the `yield` or handed to `__exit__`.
    """

    store: Callable[[], Store] = staticmethod(entered_store)

    def _provide(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        build: Callable[[], T] = lambda: super(PerRequest, self)._provide(args, kwargs)  # type: ignore[misc] # noqa: E731
        found: T = self.store().get(self, build)
        return found
