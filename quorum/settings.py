"""The settings: one typed, frozen model, a group for each noun.

Annotations are no strings here: pydantic would compile each of them, a third of the import.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from quorum import profiles
from quorum.errors import ConfigurationError
from quorum.profiles import Origin
from quorum.profiles.urls import (
    AmqpUrl,
    Host,
    HttpUrl,
    MongoUrl,
    RedisUrl,
    SecretUrl,
    is_loopback,
    parse_url,
)
from quorum.profiles.variables import Names

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass

    class _Model(ModelMetaclass):
        """Pydantic's metaclass without its constructors, for checkers.

        They would ask for every required setting as an argument, and a source may have it:
        `AppSettings()` is right for `class AppSettings(Settings): stripe_key: SecretStr`.
        """

else:
    _Model = type(BaseModel)


# At most a day: more overflows the timers of some systems.
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]
Level = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "SILENT"]


def _one_address(value: str) -> str:
    if "@" not in value or any(character in value for character in "\r\n\0"):
        raise ValueError("must be one address such as Shop <shop@example.org>")
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class _Frozen:
    """Refuses to be changed, in an error that does not repeat the value as pydantic's would."""

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_"):
            raise ConfigurationError(
                f"{type(self).__name__}.{name} cannot be changed: settings are read once; "
                "give load() others"
            )
        super().__setattr__(name, value)


class Group(_Frozen, BaseModel):
    """The settings of one service. A field's variable is `prefix` and its name, in capitals."""

    # Built when first used and not at import, which would cost 10 ms.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        validate_by_name=True,
        defer_build=True,
    )

    noun: ClassVar[str] = ""
    prefix: ClassVar[str] = ""
    address_names: ClassVar[tuple[str, ...]] = ()

    @property
    def driver(self) -> str:
        """The name of the driver that serves: `memory` where no address is set."""
        return "memory"

    @property
    def public_address(self) -> str | None:
        """Where the server is, without user name, password or query; None without one."""
        return None


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


class _UrlGroup(Group):
    """A service that is reached by one URL."""

    @property
    def driver(self) -> str:
        return "server" if getattr(self, "url", None) else "memory"

    @property
    def public_address(self) -> str | None:
        url: SecretUrl | None = getattr(self, "url", None)
        return url.public if url else None


class MongoSettings(_UrlGroup):
    """The MongoDB server."""

    noun: ClassVar[str] = "mongo"
    prefix: ClassVar[str] = "MONGO_"
    address_names: ClassVar[tuple[str, ...]] = ("MONGO_URL",)

    url: Annotated[MongoUrl | None, Names("MONGO_URL", "MONGOLAB_URI", "MONGOHQ_URL")] = Field(
        default=None, description="mongodb:// or mongodb+srv:// URL"
    )
    database: str | None = Field(default=None, description="Database, where the URL names none")
    timeout: Seconds = Field(default=5.0, description="Seconds that one operation may take in all")


class RedisSettings(_UrlGroup):
    """The Redis server."""

    noun: ClassVar[str] = "redis"
    prefix: ClassVar[str] = "REDIS_"
    address_names: ClassVar[tuple[str, ...]] = ("REDIS_URL",)

    url: Annotated[RedisUrl | None, Names("REDIS_URL", "REDISTOGO_URL")] = Field(
        default=None, description="redis://, rediss:// or unix:// URL"
    )
    timeout: Seconds = Field(default=5.0, description="Seconds that one command may take in all")


class AmqpSettings(_UrlGroup):
    """The AMQP broker."""

    noun: ClassVar[str] = "amqp"
    prefix: ClassVar[str] = "AMQP_"
    address_names: ClassVar[tuple[str, ...]] = ("AMQP_URL",)

    url: Annotated[AmqpUrl | None, Names("RABBITMQ_URL", "CLOUDAMQP_URL", "AMQP_URL")] = Field(
        default=None, description="amqp:// or amqps:// URL, with its virtual host"
    )
    timeout: Seconds = Field(default=5.0, description="Seconds that one publish may take in all")


class StorageSettings(Group):
    """The bucket of an S3-compatible store."""

    noun: ClassVar[str] = "storage"
    prefix: ClassVar[str] = "AMAZON_"
    address_names: ClassVar[tuple[str, ...]] = ("AMAZON_BUCKET",)

    id: SecretStr | None = Field(default=None, description="Access key id")
    secret: SecretStr | None = Field(default=None, description="Secret access key")
    bucket: str | None = Field(default=None, description="Bucket")
    region: str | None = Field(default=None, description="Region")
    endpoint: HttpUrl | None = Field(default=None, description="URL of an S3-compatible server")
    timeout: Seconds = Field(
        default=5.0, description="Seconds that a request may go without progress"
    )

    @property
    def driver(self) -> str:
        return "s3" if self.bucket else "memory"

    @property
    def public_address(self) -> str | None:
        return f"{self.endpoint or 's3'}/{self.bucket}" if self.bucket else None


