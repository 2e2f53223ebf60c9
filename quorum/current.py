"""Which application and which container are running."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, cast

from flask import current_app, has_app_context
from werkzeug.local import LocalProxy

from quorum.errors import NotLoaded
from quorum.providers import Store, entered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from quorum.containers import Container

_NOT_LOADED = (
    "no application is loaded: call quorum.load() first, or work inside "
    "`with app.app_context()` or `with quorum.running(container)`"
)
_container: ContextVar[Container | None] = ContextVar("quorum_container", default=None)

# Documented by Flask for this use. Bound once, since looking it up costs ten times the call.
active_app: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined] # noqa: SLF001 - as above


def _none() -> Flask | None:
    return None


_loaded: Callable[[], Flask | None] = _none


def loaded_app() -> Flask | None:
    """Return the application that `load()` made or was given last; None if there is none."""
    return _loaded()


def set_loaded(reference: Callable[[], Flask | None]) -> None:
    """Remember the loaded application, by a reference that may or may not keep it alive."""
    global _loaded  # noqa: PLW0603 - one loaded application a process, as documented
    _loaded = reference


def has_context() -> bool:
    """Tell whether a Flask application context is active."""
    return has_app_context()


def get_app() -> Flask:
    """Return the active Flask application, else the loaded one. Raises NotLoaded."""
    return active_app() if has_app_context() else _loaded_or_raise()


def container_of(app: Flask) -> Container:
    """Return the container of an application. Raises NotLoaded if it has none."""
    found = app.extensions.get("quorum")
    if found is None:
        raise NotLoaded(f"the application {app.name!r} is not loaded; call quorum.load(app=app)")
    return cast("Container", found)


def container() -> Container:
    """Return the running container.

    It is that of the active Flask application; else the one entered by `running`; else the
    loaded application's. Raises NotLoaded if there is none.
    """
    found = active_app().extensions.get("quorum") if has_app_context() else None
    if found is None:
        found = _container.get()
    if found is None:
        found = _loaded_or_raise().extensions.get("quorum")
    if found is None:
        raise NotLoaded(_NOT_LOADED)
    return cast("Container", found)


@contextmanager
def running(container: Container) -> Iterator[Container]:
    """Make a container the running one in this block, outside of any Flask application.

    Objects per request live as long as the block, and are closed at its end with its exception
    if there was one. The container itself stays open.
    """
    store = Store()
    container_token, store_token = _container.set(container), entered.set(store)
    error: BaseException | None = None
    try:
        yield container
    except BaseException as raised:
        error = raised
        raise
    finally:
        try:
            store.close(error)
        finally:
            entered.reset(store_token)
            _container.reset(container_token)


def _loaded_or_raise() -> Flask:
    app = _loaded()
    if app is None:
        raise NotLoaded(_NOT_LOADED)
    return app


APP: Flask = cast("Flask", LocalProxy(_loaded_or_raise, unbound_message=_NOT_LOADED))
