"""Looking at a container before anything is built: what is missing, unknown, wrong or circular."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

from dependency_injector import providers

from quorum.choice import Choice, Lazy
from quorum.errors import ConfigurationError, Problem
from quorum.graph.annotations import evaluated, fits
from quorum.graph.assembly import constructor
from quorum.providers import PerRequest
from quorum.settings import Group, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from dependency_injector.providers import Provider

_LINKS = (providers.ProvidedInstance, providers.AttributeGetter, providers.ItemGetter)
_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
_NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
_VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def provided_class(provider: Provider[Any]) -> type | None:
    """Return the class of what a provider gives, as far as it is declared; None if it is not."""
    if isinstance(provider, providers.Dependency):
        return cast("type", provider.instance_of)
    if provider.last_overriding is not None or providers.is_delegated(provider):
        return None
    if isinstance(provider, providers.Object):
        return type(provider.provides)
    if isinstance(provider, _LINKS):
        value = _setting(provider)
        return None if value is None else type(value)
    target: Any = constructor(provider)
    if isinstance(target, Choice):
        target = target.contract
    if inspect.isfunction(target):
        unknown = inspect.iscoroutinefunction(target) or isinstance(provider, PerRequest)
        target = None if unknown else evaluated(target).get("return")
    # What a context manager gives is what it is entered for, not itself.
    entered = isinstance(provider, PerRequest) and hasattr(target, "__enter__")
    return target if isinstance(target, type) and not entered else None


def problems(container: Any, asked_for: Collection[Provider[Any]]) -> list[Problem]:
    """Return all that is wrong with the providers of a container; nothing is built.

    `asked_for` are the providers that something injects: only these need an address where
    EMBEDDED=never, and only their drivers are imported to be looked at.
    """
    names = {id(provider): name for name, provider in container.providers.items()}
    wanted = {id(node) for asked in asked_for for node, _ in _walk(asked, "", names, set())}
    found = list(_cycles(container, names))
    seen: set[int] = set()
    for name, provider in container.providers.items():
        for node, owner in _walk(provider, name, names, seen):
            where = f"container.{owner}"
            try:
                found += _problems_of(where, node, wanted=id(node) in wanted)
            except ConfigurationError as error:
                own = Problem(where, str(error).removeprefix(f"{owner}: "))
                found += error.problems or [own]
    return found


def _walk(
    node: Provider[Any], owner: str, names: dict[int, str], seen: set[int]
) -> Iterator[tuple[Provider[Any], str]]:
    """Give a provider and all that it may lead to, each with the name it is written under."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node, owner
    for related in _overriding(node) or node.related:
        yield from _walk(related, names.get(id(related), owner), names, seen)


def _overriding(node: Provider[Any]) -> list[Provider[Any]]:
    # What is overridden is not called, so neither is what it needs.
    return [] if node.last_overriding is None else [node.last_overriding]


def _called_by(node: Provider[Any]) -> list[Provider[Any]]:
    """Return the providers that a provider calls; one that is handed over is not called."""
    if isinstance(node, (providers.Delegate, providers.Container, providers.Self)):
        return []
    related = _overriding(node) or node.related
    return [each for each in related if not providers.is_delegated(each)]


def _cycles(container: Any, names: dict[int, str]) -> Iterator[Problem]:
    done: set[int] = set()
    path: list[Provider[Any]] = []

    def visit(node: Provider[Any]) -> Iterator[Problem]:
        start = next((place for place, each in enumerate(path) if each is node), None)
        if start is not None:
            around = [names[id(each)] for each in path[start:] if id(each) in names] or ["?"]
            needs = " -> ".join([*around, around[0]])
            rule = f"needs itself: {needs}; give one of them the other's `.provider`"
            yield Problem(f"container.{around[0]}", rule)
        elif id(node) not in done:
            path.append(node)
            for related in _called_by(node):
                yield from visit(related)
            path.pop()
            done.add(id(node))

    for node in list(container.providers.values()):
        yield from visit(node)


