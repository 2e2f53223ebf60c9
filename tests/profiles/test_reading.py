"""Where settings come from, in which order, and which source won."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from quorum import ConfigurationError, ConfigurationWarning, Settings
from quorum.settings import MailerSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], None]:
    """Write a file below the project's folder, making its folder."""

    def to(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    return to


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set variables of the environment."""

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def problems_of(model: type[Settings] = Settings, **arguments: Any) -> list[str]:
    """Return the problems with which the settings refuse to load."""
    with pytest.raises(ConfigurationError) as caught:
        model(**arguments)
    return [str(problem) for problem in caught.value.problems]


# The order of the sources.

ORDER = [
    "environment",
    "SECRETS_DIR",
    "config/eu.env",
    ".env",
    "config/eu.yml",
    "config/base.yml",
    "quorum.json",
]


def put_into(source: str, value: str, write, env) -> None:
    if source == "environment":
        env(AMAZON_REGION=value)
    elif source == "SECRETS_DIR":
        write("secrets/AMAZON_REGION", value)
    elif source == "quorum.json":
        write(source, f'{{"AMAZON_REGION": "{value}"}}')
    else:
        separator = "=" if source.endswith(".env") else ": "
        write(source, f"AMAZON_REGION{separator}{value}")


@pytest.mark.parametrize("winner", range(len(ORDER)))
def test_the_first_source_with_a_value_wins(winner: int, write, env):
    """Of all sources from one on downwards, that one wins, and the others are what it overrode."""
    env(INSTANCE="eu", SECRETS_DIR="secrets")
    write("config/eu.yml", "")
    write("secrets/OTHER", "")
    for source in ORDER[winner:]:
        put_into(source, source, write, env)

    settings = Settings()

    assert settings.storage.region == ORDER[winner]
    assert [origin.source for origin in settings.origins["storage.region"]] == ORDER[winner:]


def test_arguments_win_over_the_environment(env):
    """What is given to the settings wins over every source."""
    env(AMAZON_REGION="environment")

    settings = Settings(storage={"region": "argument"})

    assert settings.storage.region == "argument"
    assert [str(each) for each in settings.origins["storage.region"]] == [
        "arguments, storage.region",
        "environment, AMAZON_REGION",
    ]


def test_what_load_knows_wins_over_defaults_only(write):
    """The name of the app is a default: any source wins over it."""
    assert Settings(_defaults={"name": "shop"}).name == "shop"
    write("config/base.yml", "name: other")
    assert Settings(_defaults={"name": "shop"}).name == "other"


def test_a_setting_that_nothing_sets_has_no_origin():
    """Defaults are no source: `origins` lists what is set."""
    assert Settings().origins == {}


def test_the_origin_names_the_variable_that_won(env):
    """Of several names, the origin gives the one that was used."""
    env(MONGOHQ_URL="mongodb://hq", MONGOLAB_URI="mongodb://lab")

    origins = Settings().origins["mongo.url"]

    assert [str(origin) for origin in origins] == ["environment, MONGOLAB_URI"]


def test_an_empty_value_is_unset(write, env):
    """An empty variable, key or null leaves the setting to the sources below."""
    env(MONGO_DATABASE="", LEVEL="")
    write(".env", "MONGO_DATABASE=\nLEVEL=''")
    write("config/base.yml", "mongo: {database: ''}\nlevel: ~")
    write("quorum.json", '{"MONGO_DATABASE": "", "LEVEL": "ERROR"}')

    settings = Settings()

    assert (settings.mongo.database, settings.level) == (None, "ERROR")


def test_an_empty_group_is_unset(write):
    """A noun without settings in YAML sets nothing."""
    write("config/base.yml", "mongo:\nmailer: ''")

    assert Settings().mongo.driver == "memory"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("config/base.yml", "SMTP_HOST: mail\nSMTP_PORT: 2525"),
        ("config/base.yml", "mailer: {host: mail, port: 2525}"),
        ("config/base.yml", "mailer: {host: 'mail:2525'}"),
        ("config/base.yml", "mailer: {url: 'smtp://mail:2525'}"),
        ("config/base.yaml", "SMTP_URL: smtp://mail:2525"),
        (".env", "SMTP_URL=smtp://mail:2525"),
        (".env", "SMTP_HOST=mail\nSMTP_PORT=2525"),
        ("quorum.json", '{"SMTP_HOST": "mail", "SMTP_PORT": 2525}'),
    ],
)
def test_flat_and_nested_names_hold_in_files(write, source: str, text: str):
    """The documented names hold in every file, and YAML nests by noun too."""
    write(source, text)

    assert (Settings().mailer.host, Settings().mailer.port) == ("mail", 2525)


def test_maps_merge_across_files(write, env):
    """A group and a map may be set in parts, one in each file."""
    env(INSTANCE="eu", SERVER_THREADS="16")
    write("config/eu.yml", "mailer: {host: mail}\nserver_options: {threads: 8, ident: shop}")
    write("config/base.yml", "mailer: {host: other, port: 26}\nSERVER_BACKLOG: 5")

    settings = Settings()

    assert (settings.mailer.host, settings.mailer.port) == ("mail", 26)
    assert settings.server_options == {"threads": "16", "ident": "shop", "backlog": "5"}


def test_maps_in_maps_merge_too(write, env):
    """Maps of an application's own merge as deep as they go."""

    class AppSettings(Settings):
        regions: dict[str, dict[str, str]] = Field(default_factory=dict)

    env(INSTANCE="eu")
    write("config/eu.yml", "regions: {north: {tax: 25}}")
    write("config/base.yml", "regions: {north: {tax: 20, zone: a}, south: {tax: 21}}")

    assert AppSettings().regions == {"north": {"tax": "25", "zone": "a"}, "south": {"tax": "21"}}


# One source.


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            "mailer: {host: a}\nSMTP_HOST: b",
            "mailer.host: is set twice, as mailer.host and as SMTP_HOST",
        ),
        ("level: INFO\nLEVEL: DEBUG", "level: is set twice, as level and as LEVEL"),
        ("mongo: {url: 'mongodb://a'}\nMONGOHQ_URL: mongodb://b", "mongo.url: is set twice"),
        ("server_options: {threads: 1}\nSERVER_THREADS: 2", "server_options: is set twice"),
    ],
)
def test_one_thing_set_both_ways_in_one_file_is_an_error(write, text: str, rule: str):
    """Nested and flat in the same file contradict each other."""
    write("config/base.yml", text)

    assert problems_of()[0].startswith(rule)


