"""Werkzeug: the server of development, with its debugger."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from werkzeug.debug import DebuggedApplication
from werkzeug.serving import make_server

from quorum.errors import ConfigurationError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from flask import Flask

_WORDS = {"true": True, "false": False}


def serve(
    app: Flask, listening: socket.socket, options: dict[str, Any], ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or Ctrl-C, with the debugger.

    `options` are arguments of Werkzeug's `make_server`. Raises ConfigurationError for one that
    it does not have.
    """
    unknown = options.keys() - inspect.signature(make_server).parameters.keys()
    if unknown:
        names = ", ".join(sorted(f"SERVER_{name.upper()}" for name in unknown))
        raise ConfigurationError(f"Werkzeug has no option for {names}; leave it out")
    app.debug = True
    host, port = listening.getsockname()[:2]
    given = {"threaded": True} | {name: _typed(value) for name, value in options.items()}
    debugged = DebuggedApplication(app, evalex=True)
    server = make_server(host, port, debugged, fd=listening.fileno(), **given)
    ready()
    server.log_startup()
    server.serve_forever()


def _typed(value: str) -> Any:
    lower = value.lower()
    return _WORDS.get(lower, int(value) if lower.isdecimal() else value)
