"""Loading an application: `load`, `init_app`, `unload`."""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from contextlib import nullcontext
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from dependency_injector import providers
from flask import Flask
from pydantic import SecretStr

from quorum import current, web
from quorum.containers import Container
from quorum.errors import ConfigurationError
from quorum.services.files import exit_on_sigterm
from quorum.services.logs import LogSetup
from quorum.settings import Settings
from quorum.startup import StartUp, on_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import ModuleType

F = TypeVar("F", bound=Flask)
C = TypeVar("C", bound="Callable[..., Any]")


class Quorum(Flask):
    """A Flask application that `load()` made, with its container."""

    container: Container


class _Loaded:
    """What `load` did to one application, so that `unload` can undo it."""

    def __init__(self, arguments: dict[str, Any], log: LogSetup, start_up: StartUp) -> None:
        self.arguments = arguments
        self.log = log
        self.start_up = start_up


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

    Without `app`, a second call returns the application that is loaded. Raises
    ConfigurationError if its arguments differ from the first, and if the configuration has
    problems; then nothing is loaded.
    """
    arguments = {key: value for key, value in locals().items() if key not in {"app", "kwargs"}}
    _check_types(app, arguments)
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
    return app


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
    settings = _settings(app, arguments)
    made = _container(app, settings, arguments["container"])
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
    app.extensions["quorum.loaded"] = _Loaded(arguments, log, StartUp(app))


def _check_types(app: Any, arguments: dict[str, Any]) -> None:
    if not isinstance(app, (Flask, type(None))):
        raise ConfigurationError("load(app=…) takes a Flask application")
    for name in ("name", "logger", "instance", "mongo_database", "config_path", "secret_key"):
        kinds = {"config_path": (str, PathLike), "secret_key": (str, bytes)}.get(name, (str,))
        if not isinstance(arguments[name], (*kinds, type(None))):
            wanted = " or ".join(each.__name__ for each in kinds)
            raise ConfigurationError(f"load({name}=…) takes {wanted}")


def _settings(app: Flask, arguments: dict[str, Any]) -> Settings:
    given, secret_key = arguments["settings"], arguments["secret_key"]
    if isinstance(secret_key, bytes):
        # Settings are text; the application itself gets the bytes.
        secret_key = secret_key.decode("latin-1")
    if isinstance(given, Settings):
        return _completed(given, app, secret_key, arguments)
    if given is not None and not (isinstance(given, type) and issubclass(given, Settings)):
        raise ConfigurationError("load(settings=…) takes Settings: an instance or a subclass")
    overriding = {"secret_key": secret_key, "instance": arguments["instance"]}
    defaults = {"name": app.name, "mongo.database": arguments["mongo_database"]}
    return (given or Settings)(
        _config_path=arguments["config_path"],
        _root=None if arguments["config_path"] else web.project_folder(app),
        _defaults={name: value for name, value in defaults.items() if value is not None},
        **{name: value for name, value in overriding.items() if value is not None},
    )


def _completed(
    settings: Settings, app: Flask, secret_key: str | None, arguments: dict[str, Any]
) -> Settings:
    """Return settings with what `load` knows better, or knows at all."""
    if arguments["instance"] not in {None, settings.instance} or arguments["config_path"]:
        raise ConfigurationError(
            "load(settings=…) was given settings that are read already: give instance and "
            "config_path where they are made, or give load() the class"
        )
    changes: dict[str, Any] = {}
    if secret_key is not None:
        changes["secret_key"] = SecretStr(secret_key)
    if "name" not in settings.origins:
        changes["name"] = f"{app.name}-{settings.instance}" if settings.instance else app.name
    if arguments["mongo_database"] is not None and settings.mongo.database is None:
        mongo = settings.mongo.model_copy(update={"database": arguments["mongo_database"]})
        changes["mongo"] = mongo
    return settings.model_copy(update=changes) if changes else settings


def _container(app: Flask, settings: Settings, given: Any) -> Container:
    if given is not None and not (isinstance(given, type) and issubclass(given, Container)):
        raise ConfigurationError("load(container=…) takes a subclass of quorum.Container")
    return (given or Container)(
        settings=settings,
        render=providers.Object(web.renderer(app)),
        locate=providers.Object(web.locator(app, settings.base_url)),
    )


def unload(app: Flask | None = None) -> None:
    """Close every service of the loaded application, or of the given one, and let go of it.

    What `load` did to the log is undone. Without a loaded application this is a no-op.
    """
    loaded = current.loaded_app()
    app = app or loaded
    if app is None or "quorum" not in app.extensions:
        return
    made = app.extensions.pop("quorum")
    kept: _Loaded = app.extensions.pop("quorum.loaded")
    if loaded is app:
        current.set_loaded(lambda: None)
    kept.start_up.forget(app)
    made.ledger.close()
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
    given after the first request of an application is not called in that one.
    """
    if function not in on_run:
        on_run.append(function)
    return function