def test_an_empty_second_way_is_none(write):
    """A flat name without a value contradicts no nested one."""
    write("config/base.yml", "level: ERROR\nLEVEL:")

    assert Settings().level == "ERROR"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("levle: INFO", "levle: there is no such setting; did you mean level?"),
        ("mailer: {hots: a}", "mailer.hots: there is no such setting; did you mean mailer.host?"),
        ("SMTP_HOTS: a", "SMTP_HOTS: there is no such setting; did you mean SMTP_HOST?"),
        ("smtp_host: a", "smtp_host: there is no such setting; did you mean SMTP_HOST?"),
        ("mail: {host: a}", "mail: there is no such setting; did you mean mailer?"),
        ("mailer: {uri: a}", "mailer.uri: there is no such setting; did you mean mailer.url?"),
        ("qqq: 1", "qqq: there is no such setting"),
        ("mailer.host: a", "mailer.host: there is no such setting"),
        ("SERVER_NAME: a", "SERVER_NAME: there is no such setting"),
        ("1: a", "1: there is no such setting"),
        ("~: a", "None: there is no such setting"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_name(write, text: str, told: str):
    """A key of YAML that sets nothing is refused, with the file and what was meant."""
    write("config/base.yml", text)

    assert problems_of()[0].startswith(told)
    assert "config/base.yml" in problems_of()[0]


def test_an_unknown_argument_is_an_error():
    """Arguments are held against the settings as files are."""
    assert problems_of(levle="INFO") == [
        "levle: there is no such setting; did you mean level? (set in arguments)"
    ]


@pytest.mark.parametrize("value", ["mail", "[mail]", "5"])
def test_a_group_must_be_a_mapping(write, value: str):
    """A text or a list in the place of a group is an error."""
    write("config/base.yml", f"mailer: {value}")

    assert problems_of() == ["mailer: must be a mapping of settings (set in config/base.yml)"]


def test_duplicate_keys_and_broken_files_stop_loading(write):
    """Each file's faults come with the file's name, all at once."""
    write("config/base.yml", "mailer: {host: a, host: b}")
    write(".env", "A=1\nonly words")
    write("quorum.json", "{")

    assert [text.partition(":")[0] for text in problems_of()] == [
        ".env",
        "config/base.yml",
        "quorum.json",
    ]


def test_text_from_yaml_reaches_its_setting_as_written(write):
    """`no`, `010` and `1:30` are texts as they stand, and `no` a boolean where one is due."""
    write("config/base.yml", "mailer: {user: no, password: 0123, starttls: no}\nname: 1:30")

    settings = Settings()

    assert settings.mailer.user is not None
    assert settings.mailer.password is not None
    assert settings.mailer.user.get_secret_value() == "no"
    assert settings.mailer.password.get_secret_value() == "0123"
    assert settings.mailer.starttls is False
    assert settings.name == "1:30"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (("MONGO_URL", "mongodb://a"), ("MONGOLAB_URI", "mongodb://b")),
        (("MONGOLAB_URI", "mongodb://a"), ("MONGOHQ_URL", "mongodb://b")),
        (("REDIS_URL", "redis://a"), ("REDISTOGO_URL", "redis://b")),
        (("RABBITMQ_URL", "amqp://a"), ("CLOUDAMQP_URL", "amqp://b")),
        (("CLOUDAMQP_URL", "amqp://a"), ("AMQP_URL", "amqp://b")),
    ],
)
@pytest.mark.parametrize("source", ["environment", ".env", "config/base.yml"])
def test_of_several_names_in_one_source_the_first_wins(write, env, source: str, first, then):
    """The order of names decides within a source, whatever stands first in it."""
    if source == "environment":
        env(**dict([then, first]))
    else:
        separator = "=" if source == ".env" else ": "
        write(source, "\n".join(f"{name}{separator}{value}" for name, value in (then, first)))

    settings = Settings()
    url = settings.mongo.url or settings.redis.url or settings.amqp.url

    assert url is not None
    assert url.get_secret_value() == first[1]


