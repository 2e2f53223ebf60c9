"""Rendering templates where no application lends its own: Jinja on `templates/`."""

from __future__ import annotations

from functools import cached_property
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

    Raises Rejected for one that is not there or is not well formed, naming it; what its own
    code raises goes through.
    """
    try:
        return environment.get_template(template).render(context)
    except jinja2.TemplateNotFound as error:
        raise Rejected(
            "mailer", f"there is no template {error.name!r}; create it in the templates folder"
        ) from error
    except jinja2.TemplateSyntaxError as error:
        raise Rejected(
            "mailer",
            f"the template {error.name!r} is wrong on line {error.lineno}: {error.message}",
        ) from error


class Templates:
    """The templates of a folder, `templates` in the working directory unless told otherwise."""

    def __init__(self, folder: str | Path = "templates") -> None:
        self._folder = Path(folder)

    @cached_property
    def _environment(self) -> jinja2.Environment:
        return jinja2.Environment(loader=jinja2.FileSystemLoader(self._folder), autoescape=escapes)

    def __call__(self, template: str, context: dict[str, Any]) -> str:
        return render_with(self._environment, template, context)
