"""The file of an object: its bytes, and after them what is known of it.

One file, so that one rename puts both in place; the bytes first, since their digest is known last.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from quorum.errors import Unavailable
from quorum.services.storage.base import StoredObject
from quorum.services.storage.folder.filenames import file_of
from quorum.services.storage.folder.places import new_file

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from quorum.services.storage.folder.places import Places

_MARK = b"\nquorum 1\n"
_LENGTH = 8
_END = _LENGTH + len(_MARK)
_NOT_OURS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    OSError,
    RecursionError,
)


def known(descriptor: int, file: str) -> StoredObject:
    """Read what is known of the object in a file. Raises ValueError where it is not its own."""
    total = os.fstat(descriptor).st_size
    end = os.pread(descriptor, _END, max(0, total - _END))
    try:
        length = int(end.removesuffix(_MARK), 16) if end.endswith(_MARK) else -1
        fields = json.loads(os.pread(descriptor, length, total - _END - length))
        modified = datetime.fromtimestamp(fields.pop("modified"), UTC)
        found = StoredObject(**fields, size=total - _END - length, modified=modified)
        own = file_of(found.name) == file
    except _NOT_OURS as error:
        raise ValueError("the file has no end of ours") from error
    if not own:
        raise ValueError("the file is that of another object")
    return found


class ObjectStream(io.RawIOBase):
    """Reads the bytes of an object; whatever becomes of its name, they stay these.

    It keeps its own position: that of a descriptor is one with that of a forked child.
    """

    def __init__(self, descriptor: int, size: int, places: Places) -> None:
        self._descriptor = descriptor
        self._size = size
        self._places = places
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readall(self) -> bytes:
        parts = []
        while part := self._next(self._size):
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        part = self._next(len(view))
        view[: len(part)] = part
        return len(part)

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._descriptor)

    def _next(self, most: int) -> bytes:
        self._checkClosed()
        wanted = min(most, self._size - self._position)
        if wanted <= 0:
            return b""
        with self._places.errors():
            part = os.pread(self._descriptor, wanted, self._position)
        if not part:
            raise Unavailable("storage", f"a file in {self._places.root} was cut while it was read")
        self._position += len(part)
        return part


class Draft:
    """An object that is being written: a file that nobody finds until it is kept."""

    def __init__(self, places: Places, folder: int) -> None:
        self._places = places
        self._folder = folder
        self._file = secrets.token_hex(16)
        self._digest = hashlib.md5(usedforsecurity=False)
        self._kept = False

    def __enter__(self) -> Self:
        with self._places.errors():
            self._stream = os.fdopen(new_file(self._file, self._folder), "wb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        if not self._kept:
            with suppress(OSError):
                os.unlink(self._file, dir_fd=self._folder)

    def add(self, chunk: bytes) -> None:
        """Write more bytes of the object."""
        self._digest.update(chunk)
        with self._places.errors():
            self._write(chunk)

    def keep(self, name: str, content_type: str, metadata: dict[str, str], objects: int) -> None:
        """Put the object in its place in the folder of objects, in one step."""
        about = {
            "name": name,
            "content_type": content_type,
            "metadata": metadata,
            "etag": self._digest.hexdigest(),
            "modified": int(time.time()),
        }
        text = json.dumps(about).encode()
        with self._places.errors():
            self._write(text + f"{len(text):0{_LENGTH}x}".encode() + _MARK)
            if self._places.kept:
                os.fsync(self._stream.fileno())
            os.replace(self._file, file_of(name), src_dir_fd=self._folder, dst_dir_fd=objects)
            self._kept = True
        if self._places.kept:
            # Not every file system can, and the object is in its place.
            with suppress(OSError):
                os.fsync(objects)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._stream.write(view) :]
