"""A password in the settings shows nowhere, where it is right and where it is wrong."""

from __future__ import annotations

import copy
import json
import logging
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from quorum import ConfigurationError, Group, Settings
from quorum.profiles.variables import table_of
from quorum.settings import MailerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MARKER = "hunter2marker"

URLS = {
    "SMTP_URL": "smtp",
    "MONGO_URL": "mongodb",
    "MONGOLAB_URI": "mongodb+srv",
    "MONGOHQ_URL": "mongodb",
    "REDIS_URL": "redis",
    "REDISTOGO_URL": "rediss",
    "RABBITMQ_URL": "amqp",
    "CLOUDAMQP_URL": "amqps",
    "AMQP_URL": "amqp",
    "BASE_URL": "https",
    "AMAZON_ENDPOINT": "http",
}
SECRETS = {
    "SECRET_KEY",
    "SMTP_USER",
    "SMTP_PASSWORD",
    "AMAZON_ID",
    "AMAZON_SECRET",
    "PUSHER_KEY",
    "PUSHER_SECRET",
}
# Any text is right for these, and they are no secrets: they may be shown.
FREE = {
    "NAME",
    "INSTANCE",
    "HOST",
    "DATA_PATH",
    "SMTP_HOST",
    "SMTP_SENDER",
    "MONGO_DATABASE",
    "AMAZON_BUCKET",
    "AMAZON_REGION",
    "PUSHER_CLUSTER",
    "PUSHER_HOST",
    "SERVER_<X>",
    # A value that is no boolean counts as false.
    "DEBUG",
}
RULED = {name for item in table_of(Settings).values() for name in item.names} - FREE - SECRETS

PASSWORDS = [
    MARKER,
    f"{MARKER}/x",
    f"x/{MARKER}",
    f"12/{MARKER}",
    f"x@{MARKER}",
    f"{MARKER}@x",
    f"x#{MARKER}",
    f"12#{MARKER}",
    f"x?{MARKER}",
    f"12?{MARKER}",
    f"x:{MARKER}",
    f"x[{MARKER}",
    f"x]{MARKER}",
    f"x {MARKER}",
    f"x\n{MARKER}",
    f"x%{MARKER}",
    f"x℀{MARKER}",
]


def texts(thing: Any) -> Iterator[str]:
    """Give everything that a program may print of settings or of an error."""
    yield from (repr(thing), str(thing), f"{thing}", repr(vars(thing)))
    if isinstance(thing, Settings):
        yield thing.model_dump_json()
        yield repr(thing.model_dump())
        yield json.dumps(thing.model_dump(mode="json"))
        yield repr(thing.origins)
        yield repr(copy.deepcopy(thing))
        for name in type(thing).model_fields:
            group = getattr(thing, name)
            if isinstance(group, Group):
                yield from (repr(group), str(group), str(group.public_address))
                yield group.model_dump_json()
    if isinstance(thing, BaseException):
        yield repr(thing.args)
        # With the local variables of every frame, as error trackers record them.
        trace = traceback.TracebackException.from_exception(thing, capture_locals=True)
        yield "".join(trace.format())
        for each in (thing.__cause__, thing.__context__):
            yield from texts(each) if each is not None else ()
    if isinstance(thing, ConfigurationError):
        yield from (repr(thing.problems), "".join(map(str, thing.problems)))


