"""Objects per request: kept on `flask.g`, and closed as the request ends."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from flask import after_this_request, g, has_app_context, has_request_context

from quorum.current import active_app
from quorum.providers import PerRequest, Store, entered_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flask import Flask, Response


def request_store() -> Store:
    """Return the store of this application context; outside of one, that of `running`."""
    if not has_app_context():
        return entered_store()
    if "_quorum_store" not in g:
        g._quorum_store = Store()  # noqa: SLF001
        _close_at_the_end(active_app())
    return cast("Store", g._quorum_store)  # noqa: SLF001


# For every provider, not those of one container: a test may override with one of its own.
PerRequest.store = staticmethod(request_store)


def _close_at_the_end(app: Flask) -> None:
    # Put there by the first object: an application that has none does not pay at each request.
    if close_requests not in app.teardown_appcontext_funcs:
        app.teardown_appcontext_funcs.append(close_requests)
    if has_request_context():
        after_this_request(_close_after_stream)


def close_requests(error: BaseException | None) -> None:
    """Close the objects of this request, unless a response that streams still needs them.

    Teardown may run twice: the second time does nothing.
    """
    store = g.get("_quorum_store")
    if store is not None and (error is not None or "_quorum_streams" not in g):
        store.close(error)


def _close_after_stream(response: Response) -> Response:
    """Keep the objects of a streamed response open until it ends; Flask's teardown is before."""
    # In a context inside the request's own there may be objects, and none here.
    store = g.get("_quorum_store")
    # An error page looks streamed to werkzeug; what was asked for is over by then.
    streams = response.is_streamed and response.status_code < HTTPStatus.BAD_REQUEST
    if store is not None and streams and "_quorum_streams" not in g:
        g._quorum_streams = True  # noqa: SLF001
        stream: Any = response.response
        response.response = _until_its_end(stream, store)
        # For a stream that is never read, such as the answer to HEAD.
        response.call_on_close(store.close)
        response.call_on_close(getattr(stream, "close", lambda: None))
    return response


def _until_its_end(stream: Iterable[bytes], store: Store) -> Iterator[bytes]:
    try:
        yield from stream
    except BaseException as error:
        store.close(error)
        raise
    finally:
        store.close()
