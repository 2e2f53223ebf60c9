"""Reading addresses as RFC 5322 and RFC 6531 write them, one at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quorum.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a header, a name or an address never holds: line ends of any kind, and what has no shape.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ATOM = r"[^\s()<>@,;:\\\".\[\]]+"
_LABEL = r"[A-Za-z0-9_\u00a1-\U0010ffff-]+"
_SPEC = (
    rf"(?P<local>{_ATOM}(?:\.{_ATOM})*|{_QUOTED})"
    rf"@(?P<domain>{_LABEL}(?:\.{_LABEL})*|\[[A-Za-z0-9.:]+\])"
)
_BARE = re.compile(rf"\s*{_SPEC}\s*")
# A dot or a bracket in a name without quotes is against the letter, clear, and common.
_NAMED = re.compile(rf"(?P<name>(?:{_QUOTED}|[^\"<>@,;:\\])*)<\s*{_SPEC}\s*>\s*")
_LONGEST_LOCAL = 64
_LONGEST_DOMAIN = 255


@dataclass(frozen=True)
class Address:
    """One mailbox: the name shown for it, and `spec`, the `ana@example.org` of it."""

    name: str
    spec: str

    @property
    def domain(self) -> str:
        """What follows the @."""
        return self.spec.rpartition("@")[2]


def addresses(field: str, given: str | Sequence[str]) -> tuple[Address, ...]:
    """Read one address or a sequence of them. Raises Rejected, naming the field."""
    if isinstance(given, str):
        return (address(field, given),) if given else ()
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise Rejected("mailer", f"{field} must be an address or a list of addresses")
    return tuple(address(field, each) for each in given)


def address(field: str, text: str) -> Address:
    """Read one address, such as `"Silva, Ana" <ana@example.org>`. Raises Rejected."""
    if not isinstance(text, str):
        raise Rejected("mailer", f"{field} must be text such as 'ana@example.org'")
    if UNPRINTABLE.search(text):
        raise Rejected(
            "mailer", f"{field} holds a line break or a control character; an address is one line"
        )
    found = _BARE.fullmatch(text) or _NAMED.fullmatch(text)
    if found is None or len(found["local"].encode()) > _LONGEST_LOCAL:
        raise Rejected(
            "mailer",
            f"{field} is not one address such as 'ana@example.org'; quote a name that holds "
            "a comma, and give several addresses as a list",
        )
    name = found.groupdict().get("name") or ""
    return Address(_unquoted(name), f"{found['local']}@{_ascii(field, found['domain'])}")


def _unquoted(name: str) -> str:
    plain = re.sub(_QUOTED, lambda quoted: re.sub(r"\\(.)", r"\1", quoted[0][1:-1]), name)
    return " ".join(plain.split())


def _ascii(field: str, domain: str) -> str:
    """Write an international domain in its ASCII form (RFC 5890)."""
    try:
        written = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise Rejected("mailer", f"the domain of {field} is not a domain name") from error
    if len(written) > _LONGEST_DOMAIN:
        raise Rejected("mailer", f"the domain of {field} is longer than 255 characters")
    return written
