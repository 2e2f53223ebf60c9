"""What travels beside an object: its content type and its metadata."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping

from quorum.errors import Rejected

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
# RFC 9110, section 8.3.1.
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}(?: *; *{_WORD}=(?:{_WORD}|{_QUOTED}))*")
_LONGEST_TYPE = 255
_METADATA_NAME = re.compile(r"[a-z0-9._-]+")
_METADATA_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
_MOST_METADATA = 2048


def content_type_of(name: str, given: object) -> str:
    """Return the content type as given, else guessed from the name. Raises Rejected."""
    if given is None:
        # With a folder before it, no name is taken for a URL with a scheme.
        guessed, encoding = mimetypes.guess_type("./" + name.rpartition("/")[2])
        return (guessed if encoding is None else None) or "application/octet-stream"
    if not isinstance(given, str) or len(given) > _LONGEST_TYPE or not _MEDIA_TYPE.fullmatch(given):
        raise Rejected("storage", f"the content type {given!r:.80} is none; write it as text/plain")
    return given


def metadata_of(given: object) -> dict[str, str]:
    """Return metadata under lower-case names. Raises Rejected."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Rejected("storage", f"metadata is a dictionary, not {type(given).__name__}")
    metadata: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(name, str) or not _METADATA_NAME.fullmatch(name.lower()):
            raise Rejected(
                "storage",
                f"the metadata name {name!r:.80} is not of letters, digits, -, _ and . alone",
            )
        if not isinstance(value, str) or not _METADATA_VALUE.fullmatch(value):
            raise Rejected(
                "storage",
                f"the metadata {name!r:.80} is not printable ASCII, without blanks around; "
                "encode it",
            )
        if name.lower() in metadata:
            raise Rejected("storage", f"the metadata {name!r:.80} is there twice; give it once")
        metadata[name.lower()] = value
    size = sum(len(name) + len(value) for name, value in metadata.items())
    if size > _MOST_METADATA:
        raise Rejected("storage", f"the metadata has {size} bytes; {_MOST_METADATA} are the most")
    return metadata
