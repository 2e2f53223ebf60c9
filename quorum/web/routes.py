"""The routes that Quorum adds to an application, and where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import has_request_context, request

from quorum.current import active_app
from quorum.web import health, storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

# A rule with a converter stands behind the application's own: `/health/live` of an app wins.
ROUTES: dict[str, tuple[str, Callable[..., Any], tuple[str, ...]]] = {
    "quorum.health": ("/health/<any(live, ready):probe>", health.answer, ("GET",)),
    "quorum.storage": ("/_quorum/storage/<path:name>", storage.serve, ("GET", "PUT")),
}


def add_routes(app: Flask) -> None:
    """Add them, also to an application that served already; once, however often it is loaded."""
    for endpoint, (rule, view, methods) in ROUTES.items():
        if endpoint not in app.view_functions:
            app.view_functions[endpoint] = view
            app.url_map.add(app.url_rule_class(rule, endpoint=endpoint, methods=methods))


def locator(app: Flask, base_url: str | None) -> Callable[[str], str]:
    """Return what makes a path of an application a URL.

    It is under BASE_URL; else where the request came in, SCRIPT_NAME and all; else, outside of a
    request of this application, under SERVER_NAME. Without that it stays a path, under
    APPLICATION_ROOT.
    """

    def locate(path: str) -> str:
        return _root(app, base_url).rstrip("/") + path

    return locate


def _root(app: Flask, base_url: str | None) -> str:
    if base_url:
        return base_url
    if has_request_context() and active_app() is app:
        return request.root_url
    server, root = app.config["SERVER_NAME"], app.config["APPLICATION_ROOT"]
    return f"{app.config['PREFERRED_URL_SCHEME']}://{server}{root}" if server else str(root)
