"""Writing header fields (RFC 5322, section 2.2) so that they are read back as they were given.

The library's own writer loses spaces between encoded words, and lets a line break out of one.
"""

from __future__ import annotations

import re
from email.header import Header
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from quorum.errors import Rejected
from quorum.services.mailer.mime.addresses import UNPRINTABLE, Address, address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = re.compile(r"[!-9;-~]+")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")
_ATOMS = re.compile(r"[\w!#$%&'*+/=?^`{|}~ -]*", re.ASCII)
_LINE = 78
_PIECE = 54
# A line may have 998 octets (RFC 5322, section 2.1.1); what has no space to fold at stays below.
_LONGEST_WORD = 900
_BY_ARGUMENT = {"from", "to", "cc", "bcc", "reply-to", "subject"}
_BY_THE_MAILER = {"mime-version", "content-type", "content-transfer-encoding", "resent-bcc"}
_OF_ONE_ADDRESS = {"sender", "disposition-notification-to", "resent-from", "resent-sender"}


class Headers:
    """The header fields of a mail, in the order in which they are added."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._names: set[str] = set()
        self.international = False
        """Whether an address in it can only be written with SMTPUTF8 (RFC 6531)."""

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._names

    def __bytes__(self) -> bytes:
        return "".join(f"{line}\r\n" for line in self._lines).encode()

    def add_text(self, name: str, value: str) -> None:
        """Add a field of free text."""
        if UNPRINTABLE.search(value):
            raise Rejected(
                "mailer",
                f"the header {name} holds a line break or a control character; a header is "
                "one line",
            )
        self._add(name, _words(value))

    def add_addresses(self, name: str, values: Iterable[Address]) -> None:
        """Add a field of addresses; none is a no-op."""
        words: list[str] = []
        for each in values:
            self.international |= not each.spec.isascii()
            if words:
                words[-1] += ","
            words += [*_phrase(each.name), f"<{each.spec}>"] if each.name else [each.spec]
        if words:
            self._add(name, [f" {word}" for word in words])

    def add_more(self, fields: Mapping[str, str]) -> None:
        """Add the fields that a user gives. Raises Rejected for one that is not theirs to give."""
        for name, value in fields.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise Rejected("mailer", f"the header {name!r} must be text, as must its name")
            if not _NAME.fullmatch(name) or len(name) > _LINE:
                raise Rejected("mailer", f"{name!r} is not the name of a header")
            self._add_one(name, value)

    def _add_one(self, name: str, value: str) -> None:
        lower = name.lower()
        if lower in _BY_ARGUMENT:
            raise Rejected("mailer", f"the header {name} is set by an argument of send()")
        if lower in _BY_THE_MAILER:
            raise Rejected("mailer", f"the header {name} is set by the mailer; leave it out")
        if lower in self._names:
            raise Rejected("mailer", f"the header {name} is given twice")
        if lower in _OF_ONE_ADDRESS:
            self.add_addresses(name, [address(f"the header {name}", value)])
            return
        if lower == "message-id" and not _message_id(value):
            raise Rejected("mailer", "the header Message-ID is not like <1@example.org>")
        if lower == "date" and not _is_date(value):
            raise Rejected(
                "mailer", "the header Date is not like 'Tue, 01 Sep 2026 09:00:00 +0000'"
            )
        self.add_text(name, value)

    def _add(self, name: str, words: Iterable[str]) -> None:
        """Fold words, each of which starts with the space before it."""
        self._names.add(name.lower())
        lines = [f"{name}:"]
        for word in words:
            if len(lines[-1]) + len(word) > _LINE and not lines[-1].endswith(":"):
                lines.append("")
            lines[-1] += word
        self._lines.append("\r\n".join(lines))


def disposition(kind: str, name: str) -> str:
    """Write a Content-Disposition (RFC 2183), its file name by RFC 2231 where it needs to be."""
    if _is_plain(name) and len(name) <= _LINE:
        return f"{kind};\r\n filename={_quoted(name)}"
    pieces = [""]
    for character in name:
        written = quote(character, safe="")
        if len(pieces[-1]) + len(written) > _PIECE:
            pieces.append("")
        pieces[-1] += written
    if len(pieces) == 1:
        return f"{kind};\r\n filename*=utf-8''{pieces[0]}"
    pieces[0] = f"utf-8''{pieces[0]}"
    return kind + "".join(f";\r\n filename*{i}*={piece}" for i, piece in enumerate(pieces))


def _is_plain(value: str) -> bool:
    """Tell whether a text is read back as it stands."""
    return value.isascii() and "=?" not in value and value == value.strip()


def _message_id(value: str) -> bool:
    return len(value) <= _LONGEST_WORD and _MESSAGE_ID.fullmatch(value) is not None


def _is_date(value: str) -> bool:
    try:
        parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return False
    return True


def _words(value: str) -> list[str]:
    words = re.findall(r"[ \t]*[^ \t]+", f" {value}")
    if _is_plain(value) and all(len(word) <= _LONGEST_WORD for word in words):
        return words
    return [f" {word}" for word in _encoded(value)]


def _phrase(name: str) -> list[str]:
    if not _is_plain(name) or len(name) > _LONGEST_WORD:
        return _encoded(name)
    if _ATOMS.fullmatch(name):
        return name.split()
    return _quoted(name).split(" ")


def _quoted(text: str) -> str:
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return f'"{escaped}"'


def _encoded(value: str) -> list[str]:
    """Write text as encoded words (RFC 2047)."""
    return Header(value, "utf-8", maxlinelen=75).encode().split()
