"""Waitress: the server of production."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from waitress.server import create_server

from quorum.errors import ConfigurationError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from flask import Flask


def serve(
    app: Flask, listening: socket.socket, options: dict[str, Any], ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way have five seconds to finish.

    `options` are Waitress's own arguments (https://docs.pylonsproject.org/projects/waitress/).
    Raises ConfigurationError for one that it refuses.
    """
    try:
        server = create_server(app, sockets=[listening], **options)
    except ValueError as error:
        raise ConfigurationError(f"Waitress refuses {error}; mend SERVER_<X>") from error
    try:
        ready()
        server.run()
    finally:
        server.close()
