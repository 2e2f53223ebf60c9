"""The table of settings: which variable sets what."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import AliasChoices, BaseModel, Field, SecretStr

from quorum.profiles.variables import Names, group_of, table_of
from quorum.settings import Settings

DOCUMENTED = {
    "NAME": "name",
    "INSTANCE": "instance",
    "LEVEL": "level",
    "DEBUG": "debug",
    "HOST": "host",
    "PORT": "port",
    "SERVER": "server",
    "SECRET_KEY": "secret_key",
    "BASE_URL": "base_url",
    "FORCE_SSL": "force_ssl",
    "EMBEDDED": "embedded",
    "DATA_PATH": "data_path",
    "SMTP_URL": "mailer.url",
    "SMTP_HOST": "mailer.host",
    "SMTP_PORT": "mailer.port",
    "SMTP_USER": "mailer.user",
    "SMTP_PASSWORD": "mailer.password",
    "SMTP_STARTTLS": "mailer.starttls",
    "SMTP_SENDER": "mailer.sender",
    "SMTP_TIMEOUT": "mailer.timeout",
    "MONGO_URL": "mongo.url",
    "MONGOLAB_URI": "mongo.url",
    "MONGOHQ_URL": "mongo.url",
    "MONGO_DATABASE": "mongo.database",
    "MONGO_TIMEOUT": "mongo.timeout",
    "REDIS_URL": "redis.url",
    "REDISTOGO_URL": "redis.url",
    "REDIS_TIMEOUT": "redis.timeout",
    "RABBITMQ_URL": "amqp.url",
    "CLOUDAMQP_URL": "amqp.url",
    "AMQP_URL": "amqp.url",
    "AMQP_TIMEOUT": "amqp.timeout",
    "AMAZON_ID": "storage.id",
    "AMAZON_SECRET": "storage.secret",
    "AMAZON_BUCKET": "storage.bucket",
    "AMAZON_REGION": "storage.region",
    "AMAZON_ENDPOINT": "storage.endpoint",
    "AMAZON_TIMEOUT": "storage.timeout",
    "PUSHER_APP_ID": "pusher.app_id",
    "PUSHER_KEY": "pusher.key",
    "PUSHER_SECRET": "pusher.secret",
    "PUSHER_CLUSTER": "pusher.cluster",
    "PUSHER_HOST": "pusher.host",
    "PUSHER_PORT": "pusher.port",
    "PUSHER_SSL": "pusher.ssl",
    "PUSHER_TIMEOUT": "pusher.timeout",
}


@pytest.mark.parametrize(("name", "path"), DOCUMENTED.items())
def test_a_documented_variable_sets_its_setting(name: str, path: str):
    """Every documented variable stands in the table at the setting it is documented for."""
    assert name in table_of(Settings)[path].names


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("mongo.url", ("MONGO_URL", "MONGOLAB_URI", "MONGOHQ_URL")),
        ("redis.url", ("REDIS_URL", "REDISTOGO_URL")),
        ("amqp.url", ("RABBITMQ_URL", "CLOUDAMQP_URL", "AMQP_URL")),
    ],
)
def test_the_names_of_a_url_stand_in_order(path: str, names: tuple[str, ...]):
    """Of several names for one URL, the first in the table wins."""
    assert table_of(Settings)[path].names == names


def test_no_variable_sets_two_things():
    """Each name stands in the table once."""
    names = [name for item in table_of(Settings).values() for name in item.names]

    assert len(names) == len(set(names))


def test_every_setting_says_what_it_means():
    """Each field of the settings and of their groups has a description, for the reference."""
    groups = [group_of(Settings, name) for name in Settings.model_fields]
    models: list[type[BaseModel]] = [Settings, *filter(None, groups)]
    silent = [
        f"{model.__name__}.{name}"
        for model in models
        for name, info in model.model_fields.items()
        if not info.description and group_of(model, name) is None
    ]

    assert silent == []


def test_passwords_secrets_and_urls_are_secret():
    """The table knows what must not be shown."""
    assert {path for path, item in table_of(Settings).items() if item.secret} == {
        "secret_key",
        "mailer.url",
        "mailer.user",
        "mailer.password",
        "mongo.url",
        "redis.url",
        "amqp.url",
        "storage.id",
        "storage.secret",
        "pusher.key",
        "pusher.secret",
    }


class Billing(BaseModel):
    """A group of an application's own."""

    key: SecretStr | None = None
    hosts: list[str] = []


class Own(BaseModel):
    """Settings of every kind."""

    plain: str = ""
    many: list[str] = []
    optional: tuple[str, ...] | None = None
    annotated: Annotated[set[str], Field()] = set()
    bounded: Annotated[list[str], Field(min_length=1)] | None = None
    mapped: dict[str, int] = {}
    keys: list[SecretStr] = []
    raw: bytes = b""
    billing: Billing = Billing()
    optional_billing: Billing | None = None
    named: Annotated[str, Names("FIRST", "SECOND")] = ""
    aliased: str = Field(default="", validation_alias="STRIPE_TOKEN")
    chosen: str = Field(default="", validation_alias=AliasChoices("NEW", "OLD"))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("plain", "text"),
        ("raw", "text"),
        ("many", "list"),
        ("optional", "list"),
        ("annotated", "list"),
        ("bounded", "list"),
        ("keys", "list"),
        ("mapped", "map"),
        ("billing.hosts", "list"),
    ],
)
def test_lists_and_maps_are_known(path: str, kind: str):
    """A setting is a list or a map whether it is annotated, optional or in a group."""
    assert table_of(Own)[path].kind == kind


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("plain", ("PLAIN",)),
        ("billing.key", ("BILLING_KEY",)),
        ("optional_billing.key", ("OPTIONAL_BILLING_KEY",)),
        ("named", ("FIRST", "SECOND")),
        ("aliased", ("STRIPE_TOKEN",)),
        ("chosen", ("NEW", "OLD")),
    ],
)
def test_a_setting_is_named_after_its_group(path: str, names: tuple[str, ...]):
    """Group and field in capitals, unless `Names` or `validation_alias` say otherwise."""
    assert table_of(Own)[path].names == names


def test_a_list_of_secrets_is_secret():
    """What is secret inside of a list or an option is secret."""
    secret = {path for path, item in table_of(Own).items() if item.secret}

    assert secret == {"keys", "billing.key", "optional_billing.key"}
