"""Looking at a container before anything is built: what is missing, unknown, wrong or circular."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from dependency_injector import providers

from quorum.annotations import evaluated, fits
from quorum.assembly import constructor
from quorum.choice import Choice, Lazy
from quorum.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from dependency_injector.providers import Provider

_LINKS = (providers.ProvidedInstance, providers.AttributeGetter, providers.ItemGetter)


def provided_class(provider: Provider[Any]) -> type | None:
    """Return the class of what a provider gives, as far as it is declared; None if it is not."""
    if provider.overridden:
        return None
    if isinstance(provider, providers.Dependency):
        found: type = provider.instance_of
        return found
    if isinstance(provider, providers.Object):
        return type(provider.provides)
    target: Any = constructor(provider)
    if isinstance(target, Choice):
        target = target.contract
    if inspect.isfunction(target):
        target = evaluated(target).get("return")
        target = type(None) if target is None else target
        return target if isinstance(target, type) and target is not type(None) else None
    return target if isinstance(target, type) else None


def problems(container: Any, asked_for: Collection[Provider[Any]]) -> list[Problem]:
    """Return all that is wrong with the providers of a container; nothing is built.

    `asked_for` are the providers that something injects: only these need an address where
    EMBEDDED=never.
    """
    names = {id(provider): name for name, provider in container.providers.items()}
    wanted = {id(node) for node in providers.traverse(*asked_for)}
    cycles = list(_cycles(container, names))
    if cycles:
        return cycles
    found: list[Problem] = []
    for node in _in_order(container):
        name = names.get(id(node), type(node).__name__)
        if isinstance(node, providers.Dependency) and not node.is_defined:
            rule = f"nothing was given; build the container with {name}=…"
            found.append(Problem(f"container.{name}", rule))
        try:
            found += _arguments(f"container.{name}", node, wanted=id(node) in wanted)
        except ConfigurationError as error:
            found.append(Problem(f"container.{name}", str(error)))
    return found


def _in_order(container: Any) -> Iterator[Provider[Any]]:
    seen: set[int] = set()

    def visit(node: Provider[Any]) -> Iterator[Provider[Any]]:
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            for related in node.related:
                yield from visit(related)

    for node in list(container.providers.values()):
        if not isinstance(node, providers.Self):
            yield from visit(node)


def _cycles(container: Any, names: dict[int, str]) -> Iterator[Problem]:
    done: set[int] = set()
    path: list[Provider[Any]] = []

    def visit(node: Provider[Any]) -> Iterator[Problem]:
        if any(node is each for each in path):
            start = next(place for place, each in enumerate(path) if each is node)
            around = [names[id(each)] for each in [*path[start:], node] if id(each) in names]
            rule = f"needs itself: {' -> '.join(around)}; let one of them ask for the other later"
            yield Problem(f"container.{around[0] if around else '?'}", rule)
        elif id(node) not in done:
            path.append(node)
            for related in node.related:
                yield from visit(related)
            path.pop()
            done.add(id(node))

    for node in list(container.providers.values()):
        if not isinstance(node, providers.Self):
            yield from visit(node)


def _arguments(name: str, node: Any, *, wanted: bool) -> Iterator[Problem]:
    target: Any = constructor(node)
    given = dict(node.kwargs) if target is not None else {}
    if isinstance(target, Choice):
        target = _picked(target, node, wanted=wanted)
        given.pop("embedded", None)
    if isinstance(target, Lazy):
        target = target.load()
    if target is None:
        return
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError):
        # A class written in C may have no signature to look at.
        return
    yield from _unmatched(name, target, signature, node.args, given)
    hints = evaluated(target.__init__ if isinstance(target, type) else target)
    for argument, value in _bound(signature, node.args, given):
        offered = provided_class(value) if isinstance(value, providers.Provider) else None
        if offered is not None and argument in hints and not fits(offered, hints[argument]):
            rule = (
                f"{_called(target)} takes {argument}: {_called(hints[argument])}, "
                f"but is given {_called(offered)}"
            )
            yield Problem(name, rule)


def _picked(choice: Choice[Any], node: Any, *, wanted: bool) -> Callable[..., Any] | None:
    group, embedded = node.args[0], node.kwargs.get("embedded", "auto")
    if isinstance(group, providers.Provider):
        root = group
        while isinstance(root, _LINKS):
            root = root.provides
        if isinstance(root, providers.Dependency) and not root.is_defined:
            return None
        group = group()
    if isinstance(embedded, providers.Provider):
        embedded = embedded()
    return choice.pick(group, embedded if wanted else "auto")[1]


def _unmatched(
    name: str, target: Any, signature: inspect.Signature, args: Any, kwargs: dict[str, Any]
) -> Iterator[Problem]:
    parameters = list(signature.parameters.values())
    kinds = {parameter.kind for parameter in parameters}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        known = {each.name for each in parameters if each.kind is not each.POSITIONAL_ONLY}
        for argument in kwargs.keys() - known:
            yield Problem(name, f"{_called(target)} takes no argument {argument!r}")
    plain = [each for each in parameters if each.kind in _POSITIONAL]
    if len(args) > len(plain) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        rule = f"{_called(target)} takes {len(plain)} positional arguments, {len(args)} are given"
        yield Problem(name, rule)
    by_place = {each.name for each in plain[: len(args)]}
    for each in parameters:
        if each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD} or each.default is not each.empty:
            continue
        if each.name not in by_place and each.name not in kwargs:
            rule = f"{_called(target)} needs the argument {each.name!r}, which nothing gives"
            yield Problem(name, rule)


_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


def _bound(
    signature: inspect.Signature, args: Any, kwargs: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    plain = [each.name for each in signature.parameters.values() if each.kind in _POSITIONAL]
    yield from zip(plain, args, strict=False)
    yield from kwargs.items()


def _called(thing: Any) -> str:
    return str(getattr(thing, "__name__", thing))
