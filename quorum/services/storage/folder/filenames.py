"""The file in which an object is: its name, written so that every file system keeps it apart."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote_to_bytes

_LONGEST = 255
_DIGEST = hashlib.sha256().digest_size * 2

# Upper case is escaped too: some file systems take `A` and `a` for one.
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_WRITTEN = [chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in range(256)]


def file_of(name: str) -> str:
    """Return the name of the file of an object.

    One too long for a file system ends in `~` and a digest; the file itself has it in full.
    """
    written = "".join(map(_WRITTEN.__getitem__, name.encode()))
    if len(written) <= _LONGEST:
        return written
    start = re.sub("%.?$", "", written[: _LONGEST - 1 - _DIGEST])
    return f"{start}~{hashlib.sha256(name.encode()).hexdigest()}"


def shortened(file: str) -> bool:
    """Tell whether the name of an object cannot be told from its file's."""
    return "~" in file


def name_of(file: str) -> str | None:
    """Return the name of the object in a file; None for a file that is not ours."""
    try:
        name = unquote_to_bytes(file).decode()
    except UnicodeDecodeError:
        return None
    return name if file_of(name) == file else None
