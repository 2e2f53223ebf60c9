"""What every storage does before it stores or reads: the checks, the counting, the open state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from quorum.errors import NotFound, Rejected, Unavailable
from quorum.services.counts import Counts
from quorum.services.files import replacing
from quorum.services.storage.bodies import CHUNK, check_data
from quorum.services.storage.headers import content_type_of, metadata_of
from quorum.services.storage.names import check_name, check_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from quorum.services.storage.base import Data, Readable, StoredObject
    from quorum.settings import StorageSettings

Method = Literal["GET", "PUT"]
_LONGEST = 7 * 24 * 3600


def no_object(name: str) -> NotFound:
    """Return the error that says that there is no object of that name."""
    return NotFound(f"storage: there is no object {name!r}")


class CheckedStorage(ABC):
    """A storage but for the last steps, which are given what was checked.

    Those that read raise `no_object(name)`; all raise errors of ours.
    """

    def __init__(self, settings: StorageSettings) -> None:
        self._settings = settings
        self._closed = False
        self.counts = Counts()

    @property
    @abstractmethod
    def client(self) -> Any: ...

    @abstractmethod
    def write(
        self, name: str, data: bytes | Readable, content_type: str, metadata: dict[str, str]
    ) -> None:
        """Store bytes or what a stream holds from where it is; metadata is under lower case."""

    @abstractmethod
    def read(self, name: str) -> BinaryIO:
        """Return a stream of an object."""

    @abstractmethod
    def look(self, name: str) -> StoredObject:
        """Return what is known of an object."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Delete an object if it is there."""

    @abstractmethod
    def remove_all(self, prefix: str) -> None:
        """Delete every object whose name starts with a prefix."""

    @abstractmethod
    def pages(self, prefix: str) -> Iterator[Sequence[str]]:
        """Give the names that start with a prefix, in order, as many at a time as come at once."""

    @abstractmethod
    def duplicate(self, source: str, target: str) -> None:
        """Copy an object to another name."""

    @abstractmethod
    def sign(self, name: str, expires_in: float, method: Method) -> str:
        """Return a signed URL."""

    @abstractmethod
    def reach(self) -> None:
        """Return if the bucket can be reached now."""

    @abstractmethod
    def release(self) -> None:
        """Let go of what is held; called once, as the storage closes."""

    def load(self, name: str) -> bytes:
        """Return the bytes of an object; may be overridden by a quicker way."""
        with self.read(name) as stream:
            return stream.read()

    def fetch(self, name: str, file: BinaryIO) -> None:
        """Write an object to an empty file; may be overridden by one that can go on."""
        with self.read(name) as stream:
            while chunk := stream.read(CHUNK):
                file.write(chunk)

    def put(
        self,
        name: str,
        data: Data,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        with self._call(name):
            kind, extra = content_type_of(name, content_type), metadata_of(metadata)
            self.write(name, check_data(data), kind, extra)

    def get(self, name: str) -> bytes:
        with self._call(name):
            return self.load(name)

    def open(self, name: str) -> BinaryIO:
        with self._call(name):
            return self.read(name)

    def download(self, name: str, path: str | Path) -> None:
        with self._call(name), replacing(Path(path), mode=0o666, durable=False) as file:
            self.fetch(name, file)

    def exists(self, name: str) -> bool:
        with self._call(name):
            try:
                self.look(name)
            except NotFound:
                return False
            return True

    def delete(self, name: str) -> None:
        with self._call(name):
            self.remove(name)

    def clear(self, prefix: str = "") -> None:
        with self._call():
            self.remove_all(check_prefix(prefix))

    def names(self, prefix: str = "") -> Iterator[str]:
        self._check_open()
        return self._names(self.pages(check_prefix(prefix)))

    def _names(self, pages: Iterator[Sequence[str]]) -> Iterator[str]:
        # Each page is a call of its own: what the caller does between two is not its time.
        while True:
            with self._call():
                page = next(pages, None)
            if page is None:
                return
            yield from page

    def stat(self, name: str) -> StoredObject:
        with self._call(name):
            return self.look(name)

    def copy(self, source: str, target: str) -> None:
        with self._call(source, target):
            if source == target:
                self.look(source)
            else:
                self.duplicate(source, target)

    def url(self, name: str, *, expires_in: float = 3600.0, method: Method = "GET") -> str:
        with self._call(name):
            if method not in ("GET", "PUT"):
                raise Rejected("storage", f"a URL is signed for GET or PUT, not {method!r:.40}")
            return self.sign(name, _seconds(expires_in), method)

    def ping(self) -> None:
        self._check_open()
        self.reach()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.release()

    @contextmanager
    def _call(self, *names: str) -> Iterator[None]:
        """Count the block as a call, once the storage is seen open and the names good."""
        with self.counts.call():
            self._check_open()
            for name in names:
                check_name(name)
            yield

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("storage", "it is closed; load the application again to use it")


def _seconds(expires_in: object) -> float:
    number = isinstance(expires_in, (int, float)) and not isinstance(expires_in, bool)
    # Not in the range is also what is no number.
    if not number or not 0 < cast("float", expires_in) <= _LONGEST:
        raise Rejected(
            "storage",
            f"expires_in is out of range; give seconds, above 0 and at most {_LONGEST} (7 days)",
        )
    return cast("float", expires_in)