def _problems_of(where: str, node: Any, *, wanted: bool) -> Iterator[Problem]:
    if node.last_overriding is not None:
        return
    if isinstance(node, providers.Dependency) and not node.is_defined:
        yield Problem(where, f"nothing was given; build the container with {where[10:]}=…")
    yield from (Problem(where, rule) for rule in unknown_settings(node))
    if isinstance(node, providers.BaseSingleton) and any(_per_request(node)):
        rule = "would keep the object of one request for all; give it the provider's `.provider`"
        yield Problem(where, rule)
    target: Any = constructor(node)
    given = {} if target is None else dict(node.kwargs)
    if isinstance(target, Choice):
        choice, target = target, _picked(target, node, wanted=wanted)
        serves = "memory" if target is choice.drivers.get("memory") else "another"
        given = choice.arguments(serves, given)
    if isinstance(target, Lazy):
        target = target.load() if wanted else None
        # What a driver refuses of its settings, without asking a server.
        check, group = getattr(target, "check_settings", None), _group(node)
        if check is not None and group is not None:
            check(group)
        # One that stands on the servers of others refuses their settings.
        check = getattr(target, "check_groups", None)
        if check is not None:
            held = {
                name: _setting(each)
                for name, each in given.items()
                if isinstance(each, providers.Provider)
            }
            check(**{name: each for name, each in held.items() if isinstance(each, Group)})
    if target is not None and not isinstance(target, providers.Provider):
        yield from _arguments(where, target, node.args, given)


def _per_request(node: Provider[Any]) -> Iterator[bool]:
    for called in _called_by(node):
        yield isinstance(called, PerRequest)
        if not isinstance(called, providers.BaseSingleton):
            yield from _per_request(called)


def unknown_settings(provider: Any) -> Iterator[str]:
    """Give what a chain such as `settings.provided.mailer.host` asks for and is not there."""
    while isinstance(provider, _LINKS):
        holder = _setting(provider.provides)
        name = provider.name if isinstance(provider, providers.AttributeGetter) else None
        if name is not None and holder is not None and not hasattr(holder, str(name)):
            yield f"asks the settings for {name!r}, which {_called(holder)} lacks"
        provider = provider.provides


def _setting(node: Any) -> Any:
    """Return what a chain such as `settings.provided.mailer` leads to; None if not settings."""
    root = node
    while isinstance(root, _LINKS):
        root = root.provides
    while root.last_overriding is not None:
        root = root.last_overriding
    if not isinstance(root, providers.Object) or not isinstance(root.provides, Settings):
        return None
    try:
        return node()
    except (AttributeError, LookupError, TypeError):
        return None


def _group(node: Any) -> Any:
    """Return the settings group that a driver is built with; None if it is not known yet."""
    group = next(iter(node.args), None)
    return _setting(group) if isinstance(group, providers.Provider) else group


def _picked(choice: Choice[Any], node: Any, *, wanted: bool) -> Callable[..., Any] | None:
    if not node.args:
        raise ConfigurationError("choose(…) needs the settings group as its first argument")
    group, embedded = _group(node), node.kwargs.get("embedded", "auto")
    embedded = _setting(embedded) if isinstance(embedded, providers.Provider) else embedded
    return choice.pick(group, embedded if wanted else "auto") if group is not None else None


def _arguments(where: str, target: Any, args: Any, kwargs: dict[str, Any]) -> Iterator[Problem]:
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError):
        # A class written in C may have no signature to look at.
        return
    parameters = list(signature.parameters.values())
    places = [each.name for each in parameters if each.kind in _POSITIONAL]
    yield from (
        Problem(where, f"{_called(target)} {rule}")
        for rule in _unmatched(parameters, places, args, kwargs)
    )
    hints = _hints(target)
    for argument, value in [*zip(places, args, strict=False), *kwargs.items()]:
        offered = provided_class(value) if isinstance(value, providers.Provider) else None
        if offered is not None and argument in hints and not fits(offered, hints[argument]):
            rule = f"takes {argument}: {_called(hints[argument])}, but is given {_called(offered)}"
            yield Problem(where, f"{_called(target)} {rule}")


def _unmatched(
    parameters: list[inspect.Parameter], places: list[str], args: Any, kwargs: dict[str, Any]
) -> Iterator[str]:
    kinds = {parameter.kind for parameter in parameters}
    known = {each.name for each in parameters if each.kind in _NAMED}
    for argument in kwargs:
        if argument not in known and inspect.Parameter.VAR_KEYWORD not in kinds:
            yield f"takes no argument {argument!r}"
        elif argument in known & {*places[: len(args)]}:
            yield f"is given the argument {argument!r} twice"
    if len(args) > len(places) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        yield f"takes {len(places)} positional arguments, {len(args)} are given"
    for each in parameters:
        filled = each.name in places[: len(args)] or each.name in kwargs
        if not filled and each.default is each.empty and each.kind not in _VARIABLE:
            yield f"needs the argument {each.name!r}, which nothing gives"


def _hints(target: Any) -> dict[str, Any]:
    if isinstance(target, type):
        return evaluated(vars(target).get("__init__") or getattr(target, "__init__", None))
    return evaluated(target if inspect.isroutine(target) else type(target).__call__)


def _called(thing: Any) -> str:
    named = thing if hasattr(thing, "__name__") or thing is None else type(thing)
    return str(thing if hasattr(thing, "__args__") else getattr(named, "__name__", thing))
