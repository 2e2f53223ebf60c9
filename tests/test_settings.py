"""The settings: one typed, frozen model, a group for each noun."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator

from quorum import ConfigurationError, Group, Settings
from quorum.settings import MailerSettings, MongoSettings, PusherSettings, StorageSettings

PUSHER_KEYS = {"PUSHER_KEY": "k", "PUSHER_SECRET": "s"}
PUSHER = {"PUSHER_APP_ID": "7"} | PUSHER_KEYS


def set_all(patch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        patch.setenv(name, value)


def test_everything_has_a_default():
    """Settings load with nothing set, and then every service is its twin."""
    settings = Settings()

    assert (settings.name, settings.instance, settings.level) == ("app", None, "INFO")
    assert (settings.host, settings.port, settings.server) == ("127.0.0.1", 5000, "auto")
    assert (settings.secret_key, settings.base_url, settings.data_path) == (None, None, None)
    assert (settings.force_ssl, settings.debug, settings.embedded) == (False, False, "auto")
    groups = ["mailer", "mongo", "redis", "amqp", "storage", "pusher"]
    assert {getattr(settings, noun).driver for noun in groups} == {"memory"}
    assert {getattr(settings, noun).timeout for noun in groups} == {5.0}


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("NAME", "shop", "name", "shop"),
        ("INSTANCE", "eu", "instance", "eu"),
        ("LEVEL", "TRACE", "level", "TRACE"),
        ("LEVEL", "silent", "level", "SILENT"),
        ("HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("PORT", "8080", "port", 8080),
        ("SERVER", "waitress", "server", "waitress"),
        ("SECRET_KEY", "s", "secret_key", SecretStr("s")),
        ("BASE_URL", "https://example.org/sub/", "base_url", "https://example.org/sub"),
        ("FORCE_SSL", "on", "force_ssl", True),
        ("EMBEDDED", "never", "embedded", "never"),
        ("DATA_PATH", "var/data", "data_path", Path("var/data")),
        ("SMTP_HOST", "mail", "mailer.host", "mail"),
        ("SMTP_PORT", "587", "mailer.port", 587),
        ("SMTP_USER", "u", "mailer.user", SecretStr("u")),
        ("SMTP_PASSWORD", "p", "mailer.password", SecretStr("p")),
        ("SMTP_STARTTLS", "false", "mailer.starttls", False),
        ("SMTP_SENDER", "Ana <a@x.org>", "mailer.sender", "Ana <a@x.org>"),
        ("SMTP_TIMEOUT", "2.5", "mailer.timeout", 2.5),
        ("MONGO_DATABASE", "shop", "mongo.database", "shop"),
        ("MONGO_TIMEOUT", "2", "mongo.timeout", 2.0),
        ("REDIS_TIMEOUT", "2", "redis.timeout", 2.0),
        ("AMQP_TIMEOUT", "2", "amqp.timeout", 2.0),
        ("AMAZON_ID", "i", "storage.id", SecretStr("i")),
        ("AMAZON_SECRET", "s", "storage.secret", SecretStr("s")),
        ("AMAZON_BUCKET", "b", "storage.bucket", "b"),
        ("AMAZON_REGION", "eu-west-1", "storage.region", "eu-west-1"),
        ("AMAZON_ENDPOINT", "http://127.0.0.1:9000", "storage.endpoint", "http://127.0.0.1:9000"),
        ("AMAZON_TIMEOUT", "2", "storage.timeout", 2.0),
        ("AMAZON_CHECKSUMS", "when_required", "storage.checksums", "when_required"),
        ("PUSHER_APP_ID", "1", "pusher.app_id", "1"),
        ("PUSHER_KEY", "k", "pusher.key", SecretStr("k")),
        ("PUSHER_SECRET", "s", "pusher.secret", SecretStr("s")),
        ("PUSHER_CLUSTER", "eu", "pusher.cluster", "eu"),
        ("PUSHER_HOST", "soketi", "pusher.host", "soketi"),
        ("PUSHER_PORT", "6001", "pusher.port", 6001),
        ("PUSHER_SSL", "no", "pusher.ssl", False),
        ("PUSHER_TIMEOUT", "2", "pusher.timeout", 2.0),
    ],
)
def test_a_variable_sets_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, path: str, value: Any
):
    """Each documented variable gives its setting a typed value."""
    if name == "PUSHER_APP_ID":
        set_all(monkeypatch, PUSHER_KEYS)
    monkeypatch.setenv(name, text)

    found: Any = Settings()
    for part in path.split("."):
        found = getattr(found, part)

    assert found == value


@pytest.mark.parametrize(
    ("name", "url", "noun"),
    [
        ("MONGO_URL", "mongodb://u:p@a:1,b:2/shop", "mongo"),
        ("MONGOLAB_URI", "mongodb+srv://u:p@cluster.example.org", "mongo"),
        ("MONGOHQ_URL", "mongodb://localhost", "mongo"),
        ("REDIS_URL", "rediss://:p@localhost:6380/1", "redis"),
        ("REDISTOGO_URL", "redis://localhost", "redis"),
        ("RABBITMQ_URL", "amqps://u:p@localhost/%2F?heartbeat=30", "amqp"),
        ("CLOUDAMQP_URL", "amqp://localhost", "amqp"),
        ("AMQP_URL", "amqp://localhost", "amqp"),
    ],
)
def test_a_url_makes_its_service_real(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str, noun: str
):
    """A URL is kept as it is, and its service is no longer the twin."""
    monkeypatch.setenv(name, url)

    group = getattr(Settings(), noun)

    assert group.url.get_secret_value() == url
    assert group.driver == "server"


@pytest.mark.parametrize("text", ["1", "true", "yes", "on", "True", "YES"])
def test_words_for_true(monkeypatch: pytest.MonkeyPatch, text: str):
    """1, true, yes and on are true in any case."""
    monkeypatch.setenv("FORCE_SSL", text)

    assert Settings().force_ssl is True


@pytest.mark.parametrize("text", ["0", "false", "no", "off", "False", "NO"])
def test_words_for_false(monkeypatch: pytest.MonkeyPatch, text: str):
    """0, false, no and off are false in any case."""
    monkeypatch.setenv("PUSHER_SSL", text)

    assert Settings().pusher.ssl is False


@pytest.mark.parametrize(
    ("name", "text", "path"),
    [
        ("LEVEL", "LOUD", "level"),
        ("PORT", "many", "port"),
        ("PORT", "70000", "port"),
        ("SERVER", "netius", "server"),
        ("EMBEDDED", "maybe", "embedded"),
        ("FORCE_SSL", "maybe", "force_ssl"),
        ("BASE_URL", "example.org", "base_url"),
        ("SMTP_HOST", "user@mail", "mailer.host"),
        ("SMTP_HOST", ":25", "mailer.host"),
        ("SMTP_HOST", "mail:smtp", "mailer.port"),
        ("SMTP_PORT", "0", "mailer.port"),
        ("SMTP_TIMEOUT", "0", "mailer.timeout"),
        ("SMTP_TIMEOUT", "inf", "mailer.timeout"),
        ("SMTP_TIMEOUT", "nan", "mailer.timeout"),
        ("SMTP_URL", "http://mail", "mailer.url"),
        ("SMTP_URL", "smtp://", "mailer.url"),
        ("SMTP_URL", "smtp://mail?starttls=no", "mailer.url"),
        ("SMTP_URL", "smtp://mail:0", "mailer.port"),
        ("AMAZON_ENDPOINT", "https://id:secret@s3", "storage.endpoint"),
        ("PUSHER_HOST", "https://soketi", "pusher.host"),
    ],
)
def test_a_bad_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, text: str, path: str):
    """A value that breaks its rule is told with its setting and the variable it stands in."""
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigurationError) as caught:
        Settings()

    (problem,) = caught.value.problems
    assert (problem.setting, problem.source) == (path, f"environment, {name}")


def test_a_rule_that_holds_the_value_stays_readable(monkeypatch: pytest.MonkeyPatch):
    """Bounds and choices are told in full, though a short value may occur in them."""
    monkeypatch.setenv("SMTP_TIMEOUT", "0")
    monkeypatch.setenv("SERVER", "a")

    with pytest.raises(ConfigurationError) as caught:
        Settings()

    assert [problem.rule for problem in caught.value.problems] == [
        "input should be 'auto', 'werkzeug' or 'waitress'",
        "input should be greater than 0",
    ]


def test_settings_are_frozen():
    """Neither a setting nor one of a group can be set again."""
    settings = Settings()

    with pytest.raises(ConfigurationError, match=r"Settings\.level cannot be changed"):
        settings.level = "DEBUG"
    with pytest.raises(ConfigurationError, match=r"MailerSettings\.host cannot be changed"):
        settings.mailer.host = "mail"


# The mailer's address.


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail", {"host": "mail"}),
        ("smtp://mail/", {"host": "mail"}),
        ("smtp://mail:2525", {"host": "mail", "port": 2525}),
        ("smtps://mail", {"host": "mail", "tls": True}),
        ("smtp://u%40x.org:p%2Fw@mail", {"host": "mail", "user": "u@x.org", "password": "p/w"}),
        ("smtp://u@x.org:p@w@mail", {"host": "mail", "user": "u@x.org", "password": "p@w"}),
        ("smtp://[::1]:25", {"host": "::1", "port": 25}),
    ],
)
def test_an_smtp_url_is_taken_apart(url: str, expected: dict[str, Any]):
    """Host, port, percent-encoded user and password, and TLS come out of an SMTP URL."""
    assert MailerSettings.take_apart(url) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mail", {"host": "mail"}),
        ("mail:26", {"host": "mail", "port": "26"}),
        ("127.0.0.1:26", {"host": "127.0.0.1", "port": "26"}),
        ("::1", {"host": "::1"}),
        ("[::1]", {"host": "::1"}),
        ("[::1]:26", {"host": "::1", "port": "26"}),
    ],
)
def test_a_host_may_hold_a_port(host: str, expected: dict[str, str]):
    """`host[:port]` is parted, and an IPv6 address is not taken for one."""
    assert MailerSettings.split_host(host) == expected


@pytest.mark.parametrize(
    ("settings", "port", "implicit"),
    [
        ({}, 25, False),
        ({"user": "u"}, 587, False),
        ({"tls": True}, 465, True),
        ({"tls": True, "port": 2465}, 2465, True),
        ({"port": 465}, 465, True),
        ({"port": 26, "user": "u"}, 26, False),
    ],
)
def test_the_port_is_the_usual_one(settings: dict[str, Any], port: int, implicit: bool):
    """Without a port: 465 with TLS, 587 with a user, else 25; port 465 means TLS at once."""
    mailer = Settings(mailer={"host": "mail", **settings}).mailer

    assert (mailer.resolved_port, mailer.implicit_tls) == (port, implicit)


@pytest.mark.parametrize(
    ("host", "here"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("mail", False), (None, False)],
)
def test_a_server_on_this_machine(host: str | None, here: bool):
    """Only loopback is certain to be this machine."""
    assert MailerSettings(host=host).on_this_machine is here


# Addresses that may be shown.


@pytest.mark.parametrize(
    ("variables", "noun", "driver", "address"),
    [
        ({"SMTP_URL": "smtp://u:p@mail"}, "mailer", "smtp", "mail:587"),
        ({"SMTP_HOST": "[::1]:26"}, "mailer", "smtp", "[::1]:26"),
        ({"MONGO_URL": "mongodb://u:p@a,b/x"}, "mongo", "server", "mongodb://***@a,b/x"),
        ({"REDIS_URL": "redis://h/0?password=p"}, "redis", "server", "redis://h/0"),
        ({"AMQP_URL": "amqp://u:p@h/v"}, "amqp", "server", "amqp://***@h/v"),
        ({"AMAZON_BUCKET": "b"}, "storage", "s3", "s3/b"),
        (
            {"AMAZON_BUCKET": "b", "AMAZON_ENDPOINT": "http://h:1"},
            "storage",
            "s3",
            "http://h:1/b",
        ),
        (PUSHER, "pusher", "remote", "pusher/apps/7"),
        (PUSHER | {"PUSHER_CLUSTER": "eu"}, "pusher", "remote", "eu/apps/7"),
        (PUSHER | {"PUSHER_HOST": "h"}, "pusher", "remote", "h/apps/7"),
    ],
)
def test_an_address_is_shown_without_secrets(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    noun: str,
    driver: str,
    address: str,
):
    """Each group tells its driver and where it is, with no user, password or query."""
    set_all(monkeypatch, variables)

    group = getattr(Settings(), noun)

    assert (group.driver, group.public_address) == (driver, address)


@pytest.mark.parametrize("group", [MailerSettings, MongoSettings, StorageSettings, PusherSettings])
def test_a_twin_has_no_address(group: type[Group]):
    """Without an address the driver is the twin and nothing is shown."""
    assert (group().driver, group().public_address) == ("memory", None)


@pytest.mark.parametrize("noun", ["mailer", "mongo", "redis", "amqp", "storage", "pusher"])
def test_a_group_names_what_sets_its_address(monkeypatch: pytest.MonkeyPatch, noun: str):
    """Any one of `address_names` is enough to leave the twin behind."""
    values = {"URL": "{scheme}://h", "HOST": "h", "BUCKET": "b", "ID": "7"}
    schemes = {"SMTP": "smtp", "MONGO": "mongodb", "REDIS": "redis", "AMQP": "amqp"}
    for name in getattr(Settings(), noun).address_names:
        with monkeypatch.context() as patch:
            value = values[name.rpartition("_")[2]]
            # The id of an application of Pusher needs its keys.
            set_all(patch, PUSHER_KEYS if noun == "pusher" else {})
            patch.setenv(name, value.format(scheme=schemes.get(name.partition("_")[0])))
            assert getattr(Settings(), noun).driver != "memory"


# The database of MongoDB.


@pytest.mark.parametrize(
    ("variables", "database"),
    [
        ({}, "my_shop"),
        ({"MONGO_DATABASE": "stock"}, "stock"),
        ({"MONGO_URL": "mongodb://h"}, "my_shop"),
        ({"MONGO_URL": "mongodb://h/", "MONGO_DATABASE": "stock"}, "stock"),
        ({"MONGO_URL": "mongodb://u:p@a:1,b:2/orders?tls=true"}, "orders"),
        ({"MONGO_URL": "mongodb://h/orders", "MONGO_DATABASE": "stock"}, "orders"),
        ({"MONGO_URL": "mongodb://h/my%2Dorders.collection"}, "my-orders"),
        ({"INSTANCE": "blue"}, "my_shop-blue"),
        ({"INSTANCE": "blue", "MONGO_DATABASE": "stock"}, "stock-blue"),
        ({"INSTANCE": "blue", "MONGO_URL": "mongodb://h/orders"}, "orders-blue"),
    ],
)
def test_the_database_is_named_by_the_first_that_names_one(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], database: str
):
    """The URL, else MONGO_DATABASE, else the app's name; kept apart by the instance."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert Settings(name="my.shop").mongo_database == database


