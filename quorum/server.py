"""Serving the loaded application: `run`."""

from __future__ import annotations

import logging
import os
import platform
import signal
import threading
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from quorum import current
from quorum.app import unload
from quorum.choice import lazy
from quorum.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

logger = logging.getLogger("quorum")

SERVERS = {
    "werkzeug": lazy("quorum.servers.werkzeug:serve"),
    "waitress": lazy("quorum.servers.waitress:serve"),
}


def run(server: str | None = None) -> None:
    """Check the loaded application, serve it until SIGTERM or Ctrl-C, then close its services.

    `server` is `werkzeug` or `waitress`, SERVER unless it is given; unset: Werkzeug in
    development (LEVEL below INFO), else Waitress. Listens on HOST and PORT. Under `flask run`,
    which serves by itself, this is a no-op. Raises NotLoaded without an application, and
    ConfigurationError for another server and for all that the start-up check finds.
    """
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        return
    app = current.get_app()
    settings = app.extensions["quorum"].settings()
    name = _server(server or settings.server, development=settings.development)
    app.extensions["quorum.loaded"].start_up.run(app)
    _log_versions(app, settings, name)
    try:
        with _interrupted_by_sigterm():
            SERVERS[name](app, settings.host, settings.port, settings.server_options)
    except KeyboardInterrupt:
        logger.info("stopped")
    finally:
        unload(app)


def _server(name: str, *, development: bool) -> str:
    if name == "auto":
        return "werkzeug" if development else "waitress"
    if name not in SERVERS:
        raise ConfigurationError(f"there is no server {name!r}; there are {', '.join(SERVERS)}")
    return name


def _log_versions(app: Flask, settings: Any, server: str) -> None:
    names = ["quorum", "flask", server]
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    logger.info(
        "%s runs on http://%s:%d (%s, Python %s)",
        settings.name,
        settings.host,
        settings.port,
        versions,
        platform.python_version(),
    )
    del app


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, where signals can be caught at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
