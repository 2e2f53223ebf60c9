"""Building a container from its class: a copy of every provider, bound to what replaces it.

Stock dependency-injector gives a subclass that replaces a service two of them: the base's own
services keep the old one. Here every reference to a replaced provider is turned to the new one.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, cast

from dependency_injector import providers
from dependency_injector.containers import DeclarativeContainer, DynamicContainer
from dependency_injector.providers import Provider

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable
    from typing import Self

logger = logging.getLogger("quorum.container")


class Ledger:
    """The singletons of one container, in the order in which they were built."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Any]] = []

    def enter(self, name: str, service: Any) -> None:
        """Note a service that was just built; what it needs is in the ledger already."""
        self.entries.append((name, service))

    def close(self) -> None:
        """Close every service that has `close()`, the last built first; then forget all.

        A failure is logged under `quorum.container` and stops no other. A second call is a
        no-op.
        """
        while self.entries:
            name, service = self.entries.pop()
            close = getattr(service, "close", None)
            if callable(close):
                try:
                    close()
                except Exception:
                    logger.exception("%s could not be closed", name)


class Assembly(DeclarativeContainer):
    """A declarative container whose instances are rebound, ordered and closed as one."""

    if TYPE_CHECKING:
        ledger: Ledger
        plans: dict[weakref.ref[Any], Any]

    def __new__(cls, **overriding: Provider[Any] | Any) -> Self:
        container = DynamicContainer()
        container.declarative_parent = cls
        for name, provider in _copies(cls).items():
            container.set_provider(name, provider)
        container.ledger = Ledger()
        container.plans = {}
        names = {id(provider): name for name, provider in container.providers.items()}
        for node in providers.traverse(*container.providers.values()):
            _enter_when_built(names.get(id(node)), node, container.ledger)
        container.override_providers(**overriding)
        return cast("Self", container)


def _copies(cls: type[DeclarativeContainer]) -> dict[str, Provider[Any]]:
    """Copy the providers of a container class, with each reference to its final provider."""
    # dependency-injector's own wiring notes the container itself as a provider of its class.
    final = {name: each for name, each in cls.providers.items() if name != "__self__"}
    replaced = [
        (name, base.providers[name])
        for base in cls.__mro__
        if issubclass(base, DeclarativeContainer)
        for name in base.providers
        if name in final and final[name] is not base.providers[name]
    ]
    memo: dict[int, Any] = {}
    copies = providers.deepcopy(final, memo)
    old = providers.deepcopy([provider for _, provider in replaced], memo)
    swaps = {id(copy): copies[name] for (name, _), copy in zip(replaced, old, strict=True)}
    if swaps:
        _rebind(copies, swaps)
    return cast("dict[str, Provider[Any]]", copies)


def _rebind(copies: dict[str, Provider[Any]], swaps: dict[int, Provider[Any]]) -> None:
    nodes = list(providers.traverse(*copies.values()))
    keep = {id(node): node for node in nodes}
    for node in nodes:
        if any(id(related) in swaps for related in node.related):
            # What a provider replaces stays within its reach: a service may wrap the base's own.
            memo = keep | {old: new for old, new in swaps.items() if new is not node}
            _rewrite(node, memo)


def _rewrite(node: Any, memo: dict[int, Any]) -> None:
    """Set every argument of a provider again, with the providers that `memo` has for them."""
    for part in ("args", "kwargs", "attributes", "provides", "selector", "providers"):
        setter: Callable[..., Any] | None = getattr(node, f"set_{part}", None)
        value = getattr(node, part, None)
        if setter is None or not value:
            continue
        if isinstance(value, Provider):
            setter(memo.get(id(value), value))
        elif isinstance(value, tuple):
            setter(*providers.deepcopy(list(value), memo))
        elif isinstance(value, dict):
            setter(**providers.deepcopy(value, memo))


def _enter_when_built(name: str | None, provider: Provider[Any], ledger: Ledger) -> None:
    if isinstance(provider, providers.BaseSingleton) and callable(provider.provides):
        build = provider.provides

        @functools.wraps(build, updated=())
        def built(*args: Any, **kwargs: Any) -> Any:
            service = build(*args, **kwargs)
            ledger.enter(name or type(service).__name__, service)
            return service

        provider.set_provides(built)


def constructor(provider: Provider[Any]) -> Callable[..., Any] | None:
    """Return what a provider calls to build its object; None where it calls nothing."""
    found = getattr(provider, "provides", None)
    found = getattr(found, "__wrapped__", found) if isinstance(provider, _CALLING) else None
    return found if callable(found) else None


_CALLING = (providers.BaseSingleton, providers.Factory, providers.Callable)
