"""The bytes of an object: what is taken for them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

from quorum.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quorum.services.storage.base import Readable

CHUNK = 1024 * 1024
"""Bytes that are read at a time."""


def check_data(data: object) -> bytes | Readable:
    """Return bytes, or a binary stream. Raises Rejected for anything else, such as text."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    read = getattr(data, "read", None)
    # Nothing is read to see what comes: Werkzeug's streams take an empty read for their end.
    if isinstance(data, (str, io.TextIOBase)) or not callable(read):
        raise _no_bytes(data)
    if getattr(data, "closed", False):
        raise Rejected("storage", "the stream is closed; give one that is open")
    return cast("Readable", data)


def chunks(data: bytes | Readable, size: int = CHUNK) -> Iterator[bytes]:
    """Give the bytes of data, some at a time; what a stream raises is its own.

    Raises Rejected for a stream that gives anything but bytes.
    """
    if isinstance(data, bytes):
        yield data
        return
    while chunk := data.read(size):
        # What is not bytes is no end: a stream that does not block gives None.
        yield _bytes(chunk)
    _bytes(chunk)


def _bytes(chunk: object) -> bytes:
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, (bytearray, memoryview)):
        return bytes(chunk)
    raise Rejected(
        "storage",
        f"the stream gave {type(chunk).__name__} and not bytes; nothing was stored: open it in "
        "binary mode, and blocking",
    )


def _no_bytes(data: object) -> Rejected:
    return Rejected(
        "storage",
        f"an object is bytes or a binary stream, not {type(data).__name__}; encode text, open "
        "files with 'rb'",
    )
