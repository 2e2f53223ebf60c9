"""Which services of a container are in use, and by which driver; nothing is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dependency_injector import providers

from quorum.choice import Choice
from quorum.graph.assembly import Entered, constructor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dependency_injector.providers import Provider


class Usage(NamedTuple):
    """A service that can be pinged: what gives it now, and whether it is in use.

    It is where it was built, where its settings name a server, and where a test put it there.
    """

    name: str
    provider: Provider[Any]
    driver: str
    used: bool


def usages(container: Any) -> Iterator[Usage]:
    """Give the services of a container, in the order in which it declares them.

    One in use that has no `ping` is among them where only its object could tell.
    """
    for name, declared in container.providers.items():
        provider = declared
        while provider.last_overriding is not None:
            provider = provider.last_overriding
        if isinstance(provider, providers.Object):
            if can_ping(provider.provides):
                yield Usage(name, provider, type(provider.provides).__name__, used=True)
        elif isinstance(provider, providers.BaseSingleton):
            driver, configured = _driver(container, name, declared, provider)
            used = configured or _is_built(provider, declared)
            if used or callable(getattr(_contract(declared), "ping", None)):
                yield Usage(name, provider, driver, used)


def can_ping(service: Any) -> bool:
    """Tell whether an object is a service that can be pinged."""
    return not isinstance(service, type) and callable(getattr(service, "ping", None))


def _driver(
    container: Any, name: str, declared: Provider[Any], provider: Provider[Any]
) -> tuple[str, bool]:
    """Return the name of the driver that serves, and whether the settings name a server."""
    target: Any = constructor(provider)
    if isinstance(target, Choice):
        group: Any = provider.args[0]  # type: ignore[attr-defined] # a singleton has them
        settings = group() if isinstance(group, providers.Provider) else group
        return settings.driver, _needs_server(settings)
    declaring: Any = constructor(declared)
    # A twin of `quorum.testing.fakes` is one of the drivers.
    drivers = declaring.drivers if isinstance(declaring, Choice) else {}
    names = [each for each, driver in drivers.items() if driver is target]
    # One of the application's own in the place of ours is set by the same settings.
    group = getattr(container.settings(), name, None) if provider is declared else None
    configured = group is not None and _needs_server(group)
    return (names or [getattr(target, "__name__", str(target))])[0], configured


def _needs_server(group: Any) -> bool:
    # A group of the application's own may be of another class, with a `driver` alone.
    return not getattr(group, "alone", getattr(group, "driver", "memory") == "memory")


def _contract(declared: Provider[Any]) -> Any:
    target: Any = constructor(declared)
    return target.contract if isinstance(target, Choice) else target


def _is_built(provider: Any, declared: Provider[Any]) -> bool:
    entered = provider.provides
    if not isinstance(entered, Entered):
        # An override is in no ledger; whoever put it there means it to be used.
        return provider is not declared
    return entered.name is None or entered.name in [name for name, _ in entered.ledger.entries]
