"""The check before the first view runs: every marker of every view, and every constructor."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from flask import has_request_context, request, request_started

from quorum import graph
from quorum.errors import ConfigurationError, Problem
from quorum.forks import ForkSafeLock
from quorum.graph.annotations import fits
from quorum.injection.markers import describe, is_plain, resolve
from quorum.injection.plans import Injection
from quorum.injection.stock import bind_stock_inject, stock_injection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

logger = logging.getLogger("quorum")

_DEEPEST = 8


class StartUp:
    """What happens once, before the first view of an application runs."""

    def __init__(self, app: Flask) -> None:
        self._done = False
        self._called = 0
        self._within: int | None = None
        self._failed: Exception | None = None
        self._aside: threading.Thread | None = None
        self._lock = ForkSafeLock()
        request_started.connect(self.run, app)

    def run(self, app: Flask, **_: Any) -> None:
        """Check the application, then call its `onrun` functions; later calls do nothing.

        Raises ConfigurationError, at every request until what is wrong is mended.
        """
        if not self._done and not _asks_after_health():
            failed = self._failed
            with self._lock:
                if self._failed is not failed and self._failed is not None:
                    # Who waited while another thread tried shares its answer, not its wait.
                    raise self._failed
                self._run_once(app)

    def ready(self, app: Flask, within: float) -> bool:
        """Begin it beside, if nobody has, and tell whether it is done within so many seconds.

        What it raises is logged.
        """
        if not self._done:
            if self._aside is None or not self._aside.is_alive():
                self._aside = threading.Thread(
                    target=self._try, args=(app,), name="quorum-start-up", daemon=True
                )
                self._aside.start()
            self._aside.join(within)
        return self._done

    def _try(self, app: Flask) -> None:
        try:
            self.run(app)
        except Exception:
            logger.exception("%s is not ready", app.name)

    def _run_once(self, app: Flask) -> None:
        # An `onrun` function may itself make a request; a forked child may not have this thread.
        if self._done or self._within == threading.get_ident():
            return
        self._within = threading.get_ident()
        try:
            check(app)
            with app.app_context():
                while self._called < len(on_run):
                    on_run[self._called]()
                    self._called += 1
        except Exception as error:
            self._failed = error
            raise
        finally:
            self._within = None
        self._done, self._failed = True, None
        # Without the sender: with it, the signal goes on looking the receiver up.
        request_started.disconnect(self.run)

    @contextmanager
    def again(self, app: Flask) -> Iterator[None]:
        """Have the first request within do it anew; afterwards all is as it was."""
        kept = self._done, self._called
        self._done, self._called = False, 0
        request_started.connect(self.run, app)
        try:
            yield
        finally:
            self._done, self._called = kept
            if self._done:
                request_started.disconnect(self.run, app)
            else:
                request_started.connect(self.run, app)

    def forget(self, app: Flask) -> None:
        """Let the application go on without the check."""
        request_started.disconnect(self.run, app)


def _asks_after_health() -> bool:
    # The answer is owed while an `onrun` function takes its time.
    return has_request_context() and request.endpoint == "quorum.health"


on_run: list[Callable[[], Any]] = []


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


def _layers(function: Any, depth: int = 0) -> Iterator[Any]:
    """Give a function and what its decorators wrap, with `functools.wraps` or without."""
    yield function
    if depth > _DEEPEST or _injection_of(function) is not None:
        return
    inner = getattr(function, "__func__", None) or getattr(function, "__wrapped__", None)
    inner = function.func if isinstance(function, functools.partial) else inner
    if inner is not None:
        yield from _layers(inner, depth + 1)
        return
    for cell in getattr(function, "__closure__", None) or ():
        try:
            content = cell.cell_contents
        except ValueError:
            continue
        if inspect.isroutine(content):
            yield from _layers(content, depth + 1)


def _injection_of(layer: Any) -> Injection | None:
    own = getattr(layer, "__injection__", None)
    # `functools.wraps` copies it to the decorators above, which are no injection.
    return own if own is not None and layer.__wrapped__ is own.function else None


def injections_in(function: Any) -> Iterator[Injection]:
    """Give the injections of a function and of what its decorators wrap, stock ones too."""
    for layer in _layers(function):
        injection = _injection_of(layer) or stock_injection(layer)
        if injection is not None:
            yield injection


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
    layers = list(_layers(function))
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