def load(model: type[Settings] = Settings) -> tuple[Settings | ConfigurationError, list[str]]:
    """Load the settings, and return them or the error, and all that was warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found: Settings | ConfigurationError = model()
        except ConfigurationError as error:
            found = error
    return found, [str(each.message) for each in caught]


def assert_masked(thing: Any, warned: Sequence[str] = ()) -> None:
    """Fail where any text of a thing holds the marker."""
    leaks = [text for text in (*texts(thing), *warned) if MARKER in text]
    assert leaks == []


def put(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, name: str, value: str
) -> None:
    """Set a variable in one of the sources."""
    if source == "environment":
        monkeypatch.setenv(name, value)
    elif source == "secrets":
        monkeypatch.setenv("SECRETS_DIR", str(tmp_path / "secrets"))
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / name).write_text(value)
    elif source == "base.yml":
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "base.yml").write_text(json.dumps({name: value}))
    elif source == "quorum.json":
        (tmp_path / "quorum.json").write_text(json.dumps({name: value}))
    else:
        (tmp_path / ".env").write_text(f"{name}='{value}'\n")


SOURCES = ["environment", "secrets", ".env", "base.yml", "quorum.json"]


def test_every_variable_is_in_one_of_these_lists():
    """No setting is left out of this specification."""
    assert URLS.keys() <= RULED
    assert not RULED & (FREE | SECRETS)
    assert {name for item in table_of(Settings).values() if item.secret for name in item.names} == (
        SECRETS | URLS.keys() - {"BASE_URL", "AMAZON_ENDPOINT"}
    )


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_is_masked(monkeypatch, tmp_path: Path, source: str, name: str):
    """A secret setting loads from every source, and shows in no text of the settings."""
    put(monkeypatch, tmp_path, source, name, MARKER)

    settings, warned = load()

    assert isinstance(settings, Settings)
    assert_masked(settings, warned)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", sorted(RULED))
def test_a_wrong_value_is_masked(monkeypatch, tmp_path: Path, source: str, name: str):
    """A password in the place of a number, a URL or a choice is refused and not repeated."""
    put(monkeypatch, tmp_path, source, name, MARKER)

    error, warned = load()

    assert isinstance(error, ConfigurationError)
    assert_masked(error, warned)


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("name", sorted(URLS))
@pytest.mark.parametrize(
    "form", ["{scheme}://user:{password}@host:1", "{scheme}://{password}:x@host"]
)
def test_the_userinfo_of_a_url_is_masked(monkeypatch, name: str, password: str, form: str):
    """User and password of a URL show nowhere, whether the URL is well-formed or not."""
    monkeypatch.setenv(name, form.format(scheme=URLS[name], password=password))

    assert_masked(*load())


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("name", sorted(URLS))
def test_the_password_of_another_url_is_masked(monkeypatch, name: str, password: str):
    """A URL of a scheme that is not the setting's is refused without its password."""
    monkeypatch.setenv(name, f"ftp://user:{password}@host")

    error, warned = load()

    assert isinstance(error, ConfigurationError)
    assert_masked(error, warned)


@pytest.mark.parametrize(
    "url", [f"?password={MARKER}", f"?a=b@{MARKER}", f"#{MARKER}", f"?x={MARKER}#@"]
)
@pytest.mark.parametrize("name", sorted(URLS))
def test_the_query_of_a_url_is_masked(monkeypatch, name: str, url: str):
    """What stands behind `?` or `#` may be a password too."""
    monkeypatch.setenv(name, f"{URLS[name]}://host/{url}")

    assert_masked(*load())


@pytest.mark.parametrize("name", ["SMTP_HOST", "PUSHER_HOST"])
def test_a_user_in_the_place_of_a_host_is_masked(monkeypatch, name: str):
    """`user:password@host` is no host, and is refused unseen."""
    monkeypatch.setenv(name, f"user:{MARKER}@host")

    error, warned = load()

    assert isinstance(error, ConfigurationError)
    assert_masked(error, warned)


def test_all_secrets_are_masked_when_another_setting_is_wrong(monkeypatch):
    """The error about one setting holds nothing of the others."""
    for name in SECRETS:
        monkeypatch.setenv(name, MARKER)
    for name, scheme in URLS.items():
        monkeypatch.setenv(name, f"{scheme}://user:{MARKER}@host")
    monkeypatch.setenv("PORT", "many")

    error, warned = load()

    assert isinstance(error, ConfigurationError)
    assert_masked(error, warned)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config/base.yml", f"smtp_password: {MARKER}"),
        ("config/base.yml", f"mailer: {MARKER}"),
        ("config/base.yml", f"mailer: [{MARKER}]"),
        ("config/base.yml", f"secret_key: [{MARKER}]"),
        ("config/base.yml", f"secret_key: {{a: {MARKER}}}"),
        ("config/base.yml", f"secret_key: !{MARKER}"),
        ("config/base.yml", f"secret_key: *{MARKER}"),
        ("config/base.yml", f"secret_key: %{MARKER}"),
        ("config/base.yml", f"secret_key: {MARKER}\nsecret_key: {MARKER}"),
        ("config/base.yml", f"secret_key: {MARKER}\nSECRET_KEY: {MARKER}"),
        ("config/base.yml", f"- {MARKER}"),
        ("config/base.yml", f"instance: {MARKER}"),
        (".env", f"SECRET_KEY {MARKER}"),
        (".env", f"SECRET_KEY='{MARKER}"),
        ("quorum.json", f'{{"SECRET_KEY": {MARKER}}}'),
        ("quorum.json", f'{{"SECRET_KEY": ["{MARKER}"]}}'),
        ("quorum.json", f'["{MARKER}"]'),
    ],
)
def test_a_broken_file_is_not_quoted(tmp_path: Path, file: str, text: str):
    """A file that is not what it should be is told without its text."""
    (tmp_path / "config").mkdir()
    (tmp_path / file).write_text(text)

    error, warned = load()

    assert isinstance(error, ConfigurationError)
    assert_masked(error, warned)


