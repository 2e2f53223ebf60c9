"""The embedded twin: objects in a folder, temporary or kept, that many processes may share."""

from __future__ import annotations

import errno
import io
import math
import os
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, NoReturn, cast
from urllib.parse import quote

from quorum.errors import Unavailable, Unsupported
from quorum.services.storage.bodies import chunks
from quorum.services.storage.checked import CheckedStorage, no_object
from quorum.services.storage.folder.filenames import file_of, name_of, shortened
from quorum.services.storage.folder.objects import Draft, ObjectStream, known
from quorum.services.storage.folder.places import Places, open_file
from quorum.services.storage.folder.signatures import Signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from quorum.services.storage.base import Readable, StoredObject
    from quorum.services.storage.checked import Method
    from quorum.settings import StorageSettings

_OBJECTS, _DRAFTS = "objects", "drafts"
_PAGE = 1000
_BUFFER = 64 * 1024
_ABANDONED = 24 * 3600.0
"""Seconds without progress after which a draft is that of a process that ended."""


class FolderStorage(CheckedStorage):
    """Keeps a file for each object in `path`.

    That is `data_path / "storage"`, which several processes may share; without `data_path` a
    temporary folder, which this process and its forked children share until this one closes it
    or ends. Raises Unavailable where the folder cannot be used, is full or was tampered with.
    """

    def __init__(
        self,
        settings: StorageSettings,
        *,
        data_path: Path | None = None,
        locate: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(settings)
        self._places = Places(data_path)
        self._signatures = Signatures(self._places)
        self._locate = locate
        self._swept = False
        self._leave = weakref.finalize(self, _leave, self._places, os.getpid())

    @property
    def path(self) -> Path:
        """The folder, made when it is first used."""
        return self._places.root

    @property
    def client(self) -> NoReturn:
        raise Unsupported(
            "storage",
            "the embedded twin has no client; set AMAZON_BUCKET for one of S3, or use put, get "
            "and the like",
        )

    def write(
        self, name: str, data: bytes | Readable, content_type: str, metadata: dict[str, str]
    ) -> None:
        with self._draft() as draft, self._places.opened(_OBJECTS) as objects:
            for chunk in chunks(data):
                draft.add(chunk)
            draft.keep(name, content_type, metadata, objects)

    def version(self, name: str) -> tuple[StoredObject, BinaryIO]:
        """Return what is known of an object and a stream of just its bytes. Raises NotFound."""
        found, descriptor = self._open(name)
        raw = ObjectStream(descriptor, found.size, self._places)
        return found, cast("BinaryIO", io.BufferedReader(raw, _BUFFER))

    def read(self, name: str) -> BinaryIO:
        return self.version(name)[1]

    def look(self, name: str) -> StoredObject:
        found, descriptor = self._open(name)
        os.close(descriptor)
        return found

    def remove(self, name: str) -> None:
        with self._places.opened(_OBJECTS) as objects:
            self._unlink(name, objects)

    def remove_all(self, prefix: str) -> None:
        found = self._listed(prefix)
        with self._places.opened(_OBJECTS) as objects:
            for name in found:
                self._unlink(name, objects)

    def pages(self, prefix: str) -> Iterator[Sequence[str]]:
        found = self._listed(prefix)
        for start in range(0, len(found), _PAGE):
            yield found[start : start + _PAGE]

    def duplicate(self, source: str, target: str) -> None:
        found, stream = self.version(source)
        with stream:
            self.write(target, stream, found.content_type, dict(found.metadata))

    def sign(self, name: str, expires_in: float, method: Method) -> str:
        if self._locate is None:
            raise Unsupported(
                "storage",
                "the embedded twin's URLs are served by the application, and none is loaded; "
                "call quorum.load() first",
            )
        expires = str(math.ceil(time.time() + expires_in))
        signature = self._signatures.sign(method, name, expires)
        # The path of `quorum.web.routes`.
        path = f"/_quorum/storage/{quote(name)}"
        return self._locate(f"{path}?expires={expires}&signature={signature}")

    def allows(self, method: str, name: str, expires: str, signature: str) -> bool:
        """Tell whether a URL of `url` was made for just that, and its time is not over."""
        self._check_open()
        return self._signatures.verify(method, name, expires, signature)

    def reach(self) -> None:
        with self._places.opened(_DRAFTS) as drafts, self._places.errors():
            if not os.access(".", os.R_OK | os.W_OK | os.X_OK, dir_fd=drafts, effective_ids=True):
                raise PermissionError(errno.EACCES, "the folder may not be written")

    def release(self) -> None:
        self._leave()

    def assert_exists(self, name: str) -> None:
        """Assert that there is an object of that name. Raises AssertionError that lists all."""
        if not self.exists(name):
            raise AssertionError(f"expected an object {name!r}. {self._listing()}")

    def assert_missing(self, name: str) -> None:
        """Assert that there is no object of that name. Raises AssertionError that lists all."""
        if self.exists(name):
            raise AssertionError(f"expected no object {name!r}. {self._listing()}")

    def _listing(self) -> str:
        lines = [
            f"\n  {number}. {found.name!r} {found.content_type} {found.size} bytes"
            for number, found in enumerate(map(self.look, self._listed("")), 1)
        ]
        return f"Stored:{''.join(lines)}" if lines else "Nothing is stored."

    def _open(self, name: str) -> tuple[StoredObject, int]:
        """Return what is known of an object, and a descriptor of its file."""
        with self._places.opened(_OBJECTS) as objects, self._places.errors():
            try:
                descriptor = open_file(file_of(name), objects)
            except FileNotFoundError:
                raise no_object(name) from None
        try:
            return known(descriptor, file_of(name)), descriptor
        except ValueError as error:
            os.close(descriptor)
            raise Unavailable(
                "storage",
                f"the file of the object {name!r} in {self.path} was changed from outside; put "
                "the object again, or delete it",
            ) from error

    @contextmanager
    def _draft(self) -> Iterator[Draft]:
        with self._places.opened(_DRAFTS) as drafts:
            if self._places.kept and not self._swept:
                self._swept = True
                self._sweep(drafts)
            with Draft(self._places, drafts) as draft:
                yield draft

    def _sweep(self, drafts: int) -> None:
        with self._places.errors(), os.scandir(drafts) as entries:
            for entry in entries:
                # Another process may be sweeping too.
                with suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < time.time() - _ABANDONED:
                        os.unlink(entry.name, dir_fd=drafts)

    def _unlink(self, name: str, objects: int) -> None:
        with self._places.errors(), suppress(FileNotFoundError):
            os.unlink(file_of(name), dir_fd=objects)

    def _listed(self, prefix: str) -> list[str]:
        with self._places.opened(_OBJECTS) as objects, self._places.errors():
            with os.scandir(objects) as entries:
                files = [each.name for each in entries if each.is_file(follow_symlinks=False)]
            names = {
                self._full_name(file, objects) if shortened(file) else name_of(file)
                for file in files
            }
        # The order of code points is that of the bytes of UTF-8.
        return sorted(name for name in names if name is not None and name.startswith(prefix))

    @staticmethod
    def _full_name(file: str, objects: int) -> str | None:
        """Return the name of the object in a file that has only its start; None if it is gone."""
        try:
            descriptor = open_file(file, objects)
            try:
                return known(descriptor, file).name
            finally:
                os.close(descriptor)
        except (FileNotFoundError, ValueError):
            return None


def _leave(places: Places, owner: int) -> None:
    # A forked child ends or closes before its parent, which still uses the folder.
    if not places.kept and os.getpid() == owner:
        places.remove()
