"""The options of REDIS_URL: those that are taken, and those that are ours to set."""

from __future__ import annotations

import logging
import re
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.connection import parse_url

from quorum.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.settings import RedisSettings

logger = logging.getLogger("quorum.redis")

CONNECTIONS = 50

_TRUE, _FALSE = ("1", "true", "yes", "on", "t", "y"), ("0", "false", "no", "off", "f", "n", "")
_OURS = frozenset(
    {
        "socket_timeout",
        "socket_connect_timeout",
        "timeout",
        "health_check_interval",
        "retry_on_timeout",
        "retry_on_error",
        "single_connection_client",
    }
)


def options_of(settings: RedisSettings) -> dict[str, Any]:
    """Return what a pool takes to connect as the URL says.

    Raises ConfigurationError, which names the option and holds no value that may be secret.
    """
    url = settings.url.get_secret_value() if settings.url else ""
    given = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    for name in given:
        if name not in _TAKEN and name not in _OURS and name not in _LEFT_TO_REDIS:
            raise _wrong(f"holds {name!r}, which is no option")
    plain = sorted(name for name in given if name.startswith("ssl_"))
    if plain and urlsplit(url).scheme != "rediss":
        raise _wrong(
            f"holds {plain[0]!r} and asks for no TLS; write rediss:// in the place of its scheme"
        )
    if _truth(given.get("single_connection_client", "")):
        raise _wrong("must not hold single_connection_client: threads and forks would mix answers")
    ignored = sorted(given.keys() & _OURS)
    if ignored:
        logger.warning("REDIS_URL holds %s; REDIS_TIMEOUT bounds a call", " and ".join(ignored))
    try:
        taken = {name: read(given[name]) for name, read in _TAKEN.items() if name in given}
        options = parse_url(url) | taken
    except ValueError as error:
        # Raised out here: the text of some errors repeats the value.
        rule = (
            str(error) if isinstance(error, _WrongOptionError) else "holds an option that is wrong"
        )
    else:
        _check_database(url)
        return {"max_connections": CONNECTIONS} | _without(options, _OURS)
    raise _wrong(rule)


class _WrongOptionError(ValueError):
    """An option has a value that it cannot have."""


def _check_database(url: str) -> None:
    # redis-py would take database 0 for a path that is no number.
    parts = urlsplit(url)
    if parts.scheme != "unix" and not re.fullmatch(r"/?\d*", unquote(parts.path), re.ASCII):
        raise _wrong("must name its database by a number, as in redis://host:6379/0")


def _without(options: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def _wrong(rule: str) -> ConfigurationError:
    return ConfigurationError([Problem("redis.url", rule, names=("REDIS_URL",))])


def _truth(value: str) -> bool:
    return _boolean("")(value)


def _boolean(name: str) -> Callable[[str], bool]:
    def read(value: str) -> bool:
        if value.lower() not in (*_TRUE, *_FALSE):
            raise _WrongOptionError(f"must give {name} as true or false")
        return value.lower() in _TRUE

    return read


def _number(name: str, least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not least <= int(value) <= most:
            raise _WrongOptionError(f"must give {name} as a number from {least} to {most}")
        return int(value)

    return read


def _certificate(value: str) -> str:
    if value not in {"required", "optional", "none"}:
        raise _WrongOptionError("must give ssl_cert_reqs as required, optional or none")
    return value


def _tls_version(value: str) -> ssl.TLSVersion:
    if value not in {"771", "772"}:
        raise _WrongOptionError("must give ssl_min_version as 771 (TLS 1.2) or 772 (TLS 1.3)")
    return ssl.TLSVersion(int(value))


_TAKEN: dict[str, Callable[[str], Any]] = {
    "max_connections": _number("max_connections", 1, 10_000),
    "protocol": _number("protocol", 2, 3),
    "db": _number("db", 0, 999_999_999),
    "decode_responses": _boolean("decode_responses"),
    "legacy_responses": _boolean("legacy_responses"),
    "socket_keepalive": _boolean("socket_keepalive"),
    "ssl_cert_reqs": _certificate,
    "ssl_check_hostname": _boolean("ssl_check_hostname"),
    "ssl_min_version": _tls_version,
}
_LEFT_TO_REDIS = frozenset(
    {
        "username",
        "password",
        "client_name",
        "encoding",
        "encoding_errors",
        "socket_read_size",
        "ssl_keyfile",
        "ssl_certfile",
        "ssl_include_verify_flags",
        "ssl_exclude_verify_flags",
        "ssl_ca_certs",
        "ssl_ca_data",
        "ssl_ca_path",
        "ssl_password",
        "ssl_ciphers",
    }
)
