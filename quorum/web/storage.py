"""The signed URLs of the embedded storage, served by the application."""

from __future__ import annotations

from flask import abort
from flask.typing import ResponseReturnValue


def serve(name: str) -> ResponseReturnValue:
    """Give an object to whoever has its signed URL, or store what they put."""
    abort(404, name)
