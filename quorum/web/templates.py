"""The application's own templates, for its pages and its mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import current_app, has_app_context

from quorum.services.templates import escapes, render_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask


def escape_tpl(app: Flask) -> None:
    """Escape values in templates such as `index.html.tpl` as Flask does in `index.html`."""
    own = app.select_jinja_autoescape

    def select(name: str | None) -> bool:
        return escapes(name) or own(name or "")

    if "jinja_env" in vars(app):
        # What the application chose for itself stays, as it does below.
        if app.jinja_env.autoescape == own:
            app.jinja_env.autoescape = select
    else:
        app.jinja_options = {"autoescape": select} | app.jinja_options


def renderer(app: Flask) -> Callable[[str, dict[str, Any]], str]:
    """Return what renders a template of the application, with its context processors."""

    def render(template: str, context: dict[str, Any]) -> str:
        if has_app_context() and current_app == app:
            return _render(app, template, context)
        with app.app_context():
            return _render(app, template, context)

    return render


def _render(app: Flask, template: str, context: dict[str, Any]) -> str:
    context = dict(context)
    app.update_template_context(context)
    return render_with(app.jinja_env, template, context)
