"""Objects per request: kept on `flask.g`, and closed when the application context ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from dependency_injector import providers
from flask import g, has_app_context

from quorum.providers import PerRequest, Store, entered_store

if TYPE_CHECKING:
    from flask import Flask


def request_store() -> Store:
    """Return the store of this application context; outside of one, that of `running`."""
    if not has_app_context():
        return entered_store()
    if "_quorum_store" not in g:
        g._quorum_store = Store()  # noqa: SLF001
    return cast("Store", g._quorum_store)  # noqa: SLF001


def close_requests(error: BaseException | None) -> None:
    """Close the objects of this request. Teardown may run twice: the second time does nothing."""
    store = g.pop("_quorum_store", None)
    if store is not None:
        store.close(error)


def supply(container: Any) -> None:
    """Let the providers of a container keep their objects per request on `flask.g`."""
    for provider in providers.traverse(*container.providers.values(), types=[PerRequest]):
        provider.store = request_store


def init_app(app: Flask, container: Any) -> None:
    """Keep and close the objects per request of an application."""
    supply(container)
    app.teardown_appcontext(close_requests)