@pytest.mark.parametrize("name", ["a/b", "a.b", "a b", "$a", 'a"b', "a\\b", "ü" * 32])
def test_a_database_that_mongodb_would_refuse_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    """MONGO_DATABASE is looked at before anything connects."""
    with pytest.raises(ConfigurationError, match=r"mongo\.database: must be of 1 to 63 bytes"):
        Settings(mongo={"database": name})


def test_a_long_name_of_an_app_makes_a_database_that_mongodb_takes():
    """At most 63 bytes, whatever the app is called; the instance stays at its end."""
    assert Settings(name="n" * 80).mongo_database == "n" * 63
    assert Settings(name="n" * 80, instance="blue").mongo_database == "n" * 58 + "-blue"


@pytest.mark.parametrize(
    "option", ["w=0", "W=0", "w=%30", "w=00", "ssl=true&w=0", "ssl=true;w=0", "timeoutMS=0"]
)
def test_a_mongo_url_that_confirms_nothing_or_waits_for_ever_is_refused(
    monkeypatch: pytest.MonkeyPatch, option: str
):
    """The error names the option, and not the password."""
    monkeypatch.setenv("MONGO_URL", f"mongodb://u:hunter2@h/?{option}")

    with pytest.raises(ConfigurationError, match=r"must not hold (w=0|timeoutMS=0)") as caught:
        Settings()

    assert "hunter2" not in str(caught.value)


