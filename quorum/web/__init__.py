"""The glue between Flask and the services."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from quorum.web.requests import request_store
from quorum.web.routes import add_routes, locator
from quorum.web.templates import escape_tpl, renderer

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["add_routes", "escape_tpl", "locator", "project_folder", "renderer", "request_store"]


def project_folder(app: Flask) -> Path:
    """Return where the settings are: the working directory, unless only the application has any."""
    here, beside = Path.cwd(), Path(app.root_path)
    return beside if not (here / "config").is_dir() and (beside / "config").is_dir() else here
