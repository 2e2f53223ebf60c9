"""The commands, as a user types them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.programs import run, serving

if TYPE_CHECKING:
    from pathlib import Path

APP = """\
import quorum
from quorum import Container, Mailer, Provide, ThreadSafeSingleton, inject

class Greeter:
    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer

class Shop(Container):
    greeter = ThreadSafeSingleton(Greeter, mailer=Container.mailer)

app = quorum.load(name="shop", container=Shop)

@app.get("/")
@inject
def index(greeter: Greeter = Provide[Shop.greeter]):
    return "open"
"""
MARKER = "marker-password"
SECRETS = {
    "SECRET_KEY": MARKER,
    "SMTP_URL": f"smtp://{MARKER}:{MARKER}@mail.example:2525",
    "MONGO_URL": f"mongodb://{MARKER}:{MARKER}@mongo.example/shop",
    "REDIS_URL": f"redis://:{MARKER}@redis.example:6379/1?password={MARKER}",
    "AMQP_URL": f"amqp://{MARKER}:{MARKER}@amqp.example/%2f",
    "AMAZON_ID": MARKER,
    "AMAZON_SECRET": MARKER,
    "PUSHER_APP_ID": "1001",
    "PUSHER_CLUSTER": "eu",
    "PUSHER_KEY": MARKER,
    "PUSHER_SECRET": MARKER,
}


@pytest.fixture(autouse=True)
def shop(tmp_path: Path) -> Path:
    """An application in `app.py`, where Flask looks for one."""
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


@pytest.mark.parametrize("words", [("quorum",), ("flask", "quorum")])
@pytest.mark.parametrize("command", ["config", "services", "check", "health", "about"])
def test_every_command_works_both_ways(words: tuple[str, ...], command: str):
    """Every command works under `quorum` and under `flask quorum`, and finds `app.py`."""
    done = run(*words, command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("command", ["config", "services", "check", "health", "about"])
def test_every_report_has_json(command: str):
    """Every report is JSON with `--json`."""
    assert json.loads(run("quorum", command, "--json").stdout)


@pytest.mark.parametrize("form", [("--app", "shop_app"), ("-A", "shop_app:app")])
def test_the_application_may_be_named(shop: Path, form: tuple[str, str]):
    """`--app` names the application as it does in Flask."""
    shop.rename(shop.with_name("shop_app.py"))
    done = run("quorum", *form, "check")
    assert done.stdout.startswith("shop: all is well")


def test_flask_app_names_the_application(shop: Path):
    """FLASK_APP names the application, from `.env` too."""
    shop.rename(shop.with_name("shop_app.py"))
    assert run("quorum", "check", FLASK_APP="shop_app").returncode == 0
    shop.with_name(".env").write_text("FLASK_APP=shop_app\n")
    assert run("quorum", "check").returncode == 0


def test_wsgi_py_is_found(shop: Path):
    """`wsgi.py` is found without being named."""
    shop.rename(shop.with_name("wsgi.py"))
    assert run("quorum", "check").returncode == 0


def test_no_application_is_a_usage_error(shop: Path):
    """Without an application `check` says how to name one."""
    shop.unlink()
    done = run("quorum", "check")
    assert done.returncode == 2
    assert "--app" in done.stderr


def test_an_application_without_quorum_is_named(shop: Path):
    """An application that did not load Quorum is an error that says what to call."""
    shop.write_text("from flask import Flask\napp = Flask('plain')\n")
    done = run("quorum", "check")
    assert done.returncode == 78
    assert "call quorum.load(app=app)" in done.stderr


def test_config_names_the_winning_source(tmp_path: Path):
    """`config` prints each value, the source that won, and what it overrode."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yml").write_text("mailer: {timeout: 3}\n")
    done = run("quorum", "config", SMTP_TIMEOUT="4")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("mailer.timeout")]
    assert line.split(None, 2)[1] == "4.0"
    assert "environment, SMTP_TIMEOUT" in line
    assert "(overrides config/base.yml, mailer.timeout)" in line


def test_config_works_without_an_application(shop: Path):
    """`config` without an application shows the settings of the folder."""
    shop.unlink()
    done = run("quorum", "config", "--json", SMTP_HOST="mail.example")
    (row,) = [row for row in json.loads(done.stdout) if row["setting"] == "mailer.host"]
    assert (row["value"], row["source"]) == ("mail.example", "environment, SMTP_HOST")


