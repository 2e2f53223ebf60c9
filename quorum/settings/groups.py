"""The settings of the services that are reached by a URL or by keys.

Annotations are no strings here: pydantic would compile each of them, a third of the import.
"""

import re
from typing import Annotated, ClassVar, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from quorum.profiles.urls import AmqpUrl, Host, HttpUrl, MongoUrl, RedisUrl, SecretUrl
from quorum.profiles.variables import Names
from quorum.settings.base import Group, Port, Seconds, UrlGroup

_REFUSED = {
    "w": "must not hold w=0, which confirms no write; leave w out",
    "timeoutms": "must not hold timeoutMS=0, which waits for ever; set MONGO_TIMEOUT",
}


def _bounded_and_confirmed(url: SecretUrl) -> SecretUrl:
    # Cut as pymongo does: for urllib the options would end at a `#`, and `;` part none.
    for option in re.split("[&;]", url.get_secret_value().partition("?")[2]):
        name, _, value = option.partition("=")
        if name.lower() in _REFUSED and re.fullmatch("0+", unquote(value).strip()):
            raise ValueError(_REFUSED[name.lower()])
    return url


def _database_name(value: str) -> str:
    # https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
    if not 0 < len(value.encode()) < 64 or set(value) & set('/\\. "$*<>:|?\0'):  # noqa: PLR2004
        raise ValueError('must be of 1 to 63 bytes, without / \\ . " $ * < > : | ? and blanks')
    return value


class MongoSettings(UrlGroup):
    """The MongoDB server."""

    noun: ClassVar[str] = "mongo"
    prefix: ClassVar[str] = "MONGO_"
    address_names: ClassVar[tuple[str, ...]] = ("MONGO_URL",)

    url: Annotated[
        Annotated[MongoUrl, AfterValidator(_bounded_and_confirmed)] | None,
        Names("MONGO_URL", "MONGOLAB_URI", "MONGOHQ_URL"),
    ] = Field(default=None, description="mongodb:// or mongodb+srv:// URL")
    database: Annotated[str, AfterValidator(_database_name)] | None = Field(
        default=None, description="Database, where the URL names none; suffixed with the instance"
    )
    timeout: Seconds = Field(default=5.0, description="Seconds that one operation may take in all")

    @property
    def named_database(self) -> str | None:
        """The database that the URL names, else that of MONGO_DATABASE."""
        path = urlsplit(self.url.get_secret_value()).path.lstrip("/") if self.url else ""
        return unquote(path).partition(".")[0] or self.database


class RedisSettings(UrlGroup):
    """The Redis server."""

    noun: ClassVar[str] = "redis"
    prefix: ClassVar[str] = "REDIS_"
    address_names: ClassVar[tuple[str, ...]] = ("REDIS_URL",)

    url: Annotated[RedisUrl | None, Names("REDIS_URL", "REDISTOGO_URL")] = Field(
        default=None, description="redis://, rediss:// or unix:// URL"
    )
    timeout: Seconds = Field(default=5.0, description="Seconds that one command may take in all")


class AmqpSettings(UrlGroup):
    """The AMQP broker."""

    noun: ClassVar[str] = "amqp"
    prefix: ClassVar[str] = "AMQP_"
    address_names: ClassVar[tuple[str, ...]] = ("AMQP_URL",)

    url: Annotated[AmqpUrl | None, Names("RABBITMQ_URL", "CLOUDAMQP_URL", "AMQP_URL")] = Field(
        default=None, description="amqp:// or amqps:// URL, with its virtual host"
    )
    timeout: Seconds = Field(default=5.0, description="Seconds that one publish may take in all")


def _with_both_keys(bucket: str, info: ValidationInfo) -> str:
    if (info.data.get("id") is None) != (info.data.get("secret") is None):
        raise ValueError("needs both AMAZON_ID and AMAZON_SECRET, or neither")
    return bucket