# The keys of the storage.


@pytest.mark.parametrize("name", ["AMAZON_ID", "AMAZON_SECRET"])
def test_half_of_the_keys_is_refused(monkeypatch: pytest.MonkeyPatch, name: str):
    """A bucket has both keys or, for those of the machine, neither."""
    monkeypatch.setenv("AMAZON_BUCKET", "shop")
    assert Settings().storage.driver == "s3"
    monkeypatch.setenv(name, "marker-value")

    with pytest.raises(ConfigurationError, match="both AMAZON_ID and AMAZON_SECRET") as caught:
        Settings()

    assert "marker-value" not in str(caught.value)


# Arguments.


def test_groups_may_be_given_as_instances(monkeypatch: pytest.MonkeyPatch):
    """A group that is given sets what it was made with, and nothing more."""
    monkeypatch.setenv("SMTP_PORT", "26")

    settings = Settings(mailer=MailerSettings(host="mail", password=SecretStr("p")))

    assert settings.mailer == MailerSettings(host="mail", port=26, password=SecretStr("p"))


def test_arguments_may_be_flat():
    """The documented names hold in arguments too."""
    assert Settings(SMTP_URL="smtp://mail", LEVEL="DEBUG").mailer.host == "mail"


def test_an_argument_of_none_is_unset(monkeypatch: pytest.MonkeyPatch):
    """None leaves a setting to the other sources."""
    monkeypatch.setenv("LEVEL", "ERROR")

    assert Settings(level=None).level == "ERROR"


