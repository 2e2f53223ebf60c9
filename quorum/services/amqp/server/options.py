"""What AMQP_URL may hold, and what pika makes of it."""

from __future__ import annotations

import ast
import logging
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import pika

from quorum.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from quorum.settings import AmqpSettings

logger = logging.getLogger("quorum.amqp")

HEARTBEAT = 10
_NONE = "0"
_LONGEST = 255
_NUMBERS = {
    "heartbeat": (0, 600),
    "channel_max": (16, 65_535),
    "frame_max": (4_096, 131_072),
}
_FILES = {"cafile", "certfile", "keyfile"}
_TLS = _FILES | {"server_hostname", "password", "ciphers"}
_OTHER_NAMES = {
    "cacertfile": "cafile",
    "ca_certs": "cafile",
    "server_name_indication": "server_hostname",
}
_OURS = {
    "blocked_connection_timeout",
    "connection_attempts",
    "connection_timeout",
    "retry_delay",
    "socket_timeout",
    "stack_timeout",
    "tcp_options",
}


@dataclass(frozen=True)
class Options:
    """What a URL says of its connections; `tls` is None where it asks for none."""

    host: str
    port: int
    virtual_host: str
    user: str
    password: str = field(repr=False)
    numbers: dict[str, int]
    tls: dict[str, str] | None = field(repr=False)


def check_options(settings: AmqpSettings) -> None:
    """Raise ConfigurationError if the URL cannot be taken; nothing is connected to."""
    given = _query(settings)
    if ignored := sorted(given.keys() & _OURS):
        logger.warning("AMQP_URL holds %s; AMQP_TIMEOUT bounds a call", " and ".join(ignored))
    if given.get("heartbeat") == _NONE:
        logger.warning(
            "AMQP_URL holds heartbeat=0; it is %d s, or nobody would see the end", HEARTBEAT
        )
    options_of(settings)


def options_of(settings: AmqpSettings) -> Options:
    """Return what the URL says. Raises ConfigurationError, without a value that may be secret."""
    parts = _parts(settings)
    given = _query(settings)
    for name in given:
        known = name in _NUMBERS or name in _OURS or name == "ssl_options"
        if not known and _OTHER_NAMES.get(name, name) not in _TLS:
            raise _wrong(f"holds {name!r}, which is no option")
    secure = parts.scheme == "amqps"
    tls = _tls_of(given)
    if tls and not secure:
        raise _wrong("holds options of TLS and asks for none; write amqps:// as its scheme")
    user, password = _userinfo(parts)
    return Options(
        parts.hostname or "localhost",
        parts.port or (5671 if secure else 5672),
        _virtual_host(parts.path),
        user,
        password,
        _numbers(given),
        tls if secure else None,
    )


def parameters_of(settings: AmqpSettings) -> pika.ConnectionParameters:
    """Return how pika connects as the URL says, each try within AMQP_TIMEOUT."""
    options = options_of(settings)
    return pika.ConnectionParameters(
        host=options.host,
        port=options.port,
        virtual_host=options.virtual_host,
        credentials=pika.PlainCredentials(options.user, options.password),
        connection_attempts=1,
        socket_timeout=settings.timeout,
        stack_timeout=settings.timeout,
        ssl_options=None if options.tls is None else _verified(options.tls),
        **options.numbers,
    )


def _parts(settings: AmqpSettings) -> SplitResult:
    return urlsplit(settings.url.get_secret_value() if settings.url else "")


def _query(settings: AmqpSettings) -> dict[str, str]:
    return dict(parse_qsl(_parts(settings).query, keep_blank_values=True))


def _wrong(rule: str) -> ConfigurationError:
    return ConfigurationError([Problem("amqp.url", rule, names=("AMQP_URL",))])


def _numbers(given: dict[str, str]) -> dict[str, int]:
    found = {name: _number(name, given[name]) for name in _NUMBERS if name in given}
    # Without heartbeats a consumer would wait for ever on a connection that is dead.
    return found | {"heartbeat": found.get("heartbeat") or HEARTBEAT}


def _number(name: str, value: str) -> int:
    least, most = _NUMBERS[name]
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not least <= int(value) <= most:
        raise _wrong(f"must give {name} as a number from {least} to {most}")
    return int(value)


def _virtual_host(path: str) -> str:
    # https://www.rabbitmq.com/docs/uri-spec, but that a lone slash stands for the default one.
    if "/" in path[1:]:
        raise _wrong("must name one virtual host; write %2f for a / in its name")
    name = unquote(path[1:]) or "/"
    if len(name.encode()) > _LONGEST or "\0" in name:
        raise _wrong(f"must name a virtual host of at most {_LONGEST} bytes")
    return name


def _userinfo(parts: SplitResult) -> tuple[str, str]:
    if parts.username is None:
        return "guest", "guest"
    user, password = unquote(parts.username), unquote(parts.password or "")
    if "\0" in user + password:
        raise _wrong("must not hold a %00 in user or password")
    return user, password


def _tls_of(given: dict[str, str]) -> dict[str, str]:
    """Return the options of TLS: single ones, or all as a dict of Python, as pika takes them."""
    single = {name: value for name, value in given.items() if _OTHER_NAMES.get(name, name) in _TLS}
    found = {_OTHER_NAMES.get(name, name): value for name, value in single.items()}
    for name, value in _literal(given.get("ssl_options", "{}")).items():
        known = _OTHER_NAMES.get(str(name), str(name))
        if known not in _TLS or not isinstance(value, str):
            raise _wrong(f"holds {str(name)[:40]!r} in ssl_options, which is no option or no text")
        found[known] = value
    for name in sorted(_FILES & found.keys()):
        if not Path(found[name]).is_file():
            raise _wrong(f"must give {name} as the path of a file that is there")
    if "keyfile" in found and "certfile" not in found:
        raise _wrong("must give certfile beside keyfile")
    return found


def _literal(text: str) -> dict[object, object]:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        found = None
    if isinstance(found, dict):
        return found
    # Raised out here: the text of the other error may hold the password of a key.
    raise _wrong("must give ssl_options as a dict of Python, such as {'cafile': 'ca.pem'}")


def _verified(options: dict[str, str]) -> pika.SSLOptions:
    try:
        context = ssl.create_default_context(cafile=options.get("cafile"))
        if "certfile" in options:
            password = options.get("password", "")
            context.load_cert_chain(options["certfile"], options.get("keyfile"), lambda: password)
        if "ciphers" in options:
            context.set_ciphers(options["ciphers"])
    except (OSError, ValueError):
        fault = _wrong("holds a certificate, a key or ciphers that TLS cannot load")
    else:
        return pika.SSLOptions(context, options.get("server_hostname"))
    raise fault