def test_an_empty_first_name_leaves_the_next(env):
    """A name that is set empty does not count as set."""
    env(MONGO_URL="", MONGOHQ_URL="mongodb://hq")

    assert Settings().mongo.driver == "server"


def test_any_name_in_a_higher_source_wins(write, env):
    """The order of names never reaches across sources."""
    env(MONGOHQ_URL="mongodb://environment")
    write(".env", "MONGO_URL=mongodb://dotenv")

    url = Settings().mongo.url

    assert url is not None
    assert url.get_secret_value() == "mongodb://environment"


# URLs taken apart.


def test_a_url_in_the_environment_beats_a_host_in_base(write, env):
    """`SMTP_URL` in the environment beats `mailer.host` in base.yml."""
    env(SMTP_URL="smtp://environment")
    write("config/base.yml", "mailer: {host: base, port: 26}")

    mailer = Settings().mailer

    assert (mailer.host, mailer.port) == ("environment", None)


def test_a_url_silences_what_lower_sources_say_of_the_server(write, env):
    """Port, user, password and TLS of a lower source belong to another server."""
    env(SMTP_URL="smtp://environment")
    write(
        "config/base.yml",
        "mailer: {port: 26, user: u, password: p, starttls: no, tls: 1, sender: a@b.c, timeout: 3}",
    )

    assert Settings().mailer == MailerSettings(host="environment", sender="a@b.c", timeout=3)


def test_a_silenced_setting_has_no_origin_unless_overridden(write, env):
    """What a URL silences is listed where something else won, and not where nothing did."""
    env(SMTP_URL="smtp://environment")
    write("config/base.yml", "mailer: {host: base, user: u}")

    origins = Settings().origins

    assert [str(each) for each in origins["mailer.host"]] == [
        "environment, SMTP_URL",
        "config/base.yml, mailer.host",
    ]
    assert "mailer.user" not in origins


