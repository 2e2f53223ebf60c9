"""What the arguments of `load` make: the settings of an application, and its container."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from dependency_injector import providers
from flask import Flask
from pydantic import SecretStr

from quorum import web
from quorum.containers import Container
from quorum.errors import ConfigurationError
from quorum.settings import Settings

if TYPE_CHECKING:
    from quorum.execution import Execution


def check_types(app: Any, arguments: dict[str, Any]) -> None:
    """Raise ConfigurationError for an argument of a type that it cannot have."""
    if not isinstance(app, (Flask, type(None))):
        raise ConfigurationError("load(app=…) takes a Flask application")
    for name in ("name", "logger", "instance", "mongo_database", "config_path", "secret_key"):
        kinds = {"config_path": (str, PathLike), "secret_key": (str, bytes)}.get(name, (str,))
        if not isinstance(arguments[name], (*kinds, type(None))):
            wanted = " or ".join(each.__name__ for each in kinds)
            raise ConfigurationError(f"load({name}=…) takes {wanted}")


def settings_for(app: Flask, arguments: dict[str, Any]) -> Settings:
    """Return the settings that an application is loaded with: those given, or those read.

    Raises ConfigurationError where they have problems.
    """
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


def container_for(app: Flask, settings: Settings, given: Any, execution: Execution) -> Container:
    """Return the container of an application: of the class given, or of our own.

    Raises ConfigurationError where `given` is no such class.
    """
    if given is not None and not (isinstance(given, type) and issubclass(given, Container)):
        raise ConfigurationError("load(container=…) takes a subclass of quorum.Container")
    return (given or Container)(
        settings=settings,
        render=providers.Object(web.renderer(app)),
        scope=providers.Object(app.app_context),
        locate=providers.Object(web.locator(app, settings.base_url)),
        execution=providers.Callable(lambda: execution.begun),
    )
