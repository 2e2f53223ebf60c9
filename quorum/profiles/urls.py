"""Addresses of servers: URLs whose secrets never show, and host names."""

from __future__ import annotations

import re
import socket
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Secret

_NOT_A_URL = "is not a URL; percent-encode what is not a letter or digit in user and password"
_NO_PLACE = "must name its server as host or host:port, with a port of at most 65535"
_HOST_AND_PORT = re.compile(r"(?:\[[^\]]+\]|[^:\[\]]+)?(?::(?P<port>\d{1,5}))?")


def parse_url(text: str, schemes: tuple[str, ...], *, several: bool = False) -> SplitResult:
    """Take a URL apart; raises ValueError, which repeats none of it, for a malformed one.

    With `several` it names one host or more, with commas between them. An `@` after the host is
    refused: it is the end of a password with a `/`, `?` or `#` that was not percent-encoded.
    """
    parts = None if re.search(r"[\s\x00-\x1f\x7f]", text) else _split(text)
    if parts is None:
        raise ValueError(_NOT_A_URL)
    if parts.scheme not in schemes:
        raise ValueError(f"must start with {' or '.join(f'{each}://' for each in schemes)}")
    places = parts.netloc.rpartition("@")[2].split(",")
    after = parts.path + parts.query + parts.fragment
    if "://" not in text or "@" in after:
        raise ValueError(_NOT_A_URL)
    if not all(map(_is_place, places)):
        raise ValueError(_NO_PLACE)
    if several and not all(place.partition(":")[0] for place in places):
        raise ValueError("names no host, or an empty one")
    if not several and len(places) > 1:
        raise ValueError("must name one host")
    return parts


def _is_place(text: str) -> bool:
    match = _HOST_AND_PORT.fullmatch(text)
    return match is not None and int(match["port"] or 0) <= 65535  # noqa: PLR2004 - a port


def _split(text: str) -> SplitResult | None:
    try:
        return urlsplit(text)
    except ValueError:
        return None


class SecretUrl(Secret[str]):
    """A URL whose user name, password and query show as `***` wherever it is printed."""

    def _display(self) -> str:
        return self.public

    @property
    def public(self) -> str:
        """The URL without user name, password and query."""
        scheme, separator, rest = self.get_secret_value().partition("://")
        if not separator:
            return "***"
        place = re.split("[?#]", rest, maxsplit=1)[0]
        if "@" in rest[len(place) :]:
            return f"{scheme}://***"
        userinfo, _, place = place.rpartition("@")
        return f"{scheme}://{'***@' if userinfo else ''}{place}"


def _has_scheme(*schemes: str, several: bool = False) -> AfterValidator:
    def check(url: SecretUrl) -> SecretUrl:
        parse_url(url.get_secret_value(), schemes, several=several)
        return url

    return AfterValidator(check)


def _public_http(value: str) -> str:
    parts = parse_url(value, ("http", "https"))
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must not hold a user name, password, query or fragment")
    if not parts.hostname:
        raise ValueError("names no host")
    return value.rstrip("/")


def _host(value: str) -> str:
    if _packed(value) is None and not re.fullmatch(r"\w(?:[\w.-]*[\w.])?", value):
        raise ValueError("must be a host name or an address alone, without scheme, user or path")
    return value


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only be this machine; nothing is looked up."""
    packed = _packed(host.strip("[]"))
    if packed is None:
        return host.rstrip(".").lower() == "localhost"
    return packed[0] == 127 if len(packed) == 4 else packed == b"\0" * 15 + b"\1"  # noqa: PLR2004


def _packed(address: str) -> bytes | None:
    # Not `ipaddress`: loading it would be a tenth of `import quorum`.
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, address.partition("%")[0])
        except (OSError, ValueError):
            continue
    return None


MongoUrl = Annotated[SecretUrl, _has_scheme("mongodb", "mongodb+srv", several=True)]
RedisUrl = Annotated[SecretUrl, _has_scheme("redis", "rediss", "unix")]
AmqpUrl = Annotated[SecretUrl, _has_scheme("amqp", "amqps")]
HttpUrl = Annotated[str, AfterValidator(_public_http)]
Host = Annotated[str, AfterValidator(_host)]