def test_a_host_as_argument_may_hold_a_port():
    """`host:port` is parted wherever it is given."""
    assert Settings(mailer={"host": "mail:26"}).mailer.port == 26


def test_model_validate_is_the_same_as_a_call():
    """pydantic's own way in gives our error too."""
    with pytest.raises(ConfigurationError):
        Settings.model_validate({"port": "many"})


# An application's own.


class Billing(Group):
    """The settings of an application's own service."""

    prefix = "STRIPE_"

    key: SecretStr | None = None
    currencies: list[str] = Field(default=["EUR"])


class AppSettings(Settings):
    """Settings of an application."""

    allowed_hosts: list[str] = Field(default_factory=list)
    limits: dict[str, int] = Field(default_factory=dict)
    billing: Billing = Billing()
    mailer: MailerSettings = MailerSettings(host="mail.example.org", port=26)
    token: str = Field(default="", validation_alias="SHOP_TOKEN")


@pytest.mark.parametrize("text", ["a,b", "a;b", " a , b ", "a, b;", ",a,,b"])
def test_a_list_is_split_on_commas_and_semicolons(monkeypatch: pytest.MonkeyPatch, text: str):
    """A list is one variable, with `,` or `;` between its items."""
    monkeypatch.setenv("ALLOWED_HOSTS", text)

    assert AppSettings().allowed_hosts == ["a", "b"]