def test_single_settings_win_over_the_url_of_their_source(env):
    """Within one source a part that is set alone wins over the URL's."""
    env(SMTP_URL="smtps://u:p@url:99", SMTP_HOST="single", SMTP_PORT="26", SMTP_USER="ana")

    mailer = Settings().mailer

    assert (mailer.host, mailer.port, mailer.tls) == ("single", 26, True)
    assert (mailer.user, mailer.password) == (SecretStr("ana"), SecretStr("p"))


def test_single_settings_win_in_yaml_whichever_way_they_are_written(write):
    """Nested and flat count as one source: a nested host wins over a flat URL, and the reverse."""
    write("config/base.yml", "mailer: {host: single}\nSMTP_URL: smtp://url:99")
    assert (Settings().mailer.host, Settings().mailer.port) == ("single", 99)

    write("config/base.yml", "mailer: {url: 'smtp://url:99'}\nSMTP_HOST: single")
    assert (Settings().mailer.host, Settings().mailer.port) == ("single", 99)


def test_a_part_in_a_higher_source_wins_over_a_url_below(write, env):
    """One part may be set above the URL, the others stay the URL's."""
    env(SMTP_PASSWORD="environment")
    write(".env", "SMTP_URL=smtp://u:dotenv@mail:99")

    mailer = Settings().mailer

    assert (mailer.host, mailer.port, mailer.password) == ("mail", 99, SecretStr("environment"))


def test_a_port_in_the_host_loses_to_one_of_its_own(env):
    """`SMTP_PORT` wins over the port in `SMTP_HOST` of the same source."""
    env(SMTP_HOST="mail:26", SMTP_PORT="27")

    assert (Settings().mailer.host, Settings().mailer.port) == ("mail", 27)


# Instances.


def test_the_instance_picks_the_profile(write, env):
    """INSTANCE reads config/<instance>.yml over config/base.yml."""
    write("config/base.yml", "level: ERROR\nport: 1000")
    write("config/eu.yml", "level: DEBUG")
    write("config/us.yml", "level: CRITICAL")
    env(INSTANCE="eu")

    assert (Settings().level, Settings().port, Settings().instance) == ("DEBUG", 1000, "eu")


@pytest.mark.parametrize(
    ("arguments", "environment", "dotenv", "expected"),
    [
        ({"instance": "a"}, "b", "c", "a"),
        ({"INSTANCE": "a"}, "b", "c", "a"),
        ({}, "b", "c", "b"),
        ({}, "", "c", "c"),
        ({}, "", "", None),
    ],
)
def test_the_instance_comes_from_three_places(
    write, env, arguments, environment: str, dotenv: str, expected: str | None
):
    """The argument wins over the environment, and that over .env."""
    env(INSTANCE=environment)
    write(".env", f"INSTANCE={dotenv}")

    assert Settings(**arguments).instance == expected


def test_the_instance_has_its_origins(write, env):
    """Provenance covers the instance too."""
    env(INSTANCE="a")
    write(".env", "INSTANCE=b")

    origins = Settings().origins["instance"]

    assert [str(each) for each in origins] == ["environment, INSTANCE", ".env, INSTANCE"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("config/base.yml", "instance: eu"),
        ("config/base.yml", "INSTANCE: eu"),
        ("config/eu.env", "INSTANCE=us"),
        ("quorum.json", '{"INSTANCE": "eu"}'),
        ("secrets/INSTANCE", "eu"),
    ],
)
def test_the_instance_comes_from_no_other_place(write, env, source: str, text: str):
    """A profile that names an instance is an error: it would have to be read to be found."""
    env(SECRETS_DIR="secrets", INSTANCE="eu")
    write("secrets/OTHER", "")
    write("config/eu.yml", "")
    write(source, text)
    label = "SECRETS_DIR" if source.startswith("secrets") else source

    assert problems_of() == [
        f"instance: comes from load(), the environment or .env only (set in {label})"
    ]


