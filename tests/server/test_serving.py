"""Serving: `quorum.run`."""

from __future__ import annotations

import signal
import socket
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from flask import Flask

import quorum
from quorum import ConfigurationError, NotLoaded
from quorum.server import serve
from tests.programs import run, serving

if TYPE_CHECKING:
    from pathlib import Path

HELLO = """\
import quorum
from quorum import Container, Mailer, Provide, inject

app = quorum.load(name=__name__)

@app.post("/welcome/<address>")
@inject
def welcome(address: str, mailer: Mailer = Provide[Container.mailer]):
    mailer.send(subject="Welcome", to=[address], text=f"Good to have you, {address}.")
    return "", 204

if __name__ == "__main__":
    quorum.run()
"""

TILL = """\
import quorum
from quorum import Container, Provide, ThreadSafeSingleton, inject

class Till:
    def close(self):
        print("the till is closed")

class Shop(Container):
    till = ThreadSafeSingleton(Till)

app = quorum.load(name=__name__, container=Shop)

@app.get("/")
@inject
def index(till: Till = Provide[Shop.till]):
    return "open"

quorum.run()
"""


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """The first example of the documents, saved as one file."""
    path = tmp_path / "hello.py"
    path.write_text(HELLO)
    return path


def test_the_example_runs_as_a_file(hello: Path, tmp_path: Path):
    """`python file.py` serves the example, and its view gets its mailer."""
    with serving(tmp_path / "log", "python", str(hello), PORT="0") as server:
        assert server.get("/welcome/ana@example.org", "POST")[0] == 204


def test_the_example_runs_under_flask(hello: Path, tmp_path: Path):
    """`flask --app file run` serves the example."""
    words = ("flask", "--app", str(hello), "run", "--port", "0")
    with serving(tmp_path / "log", *words) as server:
        assert server.get("/welcome/ana@example.org", "POST")[0] == 204


def test_the_example_runs_under_flask_debug(hello: Path, tmp_path: Path):
    """`flask --debug run` serves the example, with its reloader."""
    words = ("flask", "--app", str(hello), "--debug", "run", "--port", "0")
    with serving(tmp_path / "log", *words) as server:
        assert server.get("/welcome/ana@example.org", "POST")[0] == 204
        server.stop(signal.SIGINT)


def test_the_example_runs_under_quorum(hello: Path, tmp_path: Path):
    """`quorum --app file run` serves the example."""
    words = ("quorum", "--app", str(hello), "run", "--port", "0")
    with serving(tmp_path / "log", *words) as server:
        assert server.get("/welcome/ana@example.org", "POST")[0] == 204


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_the_services(tmp_path: Path, number: signal.Signals, level: str):
    """SIGTERM and Ctrl-C end both servers with status 0, and close the services."""
    (tmp_path / "till.py").write_text(TILL)
    port = str(free_port())
    words = ("python", str(tmp_path / "till.py"))
    with serving(tmp_path / "log", *words, PORT=port, LEVEL=level) as server:
        assert server.get("/") == (200, "open")
        assert server.stop(number) == 0
        assert server.output.count("the till is closed") == 1
        assert "till was stopped" in server.output


def test_one_line_names_the_versions(hello: Path, tmp_path: Path):
    """The start is logged in one line with names and versions, and without secrets."""
    marker = "marker-password"
    variables = {"PORT": "0", "SECRET_KEY": marker, "REDIS_URL": f"redis://:{marker}@127.0.0.1"}
    with serving(tmp_path / "log", "python", str(hello), **variables) as server:
        line = server.wait_for(r".* runs on .*")[0]
        assert f"quorum {version('quorum')}, flask {version('flask')}, waitress" in line
        assert marker not in server.output


def test_an_unknown_server_is_refused():
    """Another server than the two is an error that lists them."""
    quorum.load(name="shop")
    with pytest.raises(ConfigurationError, match="'gunicorn'; there are werkzeug, waitress"):
        quorum.run("gunicorn")


@pytest.mark.parametrize("server", ["waitress", "werkzeug"])
def test_a_port_in_use_is_named(server: str):
    """A port that is taken is an error that names it."""
    app = quorum.load(app=Flask("shop"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
            serve(app, server, port=port)


def test_the_debugger_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch):
    """Werkzeug's server refuses an address that others can reach."""
    monkeypatch.setenv("HOST", "192.0.2.1")
    quorum.load(name="shop")
    with pytest.raises(ConfigurationError, match=r"must not listen on 192\.0\.2\.1"):
        quorum.run("werkzeug")


def test_run_without_an_application_says_what_to_do():
    """`run()` without a loaded application raises NotLoaded."""
    with pytest.raises(NotLoaded, match=r"quorum\.load\(\)"):
        quorum.run()


def test_run_does_nothing_under_flask(monkeypatch: pytest.MonkeyPatch):
    """Under Flask's own command line, which serves by itself, `run()` returns."""
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    app = quorum.load(name="shop")
    quorum.run()
    assert quorum.get_app() is app


def test_options_are_handed_to_the_server(hello: Path):
    """SERVER_<X> goes to the server as x: here one that Waitress refuses."""
    done = run("python", str(hello), PORT="0", SERVER_THREADS="many")
    assert done.returncode != 0
    assert "many" in done.stderr


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_an_option_that_the_server_does_not_have_is_named(hello: Path, level: str):
    """An option that neither server has ends with status 78 under `quorum run`, and is named."""
    done = run("quorum", "-A", str(hello), "run", PORT="0", LEVEL=level, SERVER_THREDS="8")
    assert done.returncode == 78
    assert "threds" in done.stderr.lower()


def test_an_application_without_quorum_cannot_be_served():
    """`run()` inside of an application that is not loaded raises NotLoaded."""
    with Flask("plain").app_context(), pytest.raises(NotLoaded, match="'plain' is not loaded"):
        quorum.run()
