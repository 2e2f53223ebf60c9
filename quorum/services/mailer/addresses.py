"""Reading addresses as RFC 5322 writes them, one at a time."""

from __future__ import annotations

from email.headerregistry import Address, AddressHeader, HeaderRegistry
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from quorum.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

_registry = HeaderRegistry()


def addresses(field: str, given: str | Sequence[str]) -> tuple[Address, ...]:
    """Read one address or a sequence of them. Raises Rejected, naming the field."""
    if isinstance(given, str):
        return (address(field, given),) if given else ()
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise Rejected("mailer", f"{field} must be an address or a list of addresses")
    return tuple(address(field, each) for each in given)


@lru_cache(maxsize=1024)
def _read(text: str) -> Address | None:
    header = cast("AddressHeader", _registry("To", text))
    found = header.addresses
    if len(found) != 1 or header.defects or not found[0].domain or not found[0].username:
        return None
    return found[0]


def address(field: str, text: str) -> Address:
    """Read one address, such as `"Silva, Ana" <ana@example.org>`. Raises Rejected."""
    if not isinstance(text, str):
        raise Rejected("mailer", f"{field} must be text such as 'ana@example.org'")
    if any(character in text for character in "\r\n\0"):
        raise Rejected("mailer", f"{field} holds a line break; an address is one line")
    found = _read(text)
    if found is None:
        raise Rejected(
            "mailer",
            f"{field} is not one address such as 'ana@example.org'; quote a name that holds "
            "a comma, and give several addresses as a list",
        )
    return ascii_domain(found)


def ascii_domain(found: Address) -> Address:
    """Write an international domain in its ASCII form (RFC 5890)."""
    if found.domain.isascii():
        return found
    try:
        domain = found.domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise Rejected("mailer", f"the domain {found.domain!r} is not a domain name") from error
    return Address(found.display_name, found.username, domain)
