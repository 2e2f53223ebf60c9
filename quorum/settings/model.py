"""The settings: one typed, frozen model.

Annotations are no strings here: pydantic would compile each of them, a third of the import.
"""

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from quorum import profiles
from quorum.errors import ConfigurationError
from quorum.profiles import Origin
from quorum.profiles.urls import HttpUrl
from quorum.profiles.variables import Names
from quorum.settings.base import CONFIG, Frozen
from quorum.settings.groups import (
    AmqpSettings,
    MongoSettings,
    PusherSettings,
    RedisSettings,
    StorageSettings,
    TasksSettings,
)
from quorum.settings.mailer import MailerSettings

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass

    class _Model(ModelMetaclass):
        """Pydantic's metaclass without its constructors, for checkers.

        They would ask for every required setting as an argument, and a source may have it:
        `AppSettings()` is right for `class AppSettings(Settings): stripe_key: SecretStr`.
        """

else:
    _Model = type(BaseModel)


Level = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "SILENT"]


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class Settings(Frozen, BaseSettings, metaclass=_Model):
    """Everything that can be set, read from the first of these that has a value.

    Arguments, the environment, SECRETS_DIR (one file a variable), config/<instance>.env, .env,
    config/<instance>.yml, config/base.yml, quorum.json, the default. An app adds its own in a
    subclass: `class AppSettings(Settings): stripe_key: SecretStr` is set by STRIPE_KEY.

    Raises ConfigurationError that lists every problem at once. `_config_path` is the folder of
    the profiles, `_root` the folder of the project, `_defaults` what a caller knows best.
    """

    model_config = SettingsConfigDict(**CONFIG)  # type: ignore[typeddict-item] # the keys of both

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
    tasks: TasksSettings = Field(default_factory=TasksSettings)

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
    def mongo_database(self) -> str:
        """The database of the application: the one that is named, else as the application."""
        named, suffix = self.mongo.named_database, f"-{self.instance}" if self.instance else ""
        if named is None:
            # An import name has dots, which a database must not; one has at most 63 bytes.
            own = re.sub(r"[^A-Za-z0-9_-]", "_", self.name.removesuffix(suffix))
            named = own[: 63 - len(suffix)]
        return named + suffix

    @property
    def development(self) -> bool:
        """Whether the level is below INFO."""
        return self.level in {"TRACE", "DEBUG"}
