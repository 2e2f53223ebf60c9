"""Serving the loaded application: `run`."""

from __future__ import annotations

import functools
import logging
import os
import platform
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING

from quorum import current
from quorum.app import unload
from quorum.choice import lazy
from quorum.errors import ConfigurationError
from quorum.profiles.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

logger = logging.getLogger("quorum")

SERVERS = {
    "werkzeug": lazy("quorum.server.werkzeug:serve"),
    "waitress": lazy("quorum.server.waitress:serve"),
}


def run(server: str | None = None) -> None:
    """Check the loaded application, serve it until SIGTERM or Ctrl-C, then close its services.

    `server` is `werkzeug` or `waitress`, SERVER unless it is given; unset: Werkzeug in
    development (LEVEL below INFO), else Waitress. Listens on HOST and PORT. Under `flask run`,
    which serves by itself, this is a no-op. Raises NotLoaded without an application, and
    ConfigurationError for another server, an address that cannot be had, and all that the
    start-up check finds.
    """
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true":
        serve(current.get_app(), server)


def serve(
    app: Flask, server: str | None = None, *, host: str | None = None, port: int | None = None
) -> None:
    """Serve an application as `run` does, on another address if one is given."""
    settings = current.container_of(app).settings()
    name = _server(server or settings.server, development=settings.development)
    host, port = host or settings.host, settings.port if port is None else port
    if name == "werkzeug" and not is_loopback(host):
        raise ConfigurationError(
            f"Werkzeug's debugger, which runs what is typed into it, must not listen on {host}; "
            "set HOST=127.0.0.1, or SERVER=waitress"
        )
    try:
        app.extensions["quorum.loaded"].start_up.run(app)
        with (
            _interrupted_by_sigterm(),
            suppress(KeyboardInterrupt),
            _listen(host, port) as listening,
        ):
            place = f"[{host}]" if ":" in host else host
            address = f"http://{place}:{listening.getsockname()[1]}"
            ready = functools.partial(_begin, app, name, address)
            SERVERS[name](app, listening, settings.server_options, ready)
        logger.info("%s was stopped", settings.name)
    finally:
        unload(app)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; set HOST and PORT"
        ) from error


def _server(name: str, *, development: bool) -> str:
    if name == "auto":
        return "werkzeug" if development else "waitress"
    if name not in SERVERS:
        raise ConfigurationError(f"there is no server {name!r}; there are {', '.join(SERVERS)}")
    return name


def _begin(app: Flask, server: str, address: str) -> None:
    name = current.container_of(app).settings().name
    app.extensions["quorum.loaded"].execution.begin()
    versions = ", ".join(f"{each} {version(each)}" for each in ("quorum", "flask", server))
    logger.info("%s runs on %s (%s, Python %s)", name, address, versions, platform.python_version())


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
