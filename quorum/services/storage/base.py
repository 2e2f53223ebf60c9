"""Storage of objects: what it promises, and the value that describes one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path


class Readable(Protocol):
    """A binary stream, as `put` takes it: a file, an upload, `request.stream`."""

    def read(self, size: int = ..., /) -> bytes:
        """Return at most `size` bytes; none of them at the end."""
        ...


Data = bytes | bytearray | memoryview | Readable


@dataclass(frozen=True)
class StoredObject:
    """What is known of an object without reading it.

    `size` is in bytes, `modified` in UTC and whole seconds, `etag` without its quotes.
    """

    name: str
    size: int
    content_type: str
    modified: datetime
    etag: str
    metadata: Mapping[str, str] = field(default_factory=dict)


class Storage(Protocol):
    """Keeps objects, bytes under a name, in one bucket.

    A name is UTF-8 of at most 1,024 bytes (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html),
    its parts between `/`; a name that is empty or absolute, or has an empty part, `.`, `..`, NUL
    or another control character, U+FFFE or U+FFFF, is refused with Rejected before anything is
    sent. An object is whole or not there: a reader never sees half of one, nor the bytes of one
    with the metadata of another, and the last of two writers wins.

    A call takes at most AMAZON_TIMEOUT seconds; one that moves a body, at most that without
    progress. Raises NotFound where there is no object of that name; Unavailable or TimedOut where
    the server cannot be reached or does not answer; Rejected where it refuses. A put that failed
    may have stored the object: putting it again does no harm.
    """

    @property
    def client(self) -> Any:
        """The vendor's client, of this process. Raises Unsupported where there is none."""
        ...

    def put(
        self,
        name: str,
        data: Data,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Store bytes, or what a binary stream still holds, in the place of what was there.

        The content type is guessed from the name where it is not given. Metadata is text by names
        of letters, digits, `-`, `_` and `.`, that come back in lower case; both are ASCII, without
        blanks around them, 2 kB in all
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html). A stream of
        any size takes little memory, and is not closed; what reading it raises is raised, and
        nothing is stored. Raises Rejected for text and for a stream of text.
        """
        ...

    def get(self, name: str) -> bytes:
        """Return the bytes of an object. Raises NotFound."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Return a stream of the bytes of an object, to be closed. Raises NotFound.

        Reading raises Unavailable or TimedOut where the connection ends before the object does:
        never a short end.
        """
        ...

    def download(self, name: str, path: str | Path) -> None:
        """Write an object to a file; the file is there whole, or as it was before.

        Raises NotFound, and OSError where the file cannot be written.
        """
        ...

    def exists(self, name: str) -> bool:
        """Tell whether there is an object of that name."""
        ...

    def delete(self, name: str) -> None:
        """Delete an object. A no-op where there is none."""
        ...

    def clear(self, prefix: str = "") -> None:
        """Delete every object whose name starts with `prefix`: all of them, unless it is given."""
        ...

    def names(self, prefix: str = "") -> Iterator[str]:
        """Give the names that start with `prefix`, in the order of their UTF-8 bytes.

        They are fetched as they are asked for, however many there are.
        """
        ...

    def stat(self, name: str) -> StoredObject:
        """Return what is known of an object. Raises NotFound."""
        ...

    def copy(self, source: str, target: str) -> None:
        """Copy an object, with its content type and metadata. Raises NotFound."""
        ...

    def url(
        self, name: str, *, expires_in: float = 3600.0, method: Literal["GET", "PUT"] = "GET"
    ) -> str:
        """Return a URL that gives whoever has it the object, or lets them put it, for a time.

        `expires_in` is in seconds, at most 7 days
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/ShareObjectPreSignedURL.html).
        No request is made: the object need not be there. That of the embedded twin is served by
        the application, under BASE_URL or the host of the request (outside of one it is a
        path). Raises Unsupported where none is loaded, Rejected for another method or time.
        """
        ...

    def ping(self) -> None:
        """Return within a second if the bucket can be reached; else raise Unavailable or TimedOut.

        Raises Rejected where the keys are refused or there is no such bucket.
        """
        ...

    def close(self) -> None:
        """Let go of all connections. A second call is a no-op; any other call raises Unavailable.

        A stream that is open can be read on.
        """
        ...
