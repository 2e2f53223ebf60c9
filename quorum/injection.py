"""Injecting services into functions: `@inject` and `Provide[Container.mailer]`.

The markers and providers are dependency-injector's own. Its `inject` is not used: `wire()` is
one registry for the process, so that the second application takes over the views of the first.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, Protocol, TypeVar, get_args, get_origin

from dependency_injector import providers, wiring
from dependency_injector.wiring import ProvidersMap

from quorum import current
from quorum.annotations import evaluated
from quorum.errors import ConfigurationError

if TYPE_CHECKING:
    from dependency_injector.providers import Provider

    from quorum.containers import Container

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

if TYPE_CHECKING:

    class _Provide(Protocol):
        """What a type checker sees: the marker has the type of what will be injected."""

        def __getitem__(self, item: Provider[T]) -> T: ...

    class _ProvideByName(_Provide, Protocol):
        def __getitem__(self, item: Any) -> Any: ...

    Provide: _Provide
else:
    Provide = wiring.Provide

Plan = tuple[tuple[str, int, Callable[[], Any]], ...]


class Injection:
    """The markers of one function, found once."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.signature = inspect.signature(function)

    @functools.cached_property
    def markers(self) -> dict[str, Any]:
        """The marker of each injected parameter.

        Found late, when the names that string annotations use are all defined.
        """
        annotations = evaluated(self.function)
        found = {}
        for name, parameter in self.signature.parameters.items():
            annotation = annotations.get(name)
            extras = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
            for candidate in (parameter.default, *extras):
                if is_marker(candidate):
                    found[name] = candidate
                    break
        return found

    def plan(self, container: Container) -> Plan:
        """Return parameter, position and provider of each marker, bound to one container.

        Raises ConfigurationError for a marker that the container cannot resolve.
        """
        positions = {name: place for place, name in enumerate(self.signature.parameters)}
        return tuple(
            (name, self._position(name, positions), self._bound(name, marker, container))
            for name, marker in self.markers.items()
        )

    def _position(self, name: str, positions: dict[str, int]) -> int:
        keyword_only = self.signature.parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        return len(positions) + 1_000_000 if keyword_only else positions[name]

    def _bound(self, name: str, marker: Any, container: Container) -> Callable[[], Any]:
        provider = resolve(marker, container)
        if provider is None:
            raise ConfigurationError(
                f"{self.name}: parameter {name!r} asks for {describe(marker)}, which the "
                f"container does not have; it has {', '.join(container.providers)}"
            )
        return provider

    @property
    def name(self) -> str:
        """The function's module and qualified name."""
        return f"{self.function.__module__}.{self.function.__qualname__}"


def is_marker(candidate: object) -> bool:
    """Tell whether an object is a marker such as `Provide[…]`."""
    return isinstance(candidate, (wiring.Provide, wiring.Provider, wiring.Closing))


def resolve(marker: Any, container: Container) -> Provider[Any] | None:
    """Return the container's provider for a marker; None if it has none.

    A provider of a base class is found by its name in the subclass that replaced it.
    """
    asked = marker.provider
    if is_marker(asked):
        return resolve(asked, container)
    found: Provider[Any] | None = _map_of(container).resolve_provider(asked, marker.modifier)
    if isinstance(marker, wiring.Provider) and found is not None:
        return found.provider
    return found


class _Names(ProvidersMap):
    """Providers of every class in the container's ancestry, each to the one of that name."""

    def __init__(self, container: Container) -> None:
        # Not the stock map: it knows only the class itself, and fails on a provider added later.
        self._container = container
        self._map = {}
        for base in reversed(container.declarative_parent.__mro__):
            for name, original in getattr(base, "providers", {}).items():
                current = container.providers.get(name)
                if current is not None:
                    self._map[original] = current
                if isinstance(current, providers.Container):
                    self._map |= self._create_providers_map(
                        current_container=current.container,
                        original_container=original.container,
                    )
        self._map |= {provider: provider for provider in container.providers.values()}


def _map_of(container: Container) -> ProvidersMap:
    found = container.__dict__.get("provider_map")
    if found is None:
        found = container.__dict__["provider_map"] = _Names(container)
    return found


def describe(marker: Any) -> str:
    """Return a marker as its author wrote it, as far as that can be known."""
    asked = marker.provider
    if isinstance(asked, str):
        return f"{type(marker).__name__}[{asked!r}]"
    return f"{type(marker).__name__}[…] of {asked}"


def inject(function: Callable[P, R]) -> Callable[P, R]:
    """Give a function the services that its parameters are marked with.

    A parameter that the caller gives is left as given. Works on views, methods, commands and
    plain functions, above or below other decorators, before or after `load()`; a coroutine
    function stays one. Raises, at the call: NotLoaded if no container is running;
    ConfigurationError if a marker asks for what the container does not have.
    """
    injection = Injection(function)
    key = weakref.ref(function)
    running = current.container

    def prepare(container: Container) -> Plan:
        # Weakly keyed, so that neither a container nor a function made in a view is kept alive.
        plan = injection.plan(container)
        plans = weakref.ref(container)

        def forget(dead: weakref.ref[Any]) -> None:
            alive = plans()
            if alive is not None:
                alive.plans.pop(dead, None)

        container.plans[weakref.ref(function, forget)] = plan
        return plan

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            container = running()
            plan = container.plans.get(key)
            if plan is None:
                plan = prepare(container)
            given = len(args)
            for name, position, provider in plan:
                if name not in kwargs and position >= given:
                    kwargs[name] = provider()
            return await function(*args, **kwargs)  # type: ignore[misc]
    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            container = running()
            plan = container.plans.get(key)
            if plan is None:
                plan = prepare(container)
            given = len(args)
            for name, position, provider in plan:
                if name not in kwargs and position >= given:
                    kwargs[name] = provider()
            return function(*args, **kwargs)

    wrapper.__injection__ = injection  # type: ignore[attr-defined]
    return wrapper
