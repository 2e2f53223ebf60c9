"""The pictures that visitors add, in the storage."""

import logging
import re
import secrets

from guestbook.settings import GuestbookGroup
from quorum import ServiceError, Storage

logger = logging.getLogger(__name__)

# https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern
KINDS = {
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "gif": re.compile(rb"GIF8[79]a"),
    "webp": re.compile(rb"RIFF.{4}WEBPVP", re.DOTALL),
}

# A browser loads a picture when it is scrolled to, maybe hours after the page.
DAY = 24 * 60 * 60.0


def kind_of(data: bytes) -> str | None:
    """Tell what kind of picture it is by its first bytes, whatever its name says."""
    return next((kind for kind, start in KINDS.items() if start.match(data)), None)


class Pictures:
    """Keeps pictures, and gives signed URLs of them."""

    def __init__(self, settings: GuestbookGroup, storage: Storage) -> None:
        self.limit = settings.picture_size
        self._storage = storage

    def add(self, data: bytes) -> str:
        """Keep a picture, and return its name. Raises ServiceError if it cannot be kept."""
        kind = kind_of(data)
        # A name of ours: the visitor's own could be any text, or that of another's picture.
        name = f"pictures/{secrets.token_hex(16)}.{kind}"
        self._storage.put(name, data, content_type=f"image/{kind}")
        return name

    def url(self, name: str) -> str | None:
        """Return a URL that shows a picture for a day; None where that cannot be had."""
        try:
            return self._storage.url(name, expires_in=DAY)
        except ServiceError as error:
            logger.warning("a picture cannot be shown: %s", error)
            return None

    def delete(self, name: str) -> None:
        """Delete a picture. Raises ServiceError if the storage cannot be reached."""
        self._storage.delete(name)

    def discard(self, name: str) -> None:
        """Delete a picture that no entry has; it is no harm if it stays."""
        try:
            self.delete(name)
        except ServiceError as error:
            logger.warning("%s is left over: %s", name, error)