def test_an_instance_without_a_profile_is_an_error(write, tmp_path: Path):
    """The error lists the profiles there are and the nearest name."""
    write("config/base.yml", "")
    write("config/production.yml", "")
    write("config/testing.env", "")
    write("config/notes.txt", "")

    told = (
        f"instance: 'prodution' has no profile in {tmp_path}/config; there are production, "
        "testing; did you mean production?; set INSTANCE"
    )
    assert problems_of(instance="prodution") == [told]


@pytest.mark.parametrize("name", ["base", "x" * 64])
def test_neither_base_nor_a_very_long_name_is_an_instance(write, name: str):
    """base.yml is no profile of an instance, and a name that no file can have is just missing."""
    write("config/base.yml", "")

    assert "has no profile" in problems_of(instance=name)[0]
    assert "there is none" in problems_of(instance=name)[0]


@pytest.mark.parametrize("suffix", ["yml", "yaml", "env"])
def test_any_file_of_the_instance_is_a_profile(write, suffix: str):
    """config/<instance>.env alone is a profile too."""
    write(f"config/eu.{suffix}", "")

    assert Settings(instance="eu").instance == "eu"


def test_a_missing_config_folder_is_no_error():
    """Without profiles an instance only has a name."""
    assert Settings(instance="eu", NAME="shop").name == "shop-eu"


def test_a_file_in_the_place_of_the_config_folder_is_no_profile(write):
    """A file named config is not a folder of profiles."""
    write("config", "")

    assert Settings(instance="eu").instance == "eu"


def test_a_config_folder_that_cannot_be_read_is_told(tmp_path: Path):
    """A folder that is there and gives nothing out is an error, not an absence."""
    (tmp_path / "config").symlink_to("config")

    found = problems_of(instance="eu")

    assert found[0].startswith(f"{tmp_path}/config: cannot be read (Too many levels of symbolic")


@pytest.mark.parametrize("name", ["../eu", "a/b", ".hidden", "-x", "a b", "x" * 65])
def test_an_instance_is_a_plain_name(name: str):
    """An instance is part of file names, so it holds no separator."""
    assert problems_of(instance=name)[0].startswith("instance: must be at most 64 letters")


def test_a_config_path_that_does_not_exist_is_an_error(tmp_path: Path):
    """An explicit folder has to be there."""
    told = f"config_path: there is no folder {tmp_path}/no; give load() the folder of the profiles"

    assert problems_of(_config_path=tmp_path / "no") == [told]


def test_a_config_path_may_be_anywhere(write, tmp_path: Path):
    """`_config_path` names the folder of the profiles; .env and quorum.json stand beside it."""
    write("etc/shop/base.yml", "level: ERROR")
    write("etc/.env", "PORT=6000")
    write("config/base.yml", "port: 1000")

    settings = Settings(_config_path=tmp_path / "etc" / "shop")

    assert (settings.level, settings.port) == ("ERROR", 6000)
    assert str(settings.origins["level"][0]) == "shop/base.yml, level"


def test_a_root_is_the_folder_of_the_project(write, tmp_path: Path):
    """`_root` is where config/, .env and quorum.json are, in place of the working directory."""
    write("project/config/base.yml", "level: ERROR")
    write("project/.env", "PORT=6000")
    write("project/quorum.json", '{"HOST": "::1"}')

    settings = Settings(_root=tmp_path / "project")

    assert (settings.level, settings.port, settings.host) == ("ERROR", 6000, "::1")


def test_the_name_is_suffixed_with_the_instance(env):
    """NAME and INSTANCE make one name, once."""
    env(NAME="shop", INSTANCE="eu")

    assert Settings().name == "shop-eu"
    assert Settings(name="shop-eu").name == "shop-eu"


def test_a_default_name_is_suffixed_too(env):
    """The default of the settings and that of a subclass get the instance's suffix."""

    class AppSettings(Settings):
        name: str = "shop"

    env(INSTANCE="eu")

    assert (Settings().name, AppSettings().name) == ("app-eu", "shop-eu")


# Warnings.