@pytest.mark.parametrize(
    "text", ["allowed_hosts: [a, b]", "allowed_hosts: a, b", "ALLOWED_HOSTS: [a, b]"]
)
def test_a_list_in_yaml_is_a_list_or_split(tmp_path: Path, text: str):
    """YAML takes a list as it writes them, or as variables do."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yml").write_text(text)

    assert AppSettings().allowed_hosts == ["a", "b"]


def test_lists_do_not_merge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A list of a higher source replaces one of a lower."""
    (tmp_path / ".env").write_text("ALLOWED_HOSTS=c,d,e")
    monkeypatch.setenv("ALLOWED_HOSTS", "a,b")

    assert AppSettings().allowed_hosts == ["a", "b"]


def test_a_map_in_one_variable_is_json(monkeypatch: pytest.MonkeyPatch):
    """A variable can set a map as a JSON object."""
    monkeypatch.setenv("LIMITS", '{"mails": 5}')

    assert AppSettings().limits == {"mails": 5}


def test_a_map_that_is_no_json_is_refused(monkeypatch: pytest.MonkeyPatch):
    """A text that is no object is told as the wrong value of the map."""
    monkeypatch.setenv("LIMITS", "mails=5")

    with pytest.raises(ConfigurationError, match="limits: input should be a valid dictionary"):
        AppSettings()


def test_an_own_group_is_set_by_its_prefix(monkeypatch: pytest.MonkeyPatch):
    """A group's variables are its prefix and the name of the field, its keys those of YAML."""
    monkeypatch.setenv("STRIPE_CURRENCIES", "EUR,USD")

    settings = AppSettings(billing={"key": "k"})

    assert settings.billing == Billing(key=SecretStr("k"), currencies=["EUR", "USD"])


def test_an_own_group_is_its_twin_unless_it_says_otherwise():
    """A group that names no driver of its own has the twin and no address."""
    assert (Billing().driver, Billing().public_address) == ("memory", None)


def test_an_optional_group_is_there_when_something_sets_it(monkeypatch: pytest.MonkeyPatch):
    """A group that may be None stays None until one of its variables is set."""

    class Backup(BaseModel):
        host: str = "localhost"

    class OptionalSettings(Settings):
        backup: Backup | None = None

    assert OptionalSettings().backup is None
    monkeypatch.setenv("BACKUP_HOST", "b")
    assert OptionalSettings().backup == Backup(host="b")


