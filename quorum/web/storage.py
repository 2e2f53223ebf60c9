"""The signed URLs of the embedded storage, served by the application."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Response, abort, request
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wsgi import FileWrapper

from quorum import current
from quorum.errors import ConfigurationError, NotFound, Rejected, Unavailable

if TYPE_CHECKING:
    from typing import IO, BinaryIO

    from flask.typing import ResponseReturnValue

    from quorum.services.storage.base import StoredObject

_BUFFER = 64 * 1024
# What a browser shows without running anything of it with the rights of the application.
_SHOWN = re.compile(
    r"(?:image/(?:png|jpeg|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon)|audio/[\w.+-]+"
    r"|video/[\w.+-]+|text/plain|text/csv|application/json|application/pdf)"
    r"(?: *; *charset=[\w-]+)?",
    re.IGNORECASE,
)


def serve(name: str) -> ResponseReturnValue:
    """Give an object to whoever has its signed URL, or store what they put."""
    storage = _twin()
    method = "GET" if request.method == "HEAD" else request.method
    expires, signature = (request.args.get(key, "") for key in ("expires", "signature"))
    try:
        if not storage.allows(method, name, expires, signature):
            abort(HTTPStatus.FORBIDDEN, "The signature is wrong, or its time is over.")
        return _stored(storage, name) if method == "PUT" else _given(*storage.version(name))
    except NotFound:
        abort(HTTPStatus.NOT_FOUND)
    except Rejected as error:
        abort(HTTPStatus.BAD_REQUEST, str(error))
    except Unavailable:
        current.active_app().logger.exception("the embedded storage could not serve a URL")
        abort(HTTPStatus.SERVICE_UNAVAILABLE)


def _twin() -> Any:
    """Return the running storage if it signs URLs of the application."""
    try:
        storage: Any = current.container().storage()
    except ConfigurationError:
        abort(HTTPStatus.NOT_FOUND)
    # The drivers are not imported here: the twin is what has its own signatures.
    return storage if hasattr(storage, "allows") else abort(HTTPStatus.NOT_FOUND)


def _stored(storage: Any, name: str) -> ResponseReturnValue:
    # Empty is not there, which Werkzeug takes for 0.
    length = request.content_length if request.environ.get("CONTENT_LENGTH") else None
    if length is None and not request.environ.get("wsgi.input_terminated"):
        abort(HTTPStatus.LENGTH_REQUIRED)
    body = _Body(request.stream, length)
    storage.put(name, body, content_type=request.headers.get("Content-Type") or None)
    return Response(status=HTTPStatus.OK)


class _Body:
    """The body of the request, with an error where it ends early: some servers just end it."""

    def __init__(self, stream: IO[bytes], length: int | None) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int) -> bytes:
        if self._left is not None:
            size = min(size, self._left)
        # At MAX_CONTENT_LENGTH, Werkzeug takes one more read for more than that.
        if size == 0:
            return b""
        try:
            part = self._stream.read(size)
        except OSError as error:
            raise ClientDisconnected from error
        if self._left is not None:
            self._left -= len(part)
            if not part:
                raise ClientDisconnected
        return part


def _given(found: StoredObject, stream: BinaryIO) -> ResponseReturnValue:
    response = Response(FileWrapper(stream, _BUFFER), direct_passthrough=True)
    response.headers["Content-Type"] = found.content_type
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.cache_control.private = True
    response.last_modified = found.modified
    response.content_length = found.size
    response.set_etag(found.etag)
    if not _SHOWN.fullmatch(found.content_type):
        # RFC 6266, section 4.3: encoded, since the name may be outside ASCII.
        filename = quote(found.name.rpartition("/")[2], safe="")
        response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{filename}"
        response.headers["Content-Security-Policy"] = "sandbox"
    try:
        response.make_conditional(request, accept_ranges=True, complete_length=found.size)
        if response.status_code == HTTPStatus.PRECONDITION_FAILED:
            # Werkzeug would send the object all the same.
            abort(HTTPStatus.PRECONDITION_FAILED)
    except HTTPException:
        stream.close()
        raise
    return response