@pytest.mark.parametrize("value", ["1", "true", "yes", "on", "TRUE"])
def test_debug_is_deprecated_and_sets_the_level(env, value: str):
    """DEBUG warns and counts as LEVEL=DEBUG."""
    env(DEBUG=value)

    with pytest.warns(ConfigurationWarning, match=r"DEBUG \(environment\) is deprecated"):
        settings = Settings()

    assert (settings.debug, settings.level) == (True, "DEBUG")


@pytest.mark.parametrize("value", ["*", "app:*", "maybe", "2"])
def test_a_debug_that_is_no_boolean_counts_as_false(env, value: str):
    """Other programs use DEBUG too: what they mean by it stops nothing."""
    env(DEBUG=value)

    with pytest.warns(ConfigurationWarning, match="is no boolean and counts as false"):
        settings = Settings()

    assert (settings.debug, settings.level) == (False, "INFO")


def test_debug_off_leaves_the_level(env):
    """DEBUG=0 sets no level."""
    env(DEBUG="0")

    with pytest.warns(ConfigurationWarning, match="is deprecated"):
        settings = Settings()

    assert (settings.debug, settings.level) == (False, "INFO")


def test_a_level_wins_over_debug_of_its_source(env):
    """LEVEL beside DEBUG is the level."""
    env(DEBUG="1", LEVEL="ERROR")

    with pytest.warns(ConfigurationWarning):
        assert Settings().level == "ERROR"


def test_debug_in_a_higher_source_wins_over_a_level_below(write, env):
    """DEBUG stands for LEVEL=DEBUG in its source."""
    env(DEBUG="1")
    write(".env", "LEVEL=ERROR")

    with pytest.warns(ConfigurationWarning):
        assert Settings().level == "DEBUG"


def test_debug_off_in_a_higher_source_wins_over_debug_below(write, env):
    """DEBUG=0 in the environment switches off the DEBUG=1 of .env."""
    env(DEBUG="0")
    write(".env", "DEBUG=1")

    with pytest.warns(ConfigurationWarning):
        settings = Settings()

    assert (settings.debug, settings.level) == (False, "INFO")


def test_debug_warns_once(write):
    """DEBUG in a document is told once."""
    write("config/base.yml", "DEBUG: 1")

    with pytest.warns(ConfigurationWarning) as caught:
        Settings()

    assert len(caught) == 1


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MONGODB_URL", "MONGO_URL"),
        ("SMTP_PASSWD", "SMTP_PASSWORD"),
        ("REDIS_URI", "REDIS_URL"),
        ("AMAZON_SECRETS", "AMAZON_SECRET"),
        ("PUSHER_APPID", "PUSHER_APP_ID"),
    ],
)
def test_a_stray_variable_is_warned_about(env, name: str, meant: str):
    """A variable with one of our prefixes that sets nothing is named, with the nearest."""
    env(**{name: "hunter2"})

    with pytest.warns(ConfigurationWarning) as caught:
        Settings()

    assert [str(each.message) for each in caught] == [
        f"{name} (environment) sets nothing; did you mean {meant}?"
    ]


@pytest.mark.parametrize(
    ("source", "label"),
    [(".env", ".env"), ("config/eu.env", "config/eu.env"), ("secrets/SMTP_PASSWD", "SECRETS_DIR")],
)
def test_strays_are_warned_about_wherever_variables_stand(write, env, source: str, label: str):
    """Files of variables are looked through as the environment is."""
    env(SECRETS_DIR="secrets")
    write("secrets/OTHER", "")
    write("config/eu.yml", "")
    write(source, "SMTP_PASSWD=x")

    with pytest.warns(
        ConfigurationWarning, match="SMTP_PASSWD .* did you mean SMTP_PASSWORD"
    ) as caught:
        Settings(instance="eu")

    assert f"({label})" in str(caught[0].message)


def test_variables_of_others_are_left_alone(env):
    """A variable that only begins like a word of ours, or like no word, is not ours."""

    class Api(BaseModel):
        key: str = ""

    class AppSettings(Settings):
        go: Api = Api()

    env(PATH_INFO="x", GOOGLE_KEY="x", MONGODB="x", SERVER_NAME="x", AWS_SECRET="x")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AppSettings()


