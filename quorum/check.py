"""The check of an application: every marker of every view, and every constructor."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from quorum import graph
from quorum.errors import ConfigurationError, Problem
from quorum.graph.annotations import fits
from quorum.injection.layers import injections_in, layers_of
from quorum.injection.markers import describe, is_plain, resolve
from quorum.injection.plans import Injection
from quorum.injection.stock import bind_stock_inject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask


def check(app: Flask) -> None:
    """Look at every marker and every provider; build nothing.

    Raises ConfigurationError that lists every problem.
    """
    container = app.extensions["quorum"]
    bind_stock_inject(container)
    asked_for: list[Any] = []
    found: list[Problem] = []
    for endpoint, function in functions_of(app):
        for injection in injections_in(function):
            found += _markers(app, endpoint, injection, container)
            found += _classes(injection, container, asked_for)
        found += _left_alone(function)
    found += graph.problems(container, asked_for)
    if found:
        raise ConfigurationError(list(dict.fromkeys(found)))


def functions_of(app: Flask) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Give every function that Flask calls for an application, and the endpoint of a view."""
    for endpoint, view in app.view_functions.items():
        yield endpoint, view
        view_class = getattr(view, "view_class", None)
        for _, method in inspect.getmembers(view_class, inspect.isroutine) if view_class else ():
            yield endpoint, method
    hooks: Any = (
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
        app.template_context_processors,
        app.url_value_preprocessors,
        app.url_default_functions,
        {None: app.teardown_appcontext_funcs},
        *({None: each.values()} for of in app.error_handler_spec.values() for each in of.values()),
    )
    for functions in (each for hook in hooks for each in hook.values()):
        yield from (("", function) for function in functions)
    yield from (("", callback) for callback in _callbacks(app.cli))
    yield from (("", function) for function in app.extensions["quorum.loaded"].execution.functions)


def _callbacks(command: click.Command) -> Iterator[Callable[..., Any]]:
    if command.callback is not None:
        yield command.callback
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _callbacks(each)


def _markers(app: Flask, endpoint: str, injection: Injection, container: Any) -> Iterator[Problem]:
    for name, rule in injection.problems(container):
        yield Problem(f"{injection.name}, parameter {name!r}", rule)
    from_url = {
        argument
        for rule in app.url_map.iter_rules()
        if rule.endpoint == endpoint
        for argument in rule.arguments
    }
    for name in injection.markers.keys() & from_url:
        rule = "is also a variable of the URL, which would take its place; rename one"
        yield Problem(f"{injection.name}, parameter {name!r}", rule)


def _classes(injection: Injection, container: Any, asked_for: list[Any]) -> Iterator[Problem]:
    for name, marker in injection.markers.items():
        provider = resolve(marker, container)
        if provider is None:
            continue
        asked_for.append(provider)
        for rule in graph.unknown_settings(provider):
            yield Problem(f"{injection.name}, parameter {name!r}", rule)
        offered = graph.provided_class(provider) if is_plain(marker) else None
        if offered is not None and not fits(offered, injection.hints.get(name, Any)):
            hint = injection.hints[name]
            hint = getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint
            wanted = getattr(hint, "__name__", hint)
            rule = f"is a {wanted}, but {describe(marker)} gives a {offered.__name__}"
            yield Problem(f"{injection.name}, parameter {name!r}", rule)


def _left_alone(function: Any) -> Iterator[Problem]:
    """Give the markers of a function that is called as it is: `inject` stands above its route."""
    layers = list(layers_of(function))
    if next(injections_in(function), None) is not None:
        return
    for layer in filter(inspect.isfunction, layers):
        injection = Injection(layer)
        for name in injection.markers:
            where = f"{injection.name}, parameter {name!r}"
            yield Problem(
                where, "has a marker and no inject; put @inject below the other decorators"
            )
        if injection.markers:
            return