def test_a_group_s_own_default_is_kept_in_part(monkeypatch: pytest.MonkeyPatch):
    """What a subclass gives a group as default stays for what no source sets."""
    monkeypatch.setenv("SMTP_PORT", "27")

    assert AppSettings().mailer == MailerSettings(host="mail.example.org", port=27)


def test_a_default_may_be_made_of_other_settings():
    """pydantic's factories work: of nothing, and of the settings before them."""
    made = []

    class Derived(Settings):
        started: str = Field(default_factory=lambda: made.append(1) or "now")
        billing: Billing = Field(default_factory=lambda data: Billing(currencies=[data["name"]]))

    settings = Derived(name="shop")

    assert (settings.started, settings.billing.currencies) == ("now", ["shop"])
    assert made == [1]


def test_a_url_silences_a_group_s_own_default(monkeypatch: pytest.MonkeyPatch):
    """The default of a subclass is the lowest source: a URL takes its port away as any."""
    monkeypatch.setenv("SMTP_URL", "smtp://other")

    assert AppSettings().mailer == MailerSettings(host="other")


@pytest.mark.parametrize("name", ["SHOP_TOKEN", "token"])
def test_pydantic_s_alias_names_the_variable(name: str):
    """A field with a `validation_alias` is set by that variable, and in YAML by its own name."""
    assert AppSettings(**{name: "t"}).token == "t"


def test_an_own_default_of_a_setting_holds():
    """A subclass may give a setting of ours another default."""

    class Loud(Settings):
        level: str = "DEBUG"

    assert Loud().level == "DEBUG"


def test_an_own_validator_s_words_are_told():
    """The rule that an application's validator raises is the rule of the problem."""

    class Strict(Settings):
        colour: str = "red"

        @field_validator("colour")
        @classmethod
        def _check(cls, value: str) -> str:
            if value != "red":
                raise ValueError(f"{value} is no colour of ours")
            return value

    with pytest.raises(ConfigurationError, match="colour: … is no colour of ours"):
        Strict(colour="mauve")


# Objects.


def test_settings_are_copied_and_pickled_whole():
    """A copy has the same values and the same origins."""
    settings = Settings(mailer={"host": "mail", "password": "p"})

    for twin in (copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))):
        assert twin == settings
        assert twin.origins == settings.origins


def test_threads_may_load_settings_at_once():
    """The first settings of a process may be made by several threads at the same time."""
    code = """if True:
        import threading
        from quorum.settings import Settings
        start, found = threading.Barrier(8), []
        def load():
            start.wait()
            found.append(Settings(SMTP_URL="smtp://mail:26").mailer.port)
        threads = [threading.Thread(target=load) for _ in range(8)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        print(found == [26] * 8)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "True", done.stderr


def test_a_subclass_is_well_typed(tmp_path: Path):
    """mypy --strict takes `AppSettings()` with a required setting, and finds typos."""
    (tmp_path / "app.py").write_text(
        "from pydantic import SecretStr\n"
        "import quorum\n"
        "class AppSettings(quorum.Settings):\n"
        "    stripe_key: SecretStr\n"
        "reveal_type(AppSettings().stripe_key)\n"
        "reveal_type(AppSettings(instance='eu').mailer.host)\n"
        "AppSettings().stripe_kye\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "app.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    lines = done.stdout.splitlines()
    assert [line.partition(": ")[2] for line in lines if "error" in line][:-1] == [
        'error: "AppSettings" has no attribute "stripe_kye"; maybe "stripe_key"?  [attr-defined]'
    ]
    assert 'Revealed type is "pydantic.types.SecretStr"' in lines[0]
    assert 'Revealed type is "str | None"' in lines[1]


@pytest.mark.parametrize(
    "wrong", [{"sender": "not an address"}, {"sender": "a@b.c\nBcc: x"}, {"timeout": 1e10}]
)
def test_a_sender_or_a_timeout_that_cannot_be_used_is_refused(wrong: dict[str, object]):
    """Before the first mail: a sender that is no address, and more seconds than a day."""
    with pytest.raises(ConfigurationError, match=rf"mailer\.{next(iter(wrong))}"):
        Settings(mailer=wrong)


def test_a_refused_change_does_not_repeat_the_value():
    """What could not be set is not in the error."""
    with pytest.raises(ConfigurationError) as caught:
        Settings().secret_key = "marker-password"  # type: ignore[assignment]
    assert "marker-password" not in f"{caught.value!r}{caught.value.__context__!r}"