class StorageSettings(Group):
    """The bucket of an S3-compatible store."""

    noun: ClassVar[str] = "storage"
    prefix: ClassVar[str] = "AMAZON_"
    address_names: ClassVar[tuple[str, ...]] = ("AMAZON_BUCKET",)

    id: SecretStr | None = Field(default=None, description="Access key id")
    secret: SecretStr | None = Field(default=None, description="Secret access key")
    bucket: Annotated[str, AfterValidator(_with_both_keys)] | None = Field(
        default=None, description="Bucket"
    )
    region: str | None = Field(default=None, description="Region")
    endpoint: HttpUrl | None = Field(default=None, description="URL of an S3-compatible server")
    timeout: Seconds = Field(
        default=5.0, description="Seconds that a request may go without progress"
    )
    checksums: Literal["when_supported", "when_required"] = Field(
        default="when_supported",
        description="when_required: for S3-compatible servers that refuse checksum headers",
    )

    @property
    def driver(self) -> str:
        return "s3" if self.bucket else "memory"

    @property
    def public_address(self) -> str | None:
        return f"{self.endpoint or 's3'}/{self.bucket}" if self.bucket else None


def _digits(app_id: str) -> str:
    if not re.fullmatch("[0-9]+", app_id):
        raise ValueError("must be the number of the application, digits alone")
    return app_id


def _with_application(value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    # The key stands in URLs as it is.
    if value and not re.fullmatch("[A-Za-z0-9_.~-]+", value.get_secret_value()):
        raise ValueError("must be of letters, digits, '-', '_', '.' and '~'")
    if info.data.get("app_id") is not None and not (value and value.get_secret_value()):
        raise ValueError("is needed too where PUSHER_APP_ID is set")
    return value


def _label(cluster: str) -> str:
    # It becomes a part of a host name: api-<cluster>.pusher.com.
    if not re.fullmatch("[A-Za-z0-9](?:[A-Za-z0-9-]{0,57}[A-Za-z0-9])?", cluster):
        raise ValueError("must be the name of a cluster, such as eu, of letters, digits and '-'")
    return cluster


class PusherSettings(Group):
    """The Pusher application."""

    noun: ClassVar[str] = "pusher"
    prefix: ClassVar[str] = "PUSHER_"
    address_names: ClassVar[tuple[str, ...]] = ("PUSHER_APP_ID",)

    app_id: Annotated[str, AfterValidator(_digits)] | None = Field(
        default=None, description="Application id, digits only"
    )
    key: Annotated[SecretStr | None, AfterValidator(_with_application)] = Field(
        default=None, validate_default=True, description="Application key"
    )
    secret: Annotated[SecretStr | None, AfterValidator(_with_application)] = Field(
        default=None, validate_default=True, description="Application secret"
    )
    cluster: Annotated[str, AfterValidator(_label)] | None = Field(
        default=None, description="Cluster of Pusher, such as eu"
    )
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
        place = f"{self.host}:{self.port}" if self.host and self.port else self.host
        return f"{place or self.cluster or 'pusher'}/apps/{self.app_id}"


class TasksSettings(Group):
    """The background work."""

    noun: ClassVar[str] = "tasks"
    prefix: ClassVar[str] = "TASKS_"
    address_names: ClassVar[tuple[str, ...]] = ("TASKS",)

    engine: Annotated[Literal["threads", "dramatiq", "eager"], Names("TASKS")] = Field(
        default="threads",
        description="threads: of this process; dramatiq: workers on RabbitMQ or Redis; eager",
    )
    threads: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=8, description="Jobs that one process runs at once"
    )
    limit: Annotated[int, Field(ge=1)] = Field(
        default=10_000, description="Jobs that may wait in one process; more are refused"
    )
    timeout: Seconds = Field(
        default=5.0, description="Seconds that running jobs have to end in when the app stops"
    )

    @property
    def driver(self) -> str:
        return self.engine

    @property
    def alone(self) -> bool:
        return self.engine != "dramatiq"
