"""Injecting services into functions: `@inject` and `Provide[Container.mailer]`.

The markers and providers are dependency-injector's own. Its `inject` is not used: `wire()` is
one registry for the process, so that the second application takes over the views of the first.
"""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from dependency_injector import wiring

from quorum import current
from quorum.errors import ConfigurationError, NotLoaded
from quorum.injection.plans import Injection, Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from dependency_injector.containers import DeclarativeContainer
    from dependency_injector.providers import Provider

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
C = TypeVar("C", bound="DeclarativeContainer")

if TYPE_CHECKING:

    class _Provide(Protocol):
        """What a type checker sees: the marker has the type of what will be injected."""

        @overload
        def __getitem__(self, item: Provider[T]) -> T: ...
        @overload
        def __getitem__(self, item: type[C]) -> C: ...
        @overload
        def __getitem__(self, item: str | tuple[str, wiring.Modifier]) -> Any: ...

    Provide: _Provide
else:
    Provide = wiring.Provide


def inject(function: Callable[P, R]) -> Callable[P, R]:
    """Give a function the services that its parameters are marked with.

    A parameter that the caller gives is left as given. Works on views, methods, commands and
    plain functions, above or below other decorators, before or after `load()`; a coroutine
    function stays one. Raises ConfigurationError for a class or a class method. Raises, at the
    call: NotLoaded if no container is running; ConfigurationError if a marker asks for what
    the container does not have.
    """
    if isinstance(function, (type, classmethod, staticmethod)):
        raise ConfigurationError(
            f"inject takes a function, not {function!r}: write it below @classmethod or "
            "@staticmethod, and on the constructor of a class"
        )
    frame = sys._getframe(1)  # noqa: SLF001 - string annotations may name what is local there
    local = {} if frame.f_locals is frame.f_globals else frame.f_locals
    injection = Injection(function, local)
    wrapper = _injected(function, injection)
    if inspect.iscoroutinefunction(function):
        wrapper = _coroutine(wrapper)
    functools.update_wrapper(wrapper, function)
    wrapper.__injection__ = injection  # type: ignore[attr-defined]
    return cast("Callable[P, R]", wrapper)


def _coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return coroutine


def _injected(function: Callable[..., Any], injection: Injection) -> Callable[..., Any]:
    """Return a function that calls another with all that it is injected with."""
    active_app, planned = current.active_app, _Planned(injection)
    key = planned.key

    def injected(*args: Any, **kwargs: Any) -> Any:
        # Every call of every view passes here: what is seldom is done elsewhere.
        try:
            pairs, leading = active_app().extensions["quorum"].plans[key]
        except (RuntimeError, KeyError):
            pairs, leading = planned.find(args, kwargs)
        if leading is not None and not args and not kwargs:
            services = []
            for provider in leading:
                services.append(provider())  # noqa: PERF401 - slower: a call of its own in 3.11
            return function(*services)
        for name, provider in injection.left(pairs, args) if args else pairs:
            if name not in kwargs:
                kwargs[name] = provider()
        return function(*args, **kwargs)

    return injected


class _Planned:
    """The plans of one function, each kept by its container.

    They are keyed weakly, so that neither a container nor a function made in a view is kept
    alive by the other.
    """

    def __init__(self, injection: Injection) -> None:
        self.injection = injection
        planned = self._containers = weakref.WeakSet[Any]()

        def forget(dead: weakref.ref[Any]) -> None:
            for container in list(planned):
                container.plans.pop(dead, None)

        self.key = weakref.ref(injection.function, forget)

    def find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Plan:
        """Return the plan for the running container, none for a call that is given everything."""
        try:
            container = current.container()
        except NotLoaded:
            if self.injection.needs(args, kwargs):
                raise
            return Plan((), None)
        plan: Plan | None = container.plans.get(self.key)
        if plan is None:
            plan = container.plans[self.key] = self.injection.plan(container)
            self._containers.add(container)
        return plan
