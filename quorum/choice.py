"""Naming a driver without importing it: `lazy`; picking one when it is first needed: `choose`."""

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

FOR_TWINS = frozenset({"data_path", "locate"})
"""Arguments of a provider that are given to an embedded twin and to no other driver."""

# A fork while a module is being imported leaves that module locked in the child for ever
# (importlib's lock per module has no fork handler), so a fork waits for our imports to end.
_importing = threading.RLock()
os.register_at_fork(
    before=_importing.acquire,
    after_in_parent=_importing.release,
    after_in_child=_importing.release,
)


class Group(Protocol):
    """What `choose` asks of a settings group."""

    @property
    def noun(self) -> str:
        """The service that it sets."""

    @property
    def driver(self) -> str:
        """The driver that it names."""

    @property
    def address_names(self) -> tuple[str, ...]:
        """The variables that would give the service an address."""


class Lazy:
    """A class known by its import path, imported when it is first called."""

    def __init__(self, path: str, extra: str | None = None) -> None:
        self.path = path
        self.extra = extra
        self._module, _, self._name = path.partition(":")
        if not self._module or not self._name:
            raise ConfigurationError(f"lazy({path!r}) names no class: write 'package.module:Class'")

    def __repr__(self) -> str:
        return f"lazy({self.path!r})"

    def load(self) -> type:
        """Import the module and return the class.

        Raises MissingExtra when the module needs a library that is not installed, and
        ConfigurationError when there is no such module or class.
        """
        with _importing:
            try:
                found = importlib.import_module(self._module)
            except ModuleNotFoundError as error:
                raise self._missing(error) from error
        try:
            loaded: type = getattr(found, self._name)
        except AttributeError as error:
            raise ConfigurationError(
                f"{self}: {self._module} has no {self._name!r}; mend the name"
            ) from error
        return loaded

    def _missing(self, error: ModuleNotFoundError) -> ConfigurationError:
        missing = error.name or str(error)
        if f"{self._module}.".startswith(f"{missing}."):
            return ConfigurationError(f"{self}: there is no module {missing!r}; mend the name")
        package = f"'quorum[{self.extra}]'" if self.extra else missing.partition(".")[0]
        return MissingExtra(
            f"{self.path} needs {missing}, which is not installed: run `pip install {package}`"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Import the class, and build one."""
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

    def pick(self, group: Group, embedded: str) -> Callable[..., C]:
        """Return the driver that the group names, building nothing.

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
        return self.drivers[name]

    def __call__(self, group: Group, *args: Any, embedded: str = "auto", **kwargs: Any) -> C:
        """Build the driver; a twin says so once in the log. Raises as `pick` does."""
        driver = self.pick(group, embedded)
        if group.driver == "memory":
            kept = "in this process only" if kwargs.get("data_path") is None else "out of DATA_PATH"
            # Whoever gave a key without an address meant another than the twin.
            level = logging.WARNING if getattr(group, "has_secrets", False) else logging.INFO
            logging.getLogger(f"quorum.{group.noun}").log(
                level,
                "%s is not set: the embedded twin serves, %s",
                " or ".join(group.address_names),
                kept,
            )
        return driver(group, *args, **self.arguments(group.driver, kwargs))

    @staticmethod
    def arguments(driver: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return what of a provider's keyword arguments a driver takes."""
        taken = frozenset() if driver == "memory" else FOR_TWINS
        return {name: value for name, value in given.items() if name not in {*taken, "embedded"}}


def choose(contract: Callable[..., C], /, **drivers: Callable[..., C]) -> Choice[C]:
    """Declare the drivers of a contract: `choose(Mailer, memory=MemoryMailer, smtp=lazy("…"))`.

    The first argument that the provider passes is the settings group; its `driver` names the
    one to build. `memory` is the embedded twin, which `quorum.testing.fakes` builds in tests; it
    alone is given `data_path` and `locate`, where the provider has them.
    """
    return Choice(contract, drivers)
