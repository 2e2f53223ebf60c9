"""Naming a driver without importing it (`lazy`), and picking one when it is first needed (`choose`)."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from quorum.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C")

# A fork while a module is being imported leaves that module locked in the child for ever
# (importlib's lock per module has no fork handler), so a fork waits for our imports to end.
_importing = threading.RLock()
os.register_at_fork(
    before=_importing.acquire,
    after_in_parent=_importing.release,
    after_in_child=_importing.release,
)


class Group(Protocol):
    """What `choose` asks of a settings group: which noun it sets, and which driver it names."""

    @property
    def noun(self) -> str: ...
    @property
    def driver(self) -> str: ...
    @property
    def address_names(self) -> tuple[str, ...]: ...


class Lazy:
    """A class known by its import path, imported when it is first called."""

    def __init__(self, path: str, extra: str | None = None) -> None:
        self.path = path
        self.extra = extra

    def __repr__(self) -> str:
        return f"lazy({self.path!r})"

    def load(self) -> type:
        """Import the module and return the class.

        Raises MissingExtra when the module needs a library that is not installed.
        """
        module, _, name = self.path.partition(":")
        with _importing:
            try:
                found = importlib.import_module(module)
            except ModuleNotFoundError as error:
                if self.extra is None:
                    raise
                raise MissingExtra(
                    f"{self.path} needs {error.name}, which is not installed: "
                    f"run `pip install 'quorum[{self.extra}]'`"
                ) from error
        loaded: type = getattr(found, name)
        return loaded

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.load()(*args, **kwargs)


def lazy(path: str, *, extra: str | None = None) -> Callable[..., Any]:
    """Name a class as `"package.module:Class"`; it is imported when first built.

    `extra` is the extra of Quorum that installs what the module needs, named when it is missing.
    """
    return Lazy(path, extra)


class Choice(Generic[C]):
    """Build the driver that the settings group names."""

    def __init__(self, contract: Callable[..., C], drivers: dict[str, Callable[..., C]]) -> None:
        self.contract = contract
        self.drivers = drivers

    def __repr__(self) -> str:
        return f"choose({getattr(self.contract, '__name__', self.contract)}, {self.drivers})"

    def pick(self, group: Group, embedded: str) -> tuple[str, Callable[..., C]]:
        """Return the name of the driver and the driver, building nothing.

        Raises ConfigurationError for a driver that was not declared, and for the embedded twin
        where `embedded` is "never".
        """
        name = group.driver
        if name not in self.drivers:
            raise ConfigurationError(
                f"{group.noun}: there is no driver {name!r}; there are {', '.join(self.drivers)}"
            )
        if name == "memory" and embedded == "never":
            raise ConfigurationError(
                f"{group.noun}: no address is set and EMBEDDED=never forbids the embedded twin; "
                f"set {' or '.join(group.address_names)}"
            )
        return name, self.drivers[name]

    def __call__(self, group: Group, *args: Any, embedded: str = "auto", **kwargs: Any) -> C:
        name, driver = self.pick(group, embedded)
        if name == "memory":
            logging.getLogger(f"quorum.{group.noun}").info(
                "%s is not set: the embedded twin serves, in this process only",
                " or ".join(group.address_names),
            )
        return driver(group, *args, **kwargs)


def choose(contract: Callable[..., C], /, **drivers: Callable[..., C]) -> Choice[C]:
    """Declare the drivers of a contract: `choose(Mailer, memory=MemoryMailer, smtp=lazy("…"))`.

    The first argument that the provider passes is the settings group; its `driver` names the
    one to build. `memory` is the embedded twin, which `quorum.testing.fakes` builds in tests.
    """
    return Choice(contract, drivers)
