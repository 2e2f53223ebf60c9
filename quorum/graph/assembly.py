"""Building a container from its class: a copy of every provider, bound to what replaces it.

Stock dependency-injector gives a subclass that replaces a service two of them: the base's own
services keep the old one. Here every reference to a replaced provider is turned to the new one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from dependency_injector import providers
from dependency_injector.containers import DeclarativeContainer, DynamicContainer
from dependency_injector.providers import Provider

from quorum.errors import ConfigurationError
from quorum.providers import quicken

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Iterator
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

        One whose `closes_first` is true goes before: what it runs still needs the others, however
        late these were built. A failure is logged under `quorum.container` and stops no other. A
        second call is a no-op.
        """
        # Sorted each time: while one closes, what it runs may build another.
        while self.entries:
            self.entries.sort(key=lambda entry: getattr(entry[1], "closes_first", False) is True)
            name, service = self.entries.pop()
            close = getattr(service, "close", None)
            if callable(close) and not isinstance(service, type):
                try:
                    close()
                except Exception:
                    logger.exception("%s could not be closed", name)


class Entered:
    """Builds a singleton with its own constructor, and enters it in the ledger."""

    def __init__(self, build: Callable[..., Any], name: str | None, ledger: Ledger) -> None:
        self.build = build
        self.name = name
        self.ledger = ledger

    def __repr__(self) -> str:
        return repr(self.build)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Build the service, and note it."""
        service = self.build(*args, **kwargs)
        if service is not None:
            self.ledger.enter(self.name or type(service).__name__, service)
        return service


class Assembly(DeclarativeContainer):
    """A declarative container whose instances are rebound, ordered and closed as one."""

    if TYPE_CHECKING:
        ledger: Ledger
        plans: dict[weakref.ref[Any], Any]

    def __new__(cls, **overriding: Provider[Any] | Any) -> Self:
        """Build a container; `overriding` gives providers or objects in the place of its own.

        Raises ConfigurationError for a name that the class does not have, and for an object of
        another class than it declares.
        """
        container: Any = DynamicContainer()
        container.declarative_parent = cls
        container.ledger = Ledger()
        container.plans = {}
        own_self, copies = _copies(cls)
        own_self.set_container(container)
        container.__self__ = own_self
        for base in _containers(cls):
            for name in base.__self__.alt_names:
                container.set_provider(name, own_self)
        for name, provider in copies.items():
            container.set_provider(name, provider)
        names = {id(provider): name for name, provider in copies.items()}
        for node in providers.traverse(*copies.values()):
            _enter_when_built(names.get(id(node)), node, container.ledger)
            quicken(node)
        _refuse(cls.__name__, copies, overriding)
        container.override_providers(**overriding)
        return cast("Self", container)


def _refuse(name: str, copies: dict[str, Provider[Any]], overriding: dict[str, Any]) -> None:
    unknown = overriding.keys() - copies.keys()
    if unknown:
        raise ConfigurationError(
            f"{name} has no {', '.join(sorted(unknown))}; it has {', '.join(copies)}"
        )
    for key, value in overriding.items():
        wanted = getattr(copies[key], "instance_of", object)
        if not isinstance(value, (Provider, wanted)):
            raise ConfigurationError(
                f"{name}({key}=…) takes {wanted.__name__}, not {type(value).__name__}"
            )


def _containers(cls: type) -> list[Any]:
    return [base for base in cls.__mro__ if issubclass(base, DeclarativeContainer)]


def _copies(cls: Any) -> tuple[providers.Self[Any], dict[str, Provider[Any]]]:
    """Copy the providers of a container class, with each reference to its final provider."""
    # `cls.providers` has the names, but of two bases the last wins there, not the first.
    final = {name: getattr(cls, name) for name in cls.providers if name != "__self__"}
    final = {name: each for name, each in final.items() if isinstance(each, Provider)}
    replaced = [
        (name, provider)
        for base in _containers(cls)
        for name, provider in base.cls_providers.items()
        if name in final and final[name] is not provider
    ]
    memo: dict[int, Any] = {}
    copies: dict[str, Provider[Any]] = providers.deepcopy(final, memo)
    own_self: providers.Self[Any] = providers.deepcopy(cls.__self__, memo)
    bases = [base.__self__ for base in _containers(cls)[1:]]
    old = providers.deepcopy([*bases, *(provider for _, provider in replaced)], memo)
    new = [own_self] * len(bases) + [copies[name] for name, _ in replaced]
    swaps = {id(before): after for before, after in zip(old, new, strict=True)}
    _rebind(copies, swaps)
    return own_self, copies


def _rebind(copies: dict[str, Provider[Any]], swaps: dict[int, Provider[Any]]) -> None:
    named = {id(copy) for copy in copies.values()} - swaps.keys()
    own = {id(new): {id(node) for node in _paragraph(new, named, swaps)} for new in swaps.values()}
    for node in list(providers.traverse(*copies.values())):

        def turned(value: Any, node: Provider[Any] = node) -> Any:
            new = swaps.get(id(value))
            return value if new is None or id(node) in own[id(new)] else new

        if any(turned(related) is not related for related in node.related):
            _rewrite(node, turned)


def _paragraph(
    new: Provider[Any], named: set[int], swaps: dict[int, Provider[Any]]
) -> Iterator[Provider[Any]]:
    """Give the provider that replaces another, with all that is written inside it.

    These keep what they replace within reach: a service may wrap the base's own.
    """
    waiting, seen = [new], {id(new)}
    while waiting:
        node = waiting.pop()
        yield node
        for related in node.related:
            foreign = id(related) in named or swaps.get(id(related), new) is not new
            if id(related) not in seen and not foreign:
                seen.add(id(related))
                waiting.append(related)


def _rewrite(node: Any, turned: Callable[[Any], Any]) -> None:
    """Set every reference of a provider again, each turned to the provider that is final."""
    for part in ("args", "kwargs", "attributes", "provides", "selector", "default", "providers"):
        # Of the type: an instance of some kinds answers any name with a provider.
        if not hasattr(type(node), f"set_{part}"):
            continue
        put, value = getattr(node, f"set_{part}"), getattr(node, part)
        if isinstance(value, tuple):
            put(*map(turned, value))
        elif isinstance(value, dict):
            values = {key: turned(each) for key, each in value.items()}
            if isinstance(node, (providers.Dict, providers.Aggregate)):
                put(values)
            else:
                put(**values)
        elif isinstance(value, Provider):
            put(turned(value))
    if node.overridden:
        overriding = node.overridden
        node.reset_override()
        for each in overriding:
            node.override(turned(each))


def _enter_when_built(name: str | None, provider: Provider[Any], ledger: Ledger) -> None:
    # What is kept for a thread or a context ends with it, and must not be kept alive here.
    if not isinstance(provider, (providers.Singleton, providers.ThreadSafeSingleton)):
        return
    build = constructor(provider)
    # A provider with a `provided_type` takes classes only.
    if build is not None and type(provider).provided_type is None:
        provider.set_provides(Entered(build, name, ledger))


def constructor(provider: Provider[Any]) -> Callable[..., Any] | None:
    """Return what a provider calls to build its object; None where it calls nothing."""
    if not isinstance(provider, _CALLING):
        return None
    found: Any = provider.provides
    return found.build if isinstance(found, Entered) else cast("Callable[..., Any]", found)


_CALLING = (providers.BaseSingleton, providers.Factory, providers.Callable)
