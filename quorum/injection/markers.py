"""Markers such as `Provide[Container.mailer]`: what they ask for, and who provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dependency_injector import providers, wiring
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.wiring import ProvidersMap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dependency_injector.providers import Provider

    from quorum.containers import Container

# The stubs know the markers as values, not as the classes that they are.
_MARKERS: tuple[Any, ...] = (wiring.Provide, wiring.Provider, wiring.Closing)
_GIVES_PROVIDER: Any = wiring.Provider


def is_marker(candidate: object) -> bool:
    """Tell whether an object is a marker such as `Provide[…]`."""
    return isinstance(candidate, _MARKERS)


def is_plain(marker: Any) -> bool:
    """Tell whether a marker asks for just what its provider gives."""
    return not isinstance(marker, _GIVES_PROVIDER) and marker.modifier is None


def resolve(marker: Any, container: Container) -> Provider[Any] | None:
    """Return the container's provider for a marker; None if it has none.

    A provider of a base class is found by its name in the subclass that replaced it.
    """
    asked = marker.provider
    if is_marker(asked):
        return resolve(asked, container)
    found: Provider[Any] | None = _map_of(container).resolve_provider(asked, marker.modifier)
    if not isinstance(found, providers.Provider):
        return None
    return found.provider if isinstance(marker, _GIVES_PROVIDER) else found


class _Names(ProvidersMap):
    """Providers of every class in the container's ancestry, each to the one of that name."""

    def __init__(self, container: Any) -> None:
        # Not the stock map: it knows only the class itself, and fails on a provider added later.
        self._container = container
        self._map: dict[Any, Any] = {each: each for each in container.providers.values()}
        for base in reversed(container.declarative_parent.__mro__):
            if issubclass(base, DeclarativeContainer):
                self._enter(base, container)

    def _enter(self, original: Any, final: Any) -> None:
        self._map[original.__self__] = final.__self__
        for name, provider in original.providers.items():
            by_name = final.providers.get(name)
            # Of two names for one provider, the one it had first is the one to follow.
            if by_name is not None:
                self._map.setdefault(provider, by_name)
            if isinstance(by_name, providers.Container) and isinstance(
                provider, providers.Container
            ):
                self._enter(provider.container, by_name.container)


def _map_of(container: Any) -> ProvidersMap:
    found: ProvidersMap | None = container.__dict__.get("provider_map")
    if found is None:
        found = container.__dict__["provider_map"] = _Names(container)
    return found


def names_of(container: Any) -> list[str]:
    """Return the names of a container's providers, in the order of its paragraphs."""
    return [name for name in container.providers if name != "__self__"]


def describe(marker: Any) -> str:
    """Return a marker as its author wrote it, as far as that can be known."""
    asked, path = marker.provider, ""
    if is_marker(asked):
        return f"{type(marker).__name__}[{describe(asked)}]"
    while isinstance(asked, (providers.AttributeGetter, providers.ItemGetter)):
        item = isinstance(asked, providers.ItemGetter)
        path = (f"[{asked.name!r}]" if item else f".{asked.name}") + path
        asked = asked.provides
    if isinstance(asked, providers.ProvidedInstance):
        asked, path = asked.provides, f".provided{path}"
    named = repr(asked) if isinstance(asked, str) else next(_written(asked), repr(asked))
    return f"{type(marker).__name__}[{named}{path}]"


def _written(provider: Any, among: Any = DeclarativeContainer) -> Iterator[str]:
    for each in among.__subclasses__():
        for name, own in each.cls_providers.items():
            if own is provider:
                yield f"{each.__name__}.{name}"
        yield from _written(provider, each)
