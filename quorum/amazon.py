"""The documented names of flask-quorum for S3, in the shapes of boto 2, over the storage.

| name | what it is |
|---|---|
| `get_amazon()` | a `Connection`, whose `get_bucket()` gives the bucket |
| `get_amazon_bucket()` | the `Bucket` that AMAZON_BUCKET names |
| `get_amazon_key(name)` | the `Key` of a name, whether or not there is an object |
| `exists_amazon_key(name)` | whether there is an object of that name |
| `delete_amazon_key(name)` | deletes it; a no-op where there is none |
| `clear_amazon_bucket()` | deletes every object |

They raise what the storage does: NotFound, where boto 2 raised S3ResponseError with status 404.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, overload

from quorum import current
from quorum.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from quorum.services.storage.base import Readable, Storage


class Described(TypedDict):
    """What is stored beside the bytes of an object."""

    content_type: str | None
    metadata: dict[str, str]


class Key:
    """The object of a name in the bucket; it need not be there.

    `headers` may hold Content-Type and metadata as `x-amz-meta-<name>`; for another Unsupported
    is raised.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        self.bucket = bucket
        self.name = self.key = name

    def __repr__(self) -> str:
        return f"<Key: {self.bucket.name},{self.name}>"

    @property
    def _storage(self) -> Storage:
        return self.bucket.storage

    def exists(self) -> bool:
        """Tell whether there is an object."""
        return self._storage.exists(self.name)

    def delete(self) -> None:
        """Delete the object. A no-op where there is none."""
        self._storage.delete(self.name)

    def set_contents_from_string(
        self, string_data: str | bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Store bytes, or text as UTF-8."""
        data = string_data.encode() if isinstance(string_data, str) else string_data
        self._storage.put(self.name, data, **_described(headers))

    def set_contents_from_file(
        self, fp: Readable, headers: Mapping[str, str] | None = None
    ) -> None:
        """Store what a binary stream still holds."""
        self._storage.put(self.name, fp, **_described(headers))

    def set_contents_from_filename(
        self, filename: str | Path, headers: Mapping[str, str] | None = None
    ) -> None:
        """Store a file. Raises OSError where it cannot be read."""
        with Path(filename).open("rb") as file:
            self.set_contents_from_file(file, headers)

    @overload
    def get_contents_as_string(self, *, encoding: None = None) -> bytes: ...
    @overload
    def get_contents_as_string(self, *, encoding: str) -> str: ...
    def get_contents_as_string(self, *, encoding: str | None = None) -> str | bytes:
        """Return the bytes of the object, with an encoding its text. Raises NotFound."""
        data = self._storage.get(self.name)
        return data if encoding is None else data.decode(encoding)

    def get_contents_to_filename(self, filename: str | Path) -> None:
        """Write the object to a file, whole or not at all. Raises NotFound and OSError."""
        self._storage.download(self.name, filename)

    def generate_url(self, expires_in: float, method: Literal["GET", "PUT"] = "GET") -> str:
        """Return a signed URL of the object; `expires_in` is in seconds."""
        return self._storage.url(self.name, expires_in=expires_in, method=method)


def _described(headers: Mapping[str, str] | None) -> Described:
    described: Described = {"content_type": None, "metadata": {}}
    for header, value in (headers or {}).items():
        name = header.lower()
        if name == "content-type":
            described["content_type"] = value
        elif name.startswith("x-amz-meta-"):
            described["metadata"][name.removeprefix("x-amz-meta-")] = value
        else:
            raise Unsupported(
                "storage", f"the header {header!r} is not kept with an object; leave it out"
            )
    return described


class Bucket:
    """The bucket of the application."""

    def __init__(self, name: str, storage: Storage) -> None:
        self.name = name
        self.storage = storage

    def __repr__(self) -> str:
        return f"<Bucket: {self.name}>"

    def __iter__(self) -> Iterator[Key]:
        return self.list()

    def get_key(self, key_name: str) -> Key | None:
        """Return the key of an object; None where there is none."""
        key = self.new_key(key_name)
        return key if key.exists() else None

    def new_key(self, key_name: str) -> Key:
        """Return the key of a name; nothing is stored yet."""
        return Key(self, key_name)

    def list(self, prefix: str = "") -> Iterator[Key]:
        """Give the keys of the objects whose names start with `prefix`, in order."""
        return map(self.new_key, self.storage.names(prefix))

    def delete_key(self, key_name: str) -> None:
        """Delete an object. A no-op where there is none."""
        self.storage.delete(key_name)


class Connection:
    """What gives the bucket; there is one."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def get_bucket(self, bucket_name: str | None = None) -> Bucket:
        """Return the bucket. Raises Unsupported for the name of another."""
        if bucket_name not in {None, self._bucket.name}:
            raise Unsupported(
                "storage",
                f"the bucket of this application is {self._bucket.name!r}, not {bucket_name!r}; "
                "set AMAZON_BUCKET",
            )
        return self._bucket


def get_amazon() -> Connection:
    """Return what gives the bucket of the running application. Raises NotLoaded without one."""
    return Connection(get_amazon_bucket())


def get_amazon_bucket() -> Bucket:
    """Return the bucket of the running application: with nothing set, its embedded twin.

    Raises NotLoaded without an application.
    """
    container = current.container()
    settings = container.settings()
    return Bucket(settings.storage.bucket or settings.name, container.storage())


def get_amazon_key(name: str) -> Key:
    """Return the key of a name, whether or not there is an object."""
    return get_amazon_bucket().new_key(name)


def exists_amazon_key(name: str) -> bool:
    """Tell whether there is an object of that name."""
    return get_amazon_key(name).exists()


def delete_amazon_key(name: str) -> None:
    """Delete an object. A no-op where there is none."""
    get_amazon_key(name).delete()


def clear_amazon_bucket() -> None:
    """Delete every object of the bucket."""
    get_amazon_bucket().storage.clear()
