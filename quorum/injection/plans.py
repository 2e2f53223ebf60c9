"""The markers of one function, found once, and what they come to in one container."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast, get_args, get_origin

from dependency_injector import wiring

from quorum.errors import ConfigurationError
from quorum.graph.annotations import evaluated
from quorum.injection.markers import describe, is_marker, names_of, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dependency_injector.providers import Provider

    from quorum.containers import Container

_CLOSING: Any = wiring.Closing

Pairs = tuple[tuple[str, Callable[[], Any]], ...]


class Plan(NamedTuple):
    """What a function is injected with, bound to one container.

    `leading` are the providers by themselves, where their parameters are the first of all and
    can so be given by position, which is the quicker way.
    """

    pairs: Pairs
    leading: tuple[Callable[[], Any], ...] | None


class Injection:
    """The markers of one function, found once."""

    def __init__(
        self, function: Callable[..., Any], around: Mapping[str, Any] | None = None
    ) -> None:
        self.function = function
        self.signature = inspect.signature(function)
        self.places = [
            name
            for name, parameter in self.signature.parameters.items()
            if parameter.kind <= parameter.POSITIONAL_OR_KEYWORD
        ]
        texts = [text for text in _annotations(function).values() if isinstance(text, str)]
        self._around = _named_in(texts, around or {})
        self._hints: dict[str, Any] | None = None
        self._markers: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The function's module and qualified name."""
        name = getattr(self.function, "__qualname__", None) or repr(self.function)
        return f"{getattr(self.function, '__module__', '?')}.{name}"

    @property
    def hints(self) -> dict[str, Any]:
        """The annotations whose names are defined. Found late, when all that can be are."""
        # Not a cached_property, which has a lock in Python 3.11 that a fork could leave shut.
        if self._hints is None:
            self._hints = evaluated(self.function, self._around)
        return self._hints

    @property
    def markers(self) -> dict[str, Any]:
        """The marker of each injected parameter."""
        if self._markers is None:
            self._markers = self._find_markers()
        return self._markers

    def _find_markers(self) -> dict[str, Any]:
        found = {}
        for name, parameter in self.signature.parameters.items():
            hint = self.hints.get(name)
            extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
            marker = next((each for each in (parameter.default, *extras) if is_marker(each)), None)
            if marker is not None:
                found[name] = marker
        return found

    def problems(self, container: Container) -> list[tuple[str, str]]:
        """Return what is wrong with the function's markers: the parameter, and a sentence."""
        found = []
        for name, marker in self.markers.items():
            if self.signature.parameters[name].kind is inspect.Parameter.POSITIONAL_ONLY:
                found.append((name, "is positional-only, and cannot be injected; move the `/`"))
            if isinstance(marker, _CLOSING):
                found.append((name, "Closing closes what others still use; use quorum.PerRequest"))
            elif resolve(marker, container) is None:
                has = ", ".join(names_of(container))
                rule = f"asks for {describe(marker)}, which the container does not have; it has"
                found.append((name, f"{rule} {has}"))
        for name, text in _annotations(self.function).items():
            if isinstance(text, str) and "Provide[" in text and name not in self.hints:
                rule = f"has the annotation {text}, whose names are not all defined where it is"
                found.append((name, f"{rule}; write `= Provide[…]`"))
        return found

    def plan(self, container: Container) -> Plan:
        """Return what the function is injected with in one container.

        Raises ConfigurationError for a marker that the container cannot resolve.
        """
        for name, rule in self.problems(container):
            raise ConfigurationError(f"{self.name}: parameter {name!r} {rule}")
        pairs = tuple(
            (name, cast("Provider[Any]", resolve(marker, container)))
            for name, marker in self.markers.items()
        )
        leading = list(self.markers) == self.places[: len(pairs)]
        # A decorator may take what Flask gives a view, and that is keywords alone.
        bare = inspect.isfunction(self.function) and not hasattr(self.function, "__wrapped__")
        return Plan(pairs, tuple(each for _, each in pairs) if leading and bare else None)

    def left(self, pairs: Pairs, args: tuple[Any, ...]) -> Pairs:
        """Return what is left to be injected when these arguments are given by position."""
        given = self.places[: len(args)]
        return tuple(each for each in pairs if each[0] not in given)

    def needs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Tell whether a call with these arguments leaves anything to be injected."""
        given = self.signature.bind_partial(*args, **kwargs).arguments
        return any(name not in given for name in self.markers)


def _annotations(function: Any) -> dict[str, Any]:
    return getattr(function, "__annotations__", None) or {}


def _named_in(texts: list[str], around: Mapping[str, Any]) -> dict[str, Any]:
    """Return those local names that string annotations use, so that no frame is kept alive."""
    found: dict[str, Any] = {}
    for text in texts:
        try:
            names = compile(text, "<annotation>", "eval").co_names
        except SyntaxError:
            continue
        found |= {name: around[name] for name in names if name in around}
    return found
