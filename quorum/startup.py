"""The check before the first view runs: every marker of every view, and every constructor."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from dependency_injector import providers, wiring
from flask import request_started

from quorum import current, graph
from quorum.annotations import evaluated, fits
from quorum.assembly import Assembly
from quorum.errors import ConfigurationError, Problem
from quorum.forks import ForkSafeLock
from quorum.injection import Injection, describe, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from flask import Flask

_DEEPEST = 8
_stock: Any = wiring._patched_registry  # noqa: SLF001 - covered by a contract test


class StartUp:
    """What happens once, before the first view of an application runs."""

    def __init__(self, app: Flask) -> None:
        self._done = False
        self._lock = ForkSafeLock()
        request_started.connect(self.run, app)

    def run(self, app: Flask, **_: Any) -> None:
        """Check the application, then call its `onrun` functions; later calls do nothing.

        Raises ConfigurationError, at every request until what is wrong is mended.
        """
        if self._done:
            return
        with self._lock:
            if self._done:
                return
            check(app)
            with app.app_context():
                for function in on_run:
                    function()
            self._done = True
            request_started.disconnect(self.run, app)

    def forget(self, app: Flask) -> None:
        """Let the application go on without the check."""
        request_started.disconnect(self.run, app)


on_run: list[Callable[[], Any]] = []


def check(app: Flask) -> None:
    """Look at every marker and every provider; build nothing.

    Raises ConfigurationError that lists every problem.
    """
    container = app.extensions["quorum"]
    wire_stock_inject(container)
    asked_for: list[Any] = []
    found: list[Problem] = []
    for endpoint, function in functions_of(app):
        for injection in injections_in(function):
            found += _markers(app, endpoint, injection, container, asked_for)
        found += _unbound(function)
    found += graph.problems(container, asked_for)
    if found:
        raise ConfigurationError(list(dict.fromkeys(found)))


def functions_of(app: Flask) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Give every function that Flask calls for an application, and the endpoint of a view."""
    for endpoint, view in app.view_functions.items():
        view_class = getattr(view, "view_class", None)
        if view_class is None:
            yield endpoint, view
            continue
        for name in ("dispatch_request", "get", "post", "put", "patch", "delete", "head"):
            method = getattr(view_class, name, None)
            if callable(method):
                yield endpoint, method
    for hooks in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        for functions in hooks.values():  # type: ignore[attr-defined]
            yield from (("", function) for function in functions)
    for command in app.cli.commands.values():
        if command.callback is not None:
            yield "", command.callback


def injections_in(function: Any, depth: int = 0) -> Iterator[Injection]:
    """Give the injections of a function and of what its decorators wrap, `wraps` or not."""
    own = vars(function).get("__injection__") if hasattr(function, "__dict__") else None
    if isinstance(own, Injection):
        yield own
        return
    if depth > _DEEPEST:
        return
    inner = getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)
    if inner is not None:
        yield from injections_in(inner, depth + 1)
        return
    for cell in getattr(function, "__closure__", None) or ():
        try:
            content = cell.cell_contents
        except ValueError:
            continue
        if callable(content) and not isinstance(content, type):
            yield from injections_in(content, depth + 1)


def _markers(
    app: Flask, endpoint: str, injection: Injection, container: Any, asked_for: list[Any]
) -> Iterator[Problem]:
    hints = evaluated(injection.function)
    from_url = {
        argument
        for rule in app.url_map.iter_rules()
        if rule.endpoint == endpoint
        for argument in rule.arguments
    }
    for name, marker in injection.markers.items():
        where = f"{injection.name}, parameter {name!r}"
        provider = resolve(marker, container)
        if isinstance(marker, wiring.Closing):
            yield Problem(where, "Closing closes what others still use; use quorum.PerRequest")
        elif provider is None:
            known = ", ".join(each for each in container.providers if each != "__self__")
            rule = f"asks for {describe(marker)}, which the container does not have; it has {known}"
            yield Problem(where, rule)
        else:
            asked_for.append(provider)
            offered = graph.provided_class(provider) if _is_plain(marker) else None
            if offered is not None and name in hints and not fits(offered, hints[name]):
                wanted = getattr(hints[name], "__name__", hints[name])
                rule = f"is a {wanted}, but {describe(marker)} gives a {offered.__name__}"
                yield Problem(where, rule)
        if name in from_url:
            rule = "is also a variable of the URL, which would take its place; rename one"
            yield Problem(where, rule)


def _is_plain(marker: Any) -> bool:
    return isinstance(marker, wiring.Provide) and marker.modifier is None


def _unbound(function: Any) -> Iterator[Problem]:
    patched = _stock.get_callable(function)
    if patched is None:
        return
    for name in patched.reference_injections.keys() - patched.injections.keys():
        yield Problem(
            f"{function.__module__}.{function.__qualname__}, parameter {name!r}",
            "is left unbound by dependency_injector's own inject; use quorum.inject",
        )


def wire_stock_inject(container: Any) -> None:
    """Bind the functions that carry dependency-injector's own `inject` to the running container."""
    modules = [module for module in list(sys.modules.values()) if _holds_stock_inject(module)]
    if not modules:
        return
    # A class's own markers are known to that class only, so each ancestor is wired in its turn.
    for base in reversed(container.declarative_parent.__mro__):
        if isinstance(base, type) and issubclass(base, Assembly) and base is not Assembly:
            _dispatcher(base).wire(modules=modules)


def _holds_stock_inject(module: ModuleType | None) -> bool:
    name = getattr(module, "__name__", "")
    if name.startswith(("dependency_injector", "quorum.")) or not hasattr(module, "__dict__"):
        return False
    return any(value is wiring.inject for value in list(vars(module).values()))


def _dispatcher(base: type[Assembly]) -> Any:
    dispatcher: Any = base()
    for name, provider in dispatcher.providers.items():
        provider.override(providers.Callable(functools.partial(_running, name)))
    return dispatcher


def _running(name: str) -> Any:
    return getattr(current.container(), name)()
