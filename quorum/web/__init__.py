"""The glue between Flask and the services."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.web import requests
from quorum.web.requests import supply
from quorum.web.templates import escape_tpl, renderer

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["init_app", "project_folder", "renderer", "supply"]


def init_app(app: Flask, container: Any) -> None:
    """Teach an application what its services need of it."""
    escape_tpl(app)
    requests.init_app(app, container)


def project_folder(app: Flask) -> Path:
    """Return where the settings are: the working directory, unless only the application has any."""
    here, beside = Path.cwd(), Path(app.root_path)
    return beside if not (here / "config").is_dir() and (beside / "config").is_dir() else here
