"""Loading an application: `load`, `init_app`, `unload`."""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from flask import Flask

from quorum import current, loading, web
from quorum.errors import ConfigurationError
from quorum.execution import Execution
from quorum.services.files import exit_on_sigterm
from quorum.services.logs import LogSetup
from quorum.startup import StartUp, on_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import ModuleType

    from quorum.containers import Container
    from quorum.settings import Settings

F = TypeVar("F", bound=Flask)
C = TypeVar("C", bound="Callable[..., Any]")


class Quorum(Flask):
    """A Flask application that `load()` made, with its container."""

    container: Container


class _Loaded:
    """What `load` did to one application, so that `unload` can undo it."""

    def __init__(
        self, arguments: dict[str, Any], log: LogSetup, start_up: StartUp, execution: Execution
    ) -> None:
        self.arguments = arguments
        self.log = log
        self.start_up = start_up
        self.execution = execution


@overload
def load(app: None = None, name: str | None = None, **arguments: Any) -> Quorum: ...
@overload
def load(app: F, name: str | None = None, **arguments: Any) -> F: ...
def load(
    app: Flask | None = None,
    name: str | None = None,
    locales: Sequence[str] = ("en_us",),
    secret_key: str | bytes | None = None,
    execution: bool = True,
    redis_session: bool = False,
    mongo_database: str | None = None,
    logger: str | None = None,
    models: ModuleType | None = None,
    safe: bool = False,
    *,
    instance: str | None = None,
    settings: Settings | type[Settings] | None = None,
    container: type[Container] | None = None,
    config_path: str | Path | None = None,
    **kwargs: Any,
) -> Flask:
    """Load Quorum into an application and return it: the given one, or a new one.

    `name` is what Flask takes as import name, the caller's module if it is not given. `settings`
    is an instance or a subclass of Settings, `container` a subclass of Container; further
    keywords go into `app.config`. `config_path` is the folder of the profiles: `config` in the
    working directory, else beside the application.

    Background work begins here, or where a command begins to serve: the functions under
    `background`, and schedules. With `execution=False` none ever does in this process; what is
    submitted runs.

    Without `app`, a second call returns the application that is loaded. Raises
    ConfigurationError if its arguments differ from the first, and if the configuration has
    problems, and Rejected for a function under `background` that cannot run; then nothing is
    loaded.
    """
    arguments = {key: value for key, value in locals().items() if key not in {"app", "kwargs"}}
    loading.check_types(app, arguments)
    arguments |= kwargs
    if app is None:
        loaded = current.loaded_app()
        if loaded is not None:
            _require_same(loaded, arguments)
            return loaded
        app = Quorum(name or sys._getframe(1).f_globals.get("__name__", "__main__"))  # noqa: SLF001
        _attach(app, arguments, kwargs)
        made = app
        current.set_loaded(lambda: made)
    else:
        _attach(app, arguments, kwargs)
        if not isinstance(current.loaded_app(), Quorum):
            # The application is its owner's: Quorum does not keep it alive.
            current.set_loaded(weakref.ref(app))
    _begin(app)
    return app


def _begin(app: Flask) -> None:
    try:
        app.extensions["quorum.loaded"].execution.load(app.extensions["quorum"])
    except BaseException:
        unload(app)
        raise


def init_app(app: F, **arguments: Any) -> F:
    """Load Quorum into an application, as Flask's extensions do; takes what `load` takes."""
    return load(app, **arguments)


_DEFAULTS = {
    name: parameter.default for name, parameter in inspect.signature(load).parameters.items()
}


def _require_same(app: Flask, arguments: dict[str, Any]) -> None:
    before = app.extensions["quorum.loaded"].arguments
    differing = [
        key
        for key, value in arguments.items()
        if value != _DEFAULTS.get(key) and value != before.get(key)
    ]
    if differing:
        raise ConfigurationError(
            f"load() was called again with another {', '.join(differing)}: "
            "the application is loaded already; call unload() first, or give load() an app"
        )


def _attach(app: Flask, arguments: dict[str, Any], config: dict[str, Any]) -> None:
    if "quorum" in app.extensions:
        raise ConfigurationError(f"{app.name} is loaded already; call unload(app) first")
    settings = loading.settings_for(app, arguments)
    execution = Execution(allowed=arguments["execution"])
    made = loading.container_for(app, settings, arguments["container"], execution)
    log = LogSetup((app.name, arguments["logger"] or app.name, "quorum"), settings.level)
    app.config.update(config)
    if settings.secret_key is not None:
        app.secret_key = arguments["secret_key"] or settings.secret_key.get_secret_value()
    if settings.data_path is not None:
        exit_on_sigterm()
    web.escape_tpl(app)
    web.add_routes(app)
    app.extensions["quorum"] = made
    app.container = made  # type: ignore[attr-defined]
    app.extensions["quorum.loaded"] = _Loaded(arguments, log, StartUp(app), execution)


def unload(app: Flask | None = None) -> None:
    """Close every service of the loaded application, or of the given one, and let go of it.

    What `load` did to the log is undone. Without a loaded application this is a no-op.
    """
    loaded = current.loaded_app()
    app = app or loaded
    if app is None or "quorum" not in app.extensions:
        return
    made, kept = app.extensions["quorum"], app.extensions["quorum.loaded"]
    # First of all: the handlers of messages that end meanwhile are still injected.
    made.ledger.close()
    app.extensions.pop("quorum", None)
    app.extensions.pop("quorum.loaded", None)
    if loaded is app:
        current.set_loaded(lambda: None)
    kept.start_up.forget(app)
    made.plans.clear()
    del app.container  # type: ignore[attr-defined]
    kept.log.undo()


def ensure_context(function: C) -> C:
    """Run a function inside an application context, that of the loaded application if none is.

    A coroutine function stays one. Raises NotLoaded, at the call, if there is no application.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _context():
            return function(*args, **kwargs)

    @functools.wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with _context():
            return await function(*args, **kwargs)

    return cast("C", coroutine if inspect.iscoroutinefunction(function) else wrapper)


def _context() -> AbstractContextManager[object]:
    return nullcontext() if current.has_context() else current.get_app().app_context()


def onrun(function: C) -> C:
    """Have a function called once in each application, in its context, before its first view.

    One that raises is called again at the next request; those before it are not. A function
    given after the first request of an application is not called in that one. Within
    `quorum.testing.fakes` all are called anew, for the twins.
    """
    if function not in on_run:
        on_run.append(function)
    return function