class PusherSettings(Group):
    """The Pusher application."""

    noun: ClassVar[str] = "pusher"
    prefix: ClassVar[str] = "PUSHER_"
    address_names: ClassVar[tuple[str, ...]] = ("PUSHER_APP_ID",)

    app_id: str | None = Field(default=None, description="Application id, digits only")
    key: SecretStr | None = Field(default=None, description="Application key")
    secret: SecretStr | None = Field(default=None, description="Application secret")
    cluster: str | None = Field(default=None, description="Cluster of Pusher")
    host: Host | None = Field(default=None, description="Host of a self-hosted server")
    port: Port | None = Field(default=None, description="Port of a self-hosted server")
    ssl: bool = Field(default=True, description="Whether to use https")
    timeout: Seconds = Field(default=5.0, description="Seconds that one call may take in all")

    @property
    def driver(self) -> str:
        return "remote" if self.app_id else "memory"

    @property
    def public_address(self) -> str | None:
        if not self.app_id:
            return None
        return f"{self.host or self.cluster or 'pusher'}/apps/{self.app_id}"


class Settings(_Frozen, BaseSettings, metaclass=_Model):
    """Everything that can be set, read from the first of these that has a value.

    Arguments, the environment, SECRETS_DIR (one file a variable), config/<instance>.env, .env,
    config/<instance>.yml, config/base.yml, quorum.json, the default. An app adds its own in a
    subclass: `class AppSettings(Settings): stripe_key: SecretStr` is set by STRIPE_KEY.

    Raises ConfigurationError that lists every problem at once. `_config_path` is the folder of
    the profiles, `_root` the folder of the project, `_defaults` what a caller knows best.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        validate_by_name=True,
        defer_build=True,
    )

    name: str = Field(default="app", description="Names the app inside; suffixed with the instance")
    instance: str | None = Field(
        default=None, description="Keeps instances apart; picks the profile"
    )
    level: Annotated[Level, BeforeValidator(_upper)] = Field(
        default="INFO", description="Level of the log; below INFO means development"
    )
    debug: bool = Field(default=False, description="Deprecated: set LEVEL=DEBUG")
    host: str = Field(default="127.0.0.1", description="Address that `quorum run` listens on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=5000, description="Port that `quorum run` listens on; 0: any that is free"
    )
    server: Literal["auto", "werkzeug", "waitress"] = Field(
        default="auto",
        description="Server of `quorum run`; auto: werkzeug in development, else waitress",
    )
    server_options: Annotated[dict[str, str], Names("SERVER_<X>")] = Field(
        default_factory=dict, description="SERVER_<X> is handed to the server as x"
    )
    secret_key: SecretStr | None = Field(default=None, description="Signs sessions and tokens")
    base_url: HttpUrl | None = Field(default=None, description="Public URL of the app")
    force_ssl: bool = Field(default=False, description="Redirect http to https")
    embedded: Literal["auto", "never"] = Field(
        default="auto",
        description="auto: a service without an address uses its twin; never: an error",
    )
    data_path: Path | None = Field(
        default=None, description="Folder in which embedded twins keep data"
    )
    mailer: MailerSettings = Field(default_factory=MailerSettings)
    mongo: MongoSettings = Field(default_factory=MongoSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    amqp: AmqpSettings = Field(default_factory=AmqpSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    pusher: PusherSettings = Field(default_factory=PusherSettings)

    _origins: dict[str, tuple[Origin, ...]] = {}

    def __init__(
        self,
        *,
        _config_path: str | Path | None = None,
        _root: str | Path | None = None,
        _defaults: dict[str, Any] | None = None,
        **values: Any,
    ) -> None:
        profile = profiles.read(
            type(self), values, root=_root, config_path=_config_path, defaults=_defaults or {}
        )
        problems = list(profile.problems)
        try:
            super().__init__(**profile.values)
        except ValidationError as error:
            problems += profiles.explain(error, profile)
        # Raised out here, so that no pydantic error, which holds the values, hangs on ours.
        if problems:
            raise ConfigurationError(problems)
        for text in profile.warnings:
            warnings.warn(text, profiles.ConfigurationWarning, stacklevel=2)
        self._origins = profile.origins

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the sources to `profiles`, which knows the order and takes URLs apart."""
        return (init_settings,)

    @property
    def origins(self) -> dict[str, tuple[Origin, ...]]:
        """Where each setting that is set comes from: the winner first, then what it overrode."""
        return self._origins

    @property
    def development(self) -> bool:
        """Whether the level is below INFO."""
        return self.level in {"TRACE", "DEBUG"}