def test_a_stray_variable_is_warned_about_without_its_value(monkeypatch):
    """The warning about SMTP_PASSWD names the variable only."""
    monkeypatch.setenv("SMTP_PASSWD", MARKER)

    settings, warned = load()

    assert len(warned) == 1
    assert_masked(settings, warned)


def test_debug_is_warned_about_without_its_value(monkeypatch):
    """The warning about a DEBUG that is no boolean does not repeat it."""
    monkeypatch.setenv("DEBUG", MARKER)

    settings, warned = load()

    assert len(warned) == 1
    assert_masked(settings, warned)


class Payment(Group):
    """A group of an application's own, with a secret."""

    prefix = "PAYMENT_"

    key: SecretStr | None = None


class Talkative(Settings):
    """Settings of an application, whose validators repeat what they are given."""

    stripe_key: SecretStr | None = None
    codes: list[str] = Field(default_factory=list)
    payment: Payment = Payment()

    @field_validator("stripe_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            raise ValueError(f"{value.get_secret_value()!r} does not begin with sk_")
        return value

    @field_validator("codes")
    @classmethod
    def _check_codes(cls, value: list[str]) -> list[str]:
        assert not value, f"bad codes {value}"
        return value

    @model_validator(mode="after")
    def _check_all(self) -> Talkative:
        if self.payment.key is not None:
            raise ValueError(f"key {self.payment.key.get_secret_value()} is not live")
        return self


@pytest.mark.parametrize("name", ["STRIPE_KEY", "CODES", "PAYMENT_KEY"])
def test_a_validator_that_repeats_a_value_is_masked(monkeypatch, name: str):
    """What an application's own validator says is told, with `…` in the place of the value."""
    monkeypatch.setenv(name, MARKER)

    error, warned = load(Talkative)

    assert isinstance(error, ConfigurationError)
    assert "…" in str(error)
    assert_masked(error, warned)


def test_secret_arguments_are_masked():
    """A secret that is given as an argument is masked as one that is read."""
    settings = Settings(
        secret_key=MARKER,
        mailer={"url": f"smtp://user:{MARKER}@host"},
        redis={"url": f"redis://:{MARKER}@host"},
        storage={"secret": SecretStr(MARKER)},
    )

    assert settings.mailer.password == SecretStr(MARKER)
    assert_masked(settings)


@pytest.mark.parametrize("value", [MARKER, [MARKER], {"a": MARKER}, SecretStr(MARKER), object()])
@pytest.mark.parametrize("name", ["port", "level", "mailer", "base_url", "nonsense"])
def test_wrong_arguments_are_masked(name: str, value: Any):
    """An argument of a wrong kind is refused, and its text is not in what the error says."""
    with pytest.raises(ConfigurationError) as caught:
        Settings(**{name: value})

    error = caught.value
    assert MARKER not in f"{error} {error!r} {error.problems!r}"
    assert error.__cause__ is error.__context__ is None


def test_nothing_is_logged(monkeypatch, caplog: pytest.LogCaptureFixture):
    """Loading settings writes no log, good or bad."""
    monkeypatch.setenv("SECRET_KEY", MARKER)
    monkeypatch.setenv("MONGO_URL", f"mongodb://u:{MARKER}@h")
    with caplog.at_level(logging.DEBUG):
        load()

    assert caplog.text == ""


def test_a_group_that_is_built_by_itself_hides_the_value():
    """The error of `MailerSettings(…)` has the rule, and no value in `str`, `errors()` or JSON."""
    with pytest.raises(ValidationError) as caught:
        MailerSettings(password=["marker-password"], port="marker-password")
    error = caught.value
    assert error.error_count() == 2
    assert "valid integer" in str(error)
    shown = f"{error!s}{error!r}{error.errors()}{error.json()}{error.__context__!r}"
    assert "marker-password" not in shown
