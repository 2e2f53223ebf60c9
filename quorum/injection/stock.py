"""Functions that carry dependency-injector's own `inject`, bound to the running container.

`wire()` would bind them to one container for good, and look through every module that has any.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from dependency_injector import providers, wiring

from quorum import current
from quorum.errors import ConfigurationError
from quorum.injection.markers import describe, resolve
from quorum.injection.plans import Injection

if TYPE_CHECKING:
    from quorum.containers import Container

_registry: Any = wiring._patched_registry  # noqa: SLF001 - covered by a contract test


def stock_injection(function: Any) -> Injection | None:
    """Return the markers of a function that carries the stock `inject`; None if it does not.

    What another container was wired to is not among them: it is that one's business.
    """
    patched = _registry.get_callable(function) if inspect.isroutine(function) else None
    if patched is None:
        return None
    injection = Injection(patched.original)
    for name, provider in patched.injections.items():
        if not _is_ours(provider):
            injection.markers.pop(name, None)
    return injection


def bind_stock_inject(container: Container) -> None:
    """Bind each marker that a container resolves to whichever container runs at the call.

    What is decorated later stays unbound until the next call.
    """
    for patched in list(_registry._callables.values()):  # noqa: SLF001 - as above
        for name, marker in patched.reference_injections.items():
            # A name may be that of a provider of another container, which is wired to it.
            taken = isinstance(marker.provider, str) and name in patched.injections
            if not taken and resolve(marker, container) is not None:
                running = providers.Callable(_provide, providers.Object(marker))
                patched.add_injection(name, running)


def _is_ours(provider: Any) -> bool:
    return isinstance(provider, providers.Callable) and provider.provides is _provide


def _provide(marker: Any) -> Any:
    provider = resolve(marker, current.container())
    if provider is None:
        raise ConfigurationError(
            f"{describe(marker)} is asked for, which the running container does not have"
        )
    return provider()
