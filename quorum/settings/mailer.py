"""The settings of the mailer.

Annotations are no strings here: pydantic would compile each of them, a third of the import.
"""

from typing import Annotated, Any, ClassVar
from urllib.parse import unquote

from pydantic import AfterValidator, Field, SecretStr

from quorum.profiles.urls import Host, is_loopback, parse_url
from quorum.settings.base import Group, Port, Seconds


def _one_address(value: str) -> str:
    if "@" not in value or any(character in value for character in "\r\n\0"):
        raise ValueError("must be one address such as Shop <shop@example.org>")
    return value


class MailerSettings(Group):
    """Where mail goes out, and as whom."""

    noun: ClassVar[str] = "mailer"
    prefix: ClassVar[str] = "SMTP_"
    address_names: ClassVar[tuple[str, ...]] = ("SMTP_URL", "SMTP_HOST")
    url_parts: ClassVar[tuple[str, ...]] = ("host", "port", "user", "password", "starttls", "tls")

    host: Host | None = Field(
        default=None, description="Host name or address of the server, `host[:port]`"
    )
    port: Port | None = Field(
        default=None, description="Port; 587 with a user, else 25; 465 with TLS"
    )
    user: SecretStr | None = Field(
        default=None, description="User name, if the server asks for one"
    )
    password: SecretStr | None = Field(default=None, description="Password of the user")
    starttls: bool | None = Field(
        default=None,
        description="true: required; false: mail and password may travel in clear; "
        "unset: required but on this machine",
    )
    tls: bool = Field(
        default=False, description="TLS from the first byte; smtps:// and port 465 imply it"
    )
    sender: Annotated[str, AfterValidator(_one_address)] | None = Field(
        default=None, description="From address of mails that name none"
    )
    timeout: Seconds = Field(default=5.0, description="Seconds that one mail may take in all")

    @classmethod
    def take_apart(cls, url: str) -> dict[str, Any]:
        """Return the settings that an SMTP URL holds. Raises ValueError for a malformed one."""
        parts = parse_url(url, ("smtp", "smtps"))
        if not parts.hostname:
            raise ValueError("names no host")
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError(
                "must not hold a path or query; what they say has a setting of its own"
            )
        found: dict[str, Any] = {"host": parts.hostname, "port": parts.port}
        found["user"] = unquote(parts.username) if parts.username else None
        found["password"] = unquote(parts.password) if parts.password else None
        found["tls"] = True if parts.scheme == "smtps" else None
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def split_host(cls, host: str) -> dict[str, Any]:
        """Return host and port of `host[:port]`; an IPv6 address with a port is in brackets."""
        if host.startswith("["):
            address, _, port = host[1:].partition("]")
            port = port.removeprefix(":")
        elif host.count(":") == 1:
            address, _, port = host.partition(":")
        else:
            address, port = host, ""
        return {"host": address} | ({"port": port} if port else {})

    @property
    def implicit_tls(self) -> bool:
        """Whether TLS starts with the first byte (RFC 8314, section 3.3)."""
        return self.tls or self.port == 465  # noqa: PLR2004

    @property
    def resolved_port(self) -> int:
        """The port, or the usual one: 465 with TLS, 587 to submit with a user, else 25."""
        if self.port is not None:
            return self.port
        if self.tls:
            return 465
        return 587 if self.user else 25

    @property
    def on_this_machine(self) -> bool:
        """Whether the host can only be this machine; no name is looked up."""
        return self.host is not None and is_loopback(self.host)

    @property
    def driver(self) -> str:
        return "smtp" if self.host else "memory"

    @property
    def public_address(self) -> str | None:
        if not self.host:
            return None
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.resolved_port}"
