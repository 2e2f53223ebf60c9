"""Rendering templates where no application lends its own: Jinja on `templates/`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jinja2

from quorum.errors import Rejected

_MARKUP = (".html", ".htm", ".xml", ".xhtml", ".svg")


def escapes(name: str | None) -> bool:
    """Tell whether a template's values are escaped: markup is, with or without a last `.tpl`."""
    return name is None or name.lower().removesuffix(".tpl").endswith(_MARKUP)


def render_with(environment: jinja2.Environment, template: str, context: dict[str, Any]) -> str:
    """Render a template of a Jinja environment.

    Raises Rejected for one that is not there, cannot be read or is not well formed, naming it;
    what its own code raises goes through.
    """
    try:
        return _template(environment, template).render(context)
    except jinja2.TemplateNotFound as error:
        raise Rejected(
            "mailer", f"there is no template {error.name!r}; create it in the templates folder"
        ) from error
    except jinja2.TemplateSyntaxError as error:
        raise Rejected(
            "mailer",
            f"the template {error.name!r} is wrong on line {error.lineno}: {error.message}",
        ) from error


def _template(environment: jinja2.Environment, name: str) -> jinja2.Template:
    try:
        return environment.get_template(name)
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, jinja2.TemplateNotFound):
            raise
        raise Rejected(
            "mailer", f"the template {name!r} cannot be read; it must be a readable file in UTF-8"
        ) from error


class Templates:
    """The templates of a folder, `templates` in the working directory unless told otherwise."""

    def __init__(self, folder: str | Path = "templates") -> None:
        self._folder = Path(folder)
        # Jinja's cache of templates has a lock, which a fork could leave shut.
        self._environments: dict[int, jinja2.Environment] = {}

    def __call__(self, template: str, context: dict[str, Any]) -> str:
        return render_with(self._environment(), template, context)

    def _environment(self) -> jinja2.Environment:
        process = os.getpid()
        if process not in self._environments:
            loader = jinja2.FileSystemLoader(self._folder)
            self._environments = {process: jinja2.Environment(loader=loader, autoescape=escapes)}  # noqa: S701 - escapes() decides by the name
        return self._environments[process]
