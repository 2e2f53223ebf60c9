"""Waitress: the server of production, also on Windows."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from waitress.server import create_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask


def serve(
    app: Flask,
    host: str,
    port: int,
    options: dict[str, Any],
    ready: Callable[[str, int], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished first.

    Calls `ready` with the address once it listens there. `options` are Waitress's own arguments (https://docs.pylonsproject.org/projects/waitress/).
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Ours, as Waitress leaves its own socket open where it cannot listen.
    with socket.create_server((host, port), family=family) as listening:
        server = create_server(app, sockets=[listening], **options)
        try:
            ready(host, listening.getsockname()[1])
            server.run()
        finally:
            server.close()
