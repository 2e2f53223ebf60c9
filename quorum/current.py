"""Which application and which container are running."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from flask import current_app, has_app_context
from werkzeug.local import LocalProxy

from quorum.errors import NotLoaded
from quorum.providers import Store, entered

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Iterator

    from flask import Flask

    from quorum.containers import Container

_NOT_LOADED = (
    "no application is loaded: call quorum.load() first, or work inside "
    "`with app.app_context()` or `with quorum.running(container)`"
)
_container: ContextVar[Container | None] = ContextVar("quorum_container", default=None)
_loaded: Callable[[], Flask | None] | weakref.ref[Flask] = lambda: None


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
    if has_app_context():
        return cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined] # noqa: SLF001 - documented by Flask for this use
    app = _loaded()
    if app is None:
        raise NotLoaded(_NOT_LOADED)
    return app


def container() -> Container:
    """Return the running container.

    It is that of the active Flask application; else the one entered by `running`; else the
    loaded application's. Raises NotLoaded if there is none.
    """
    if has_app_context():
        found = current_app._get_current_object().extensions.get("quorum")  # type: ignore[attr-defined] # noqa: SLF001
        if found is not None:
            return cast("Container", found)
    entered_container = _container.get()
    if entered_container is not None:
        return entered_container
    app = _loaded()
    if app is None or "quorum" not in app.extensions:
        raise NotLoaded(_NOT_LOADED)
    return cast("Container", app.extensions["quorum"])


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
        store.close(error)
        entered.reset(store_token)
        _container.reset(container_token)


def _loaded_or_raise() -> Flask:
    app = _loaded()
    if app is None:
        raise NotLoaded(_NOT_LOADED)
    return app


def _unbound(*_: Any) -> bool:
    return False


APP: Flask = cast("Flask", LocalProxy(_loaded_or_raise, unbound_message=_NOT_LOADED))
