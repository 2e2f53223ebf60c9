"""The routes that Quorum adds to an application, and where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import has_request_context, request

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
    """Return what makes a path a URL: under BASE_URL, else under the host of the request.

    Outside of a request, and without BASE_URL, it stays a path.
    """

    def locate(path: str) -> str:
        root = base_url or (request.root_url if has_request_context() else "")
        return root.rstrip("/") + path

    return locate