def test_flask_s_server_name_is_no_option(env):
    """SERVER_<X> is handed to the server as x, except for Flask's SERVER_NAME."""
    env(SERVER="waitress", SERVER_NAME="example.org", SERVER_THREADS="8", SERVER_EMPTY="")

    settings = Settings()

    assert settings.server == "waitress"
    assert settings.server_options == {"threads": "8"}
    assert str(settings.origins["server_options"][0]) == "environment, SERVER_THREADS"


# Flask's command line.


def test_dotenv_stays_dotenv_under_flask_s_command_line(write, env):
    """Flask copies .env into the environment: what comes from there does not win as such."""
    write("config/eu.env", "MONGO_DATABASE=profile")
    write(".env", "MONGO_DATABASE=dotenv\nLEVEL=ERROR")
    env(FLASK_RUN_FROM_CLI="true", MONGO_DATABASE="dotenv", LEVEL="ERROR")

    settings = Settings(instance="eu")

    assert settings.mongo.database == "profile"
    assert str(settings.origins["level"][0]) == ".env, LEVEL"


def test_the_environment_still_wins_under_flask_s_command_line(write, env):
    """What the environment says otherwise than .env is the environment's."""
    write(".env", "MONGO_DATABASE=dotenv")
    env(FLASK_RUN_FROM_CLI="true", MONGO_DATABASE="environment")

    assert Settings().mongo.database == "environment"


# All problems at once.


def test_all_problems_come_at_once(write, env):
    """One error lists what is wrong in every source, with rule, source and the names to set."""
    env(SMTP_PORT="many", LEVEL="LOUD", MONGO_URL="http://x", SMTP_URL="smtp://")
    write(".env", "PORT=99999\nnonsense")
    write("config/base.yml", "redis: {timeout: 0}\nqqq: 1")

    found = {text.partition(":")[0]: text for text in problems_of()}

    assert set(found) == {
        ".env",
        "qqq",
        "mailer.url",
        "mailer.port",
        "level",
        "mongo.url",
        "port",
        "redis.timeout",
    }
    assert found["mailer.url"] == (
        "mailer.url: names no host (set in environment, SMTP_URL); set SMTP_URL"
    )
    assert found["mongo.url"] == (
        "mongo.url: must start with mongodb:// or mongodb+srv:// (set in environment, MONGO_URL); "
        "set MONGO_URL or MONGOLAB_URI or MONGOHQ_URL"
    )
    assert found["port"] == (
        "port: input should be less than or equal to 65535 (set in .env, PORT); set PORT"
    )
    assert found["redis.timeout"] == (
        "redis.timeout: input should be greater than 0 (set in config/base.yml, redis.timeout); "
        "set REDIS_TIMEOUT"
    )


def test_a_wrong_item_is_told_with_its_list(env):
    """An item of a list is wrong under the name of the list, which a variable sets."""

    class AppSettings(Settings):
        ports: list[int] = Field(default_factory=list)

    env(PORTS="1,many")

    (told,) = problems_of(AppSettings)
    assert told.startswith("ports: input should be a valid integer")
    assert told.endswith("(set in environment, PORTS); set PORTS")


def test_a_required_setting_of_an_app_names_its_variable():
    """What an application requires and nothing sets is told with the variable that would."""

    class AppSettings(Settings):
        stripe_key: SecretStr

    assert problems_of(AppSettings) == ["stripe_key: field required; set STRIPE_KEY"]


def test_a_required_group_names_what_it_lacks():
    """A group without a default is looked into, so the error names the fields that it lacks."""

    class Billing(BaseModel):
        key: SecretStr
        currency: str = "EUR"

    class AppSettings(Settings):
        billing: Billing

    assert problems_of(AppSettings) == ["billing.key: field required; set BILLING_KEY"]


def test_the_error_hangs_on_no_other(env):
    """The error has neither cause nor context: those would hold the values."""
    env(PORT="many")

    with pytest.raises(ConfigurationError) as caught:
        Settings()

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