@pytest.mark.parametrize("command", ["config", "services", "check", "health", "about"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_report_shows_a_secret(command: str, form: tuple[str, ...]):
    """No report shows a password, a key or the user part of a URL."""
    done = run("quorum", command, *form, **SECRETS)
    # The servers of these addresses are down, and health says so.
    assert done.returncode == (command == "health")
    assert MARKER not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables", "row"),
    [
        ({}, ("threads", "TASKS is not set", None)),
        ({"TASKS": "eager"}, ("eager", "set in environment, TASKS", None)),
        (
            {"TASKS": "dramatiq", "AMQP_URL": "amqp://mq.example/"},
            ("dramatiq", "set in environment, TASKS", "amqp://mq.example/"),
        ),
        (
            {"TASKS": "dramatiq", "REDIS_URL": f"redis://:{MARKER}@redis.example"},
            ("dramatiq", "set in environment, TASKS", "redis://***@redis.example"),
        ),
    ],
    ids=["default", "eager", "rabbitmq", "redis"],
)
def test_services_tell_who_does_the_tasks(
    variables: dict[str, str], row: tuple[str, str, str | None]
):
    """`services` tells the engine of the tasks, and the broker that it is on."""
    rows = {
        row["noun"]: row
        for row in json.loads(run("quorum", "services", "--json", **variables).stdout)
    }
    assert tuple(rows["tasks"][name] for name in ("driver", "why", "address")) == row


def test_services_tell_driver_reason_and_address():
    """`services` tells each noun, its driver, why that one, and its address."""
    done = run("quorum", "services", "--json", **SECRETS)
    rows = {row["noun"]: row for row in json.loads(done.stdout)}
    assert rows["mailer"] == {
        "noun": "mailer",
        "driver": "smtp",
        "why": "set in environment, SMTP_URL",
        "address": "mail.example:2525",
    }
    found = {noun: (rows[noun]["driver"], rows[noun]["address"]) for noun in ("amqp", "pusher")}
    assert found == {
        "amqp": ("server", "amqp://***@amqp.example/%2f"),
        "pusher": ("remote", "eu/apps/1001"),
    }
    assert rows["greeter"]["driver"] == "Greeter"


def test_services_tell_of_the_embedded_twin():
    """Where no address is set, `services` names the variables that would set one."""
    rows = {row["noun"]: row for row in json.loads(run("quorum", "services", "--json").stdout)}
    assert {*rows} >= {"amqp", "mailer", "mongo", "pusher", "redis", "storage"}
    assert (rows["mailer"]["driver"], rows["mailer"]["address"]) == ("memory", None)
    assert "SMTP_URL or SMTP_HOST is not set" in rows["mailer"]["why"]
    assert "AMQP_URL is not set" in rows["amqp"]["why"]
    assert "PUSHER_APP_ID is not set" in rows["pusher"]["why"]


def test_services_tell_of_a_twin_that_may_not_serve(shop: Path):
    """With EMBEDDED=never a service without an address has no driver."""
    shop.write_text("import quorum\napp = quorum.load(name='shop')\n")
    rows = json.loads(run("quorum", "services", "--json", EMBEDDED="never").stdout)
    assert rows[0]["driver"] == "none"


def test_a_configuration_error_ends_with_78():
    """A bad setting ends every command with status 78, and is named on the standard error."""
    for command in ("config", "services", "check", "run"):
        done = run("quorum", command, SMTP_PORT="many", REDIS_URL=f"http://{MARKER}")
        assert done.returncode == 78
        assert "mailer.port" in done.stderr
        assert "redis.url" in done.stderr
        assert MARKER not in done.stderr


def test_check_finds_a_bad_marker(shop: Path):
    """`check` names function, parameter and marker of what cannot be injected."""
    shop.write_text(APP.replace("Provide[Shop.greeter]", 'Provide["greetr"]'))
    done = run("quorum", "check", "--json")
    assert done.returncode == 78
    (problem,) = json.loads(done.stdout)["problems"]
    assert "index" in problem["setting"]
    assert "greetr" in problem["rule"]


def test_check_finds_a_service_without_an_address():
    """With EMBEDDED=never `check` names what is injected and has no address."""
    done = run("quorum", "check", EMBEDDED="never")
    assert done.returncode == 78
    assert "SMTP_URL" in done.stderr


@pytest.mark.parametrize("form", ["--env-example", "--markdown", "--json-schema"])
def test_config_prints_its_reference(form: str):
    """`config` prints the reference of all variables in three forms."""
    done = run("quorum", "config", form)
    assert done.returncode == 0
    assert "SMTP_URL" in done.stdout
    assert "MONGOHQ_URL" in done.stdout


def test_the_env_example_is_a_dotenv_file(shop: Path):
    """The printed `.env` sets nothing as it is, and its names are real without their `#`."""
    text = run("quorum", "config", "--env-example").stdout
    lines = [line.removeprefix("#") for line in text.splitlines() if "=" in line.split(" ")[0]]
    shop.with_name(".env").write_text("\n".join(lines))
    assert run("quorum", "check").returncode == 0


def test_about_names_the_libraries():
    """`about` names the versions of Quorum and of what it stands on."""
    found = json.loads(run("quorum", "about", "--json").stdout)
    assert found.keys() >= {"quorum", "python", "flask", "dependency-injector", "pymongo"}


def test_demo_serves_the_guestbook(tmp_path: Path):
    """`quorum demo` serves the guestbook with nothing configured."""
    with serving(tmp_path / "log", "quorum", "demo", "--port", "0") as server:
        status, page = server.get("/")
    assert status == 200
    assert "guestbook" in page.lower()


def test_config_tells_of_an_application_that_cannot_be_imported(shop: Path):
    """`config` does not pass over an `app.py` that fails."""
    shop.write_text("import no_such_package\n")
    done = run("quorum", "config")
    assert done.returncode != 0
    assert "no_such_package" in done.stderr


@pytest.mark.parametrize("words", [("quorum",), ("flask", "quorum")])
def test_a_dollar_in_dotenv_means_the_same_everywhere(shop: Path, words: tuple[str, ...]):
    """A value with `${…}` in `.env` is as it is written, though Flask fills it in for itself."""
    shop.with_name(".env").write_text("SMTP_SENDER=a${HOME}@example.org\n")
    rows = json.loads(run(*words, "config", "--json").stdout)
    (row,) = [row for row in rows if row["setting"] == "mailer.sender"]
    assert (row["value"], row["source"]) == ("a${HOME}@example.org", ".env, SMTP_SENDER")


def test_an_option_of_the_server_that_looks_secret_is_masked():
    """`config` shows the value of SERVER_PASSWORD as `***`."""
    done = run("quorum", "config", SERVER_PASSWORD=MARKER, SERVER_THREADS="8")
    assert MARKER not in done.stdout
    assert "'threads': '8'" in done.stdout
