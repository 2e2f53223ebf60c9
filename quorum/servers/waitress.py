"""Waitress: the server of production, also on Windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import waitress

if TYPE_CHECKING:
    from flask import Flask


def serve(app: Flask, host: str, port: int, options: dict[str, Any]) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished first.

    `options` are Waitress's own arguments (https://docs.pylonsproject.org/projects/waitress/).
    """
    server = waitress.create_server(app, host=host, port=port, **options)
    try:
        server.run()
    finally:
        server.close()
