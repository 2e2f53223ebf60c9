"""Signatures of URLs: whoever has one may use a method on an object, until a moment."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from quorum.errors import Unavailable
from quorum.services.storage.folder.places import new_file, open_file

if TYPE_CHECKING:
    from quorum.services.storage.folder.places import Places

_KEY = 32


class Signatures:
    """Signs with a key that all processes of a folder share.

    That of a kept folder is in a file of it. That of a temporary one is made before any fork,
    for its children to have the same.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._own = None if places.kept else secrets.token_bytes(_KEY)

    def sign(self, method: str, name: str, expires: str) -> str:
        """Return the signature that allows a method on an object; `expires` in Unix time."""
        text = f"{method}\n{expires}\n{name}".encode("utf-8", "surrogatepass")
        return hmac.new(self._own or self._kept_key(), text, hashlib.sha256).hexdigest()

    def verify(self, method: str, name: str, expires: str, signature: str) -> bool:
        """Tell whether a signature was made for just that, and its time is not over."""
        right = self.sign(method, name, expires)
        # As bytes, since text outside ASCII cannot be compared in constant time.
        same = hmac.compare_digest(right.encode(), signature.encode("utf-8", "surrogatepass"))
        return same and time.time() < int(expires)

    def _kept_key(self) -> bytes:
        with self._places.opened() as folder, self._places.errors():
            try:
                key = _read(folder)
            except FileNotFoundError:
                _make(folder)
                key = _read(folder)
        if len(key) != _KEY:
            raise Unavailable(
                "storage",
                f"{self._places.root / 'key'} is no key of {_KEY} bytes; remove it, and another "
                "is made: URLs that were signed end",
            )
        return key


def _read(folder: int) -> bytes:
    descriptor = open_file("key", folder)
    try:
        return os.read(descriptor, _KEY + 1)
    finally:
        os.close(descriptor)


def _make(folder: int) -> None:
    draft = f"key-{secrets.token_hex(8)}"
    descriptor = new_file(draft, folder)
    try:
        os.write(descriptor, secrets.token_bytes(_KEY))
        os.fsync(descriptor)
        # A link and no rename: of several processes the first one's key stays.
        with suppress(FileExistsError):
            os.link(draft, "key", src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(descriptor)
        os.unlink(draft, dir_fd=folder)
