"""`quorum health`, as whoever runs the application types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.programs import run
from tests.servers import LOCAL, free_port
from tests.services.mailer.servers import SmtpServer

if TYPE_CHECKING:
    from pathlib import Path

APP = """\
import quorum
app = quorum.load(name="shop")
"""
SECRET = "marker-password"
WORDS = pytest.mark.parametrize("words", [("quorum",), ("flask", "quorum")], ids=" ".join)


@pytest.fixture(autouse=True)
def shop(tmp_path: Path) -> Path:
    """An application in `app.py`, where Flask looks for one."""
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split(None, 4)[1:] for line in text.splitlines()}


@WORDS
def test_all_is_well_with_nothing_configured(words: tuple[str, ...]):
    """Each service is listed as unused, and the status is 0."""
    done = run(*words, "health")
    assert (done.returncode, done.stderr) == (0, "")
    found = rows(done.stdout)
    assert found["service"] == ["status", "driver", "seconds", "reason"]
    assert found["mailer"] == ["unused", "memory", "-"]


def test_a_server_that_answers_is_up():
    """With the seconds that it took."""
    with SmtpServer() as server:
        done = run("quorum", "health", SMTP_HOST=LOCAL, SMTP_PORT=str(server.port))
    assert done.returncode == 0
    status, driver, seconds = rows(done.stdout)["mailer"]
    assert (status, driver) == ("up", "smtp")
    assert 0 < float(seconds) < 1


@WORDS
def test_a_server_that_does_not_is_down(words: tuple[str, ...]):
    """The status is 1, and the reason names the server and what would set it; no secret."""
    port = free_port()
    url = f"smtp://marker-user:{SECRET}@{LOCAL}:{port}"
    done = run(*words, "health", SMTP_URL=url, SMTP_STARTTLS="false", SECRET_KEY=SECRET)
    status, driver, _, reason = rows(done.stdout)["mailer"]
    assert (done.returncode, status, driver) == (1, "down", "smtp")
    assert f"{LOCAL}:{port}" in reason
    assert "SMTP_URL" in reason
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_report_has_json():
    """With the same status, and the reason."""
    done = run("quorum", "health", "--json", SMTP_HOST=LOCAL, SMTP_PORT=str(free_port()))
    found = json.loads(done.stdout)
    assert (done.returncode, found["status"]) == (1, "down")
    assert found["services"]["mailer"]["status"] == "down"
    assert "refused" in found["services"]["mailer"]["reason"]
    assert found["services"]["mongo"] == {
        "status": "unused",
        "driver": "memory",
        "seconds": None,
        "reason": None,
    }


def test_the_report_of_what_is_well_has_json():
    """With status 0."""
    done = run("quorum", "health", "--json")
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "up")


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_settings_that_are_wrong_end_with_78(form: tuple[str, ...]):
    """As in every command."""
    done = run("quorum", "health", *form, SMTP_PORT="many")
    assert done.returncode == 78
    assert "SMTP_PORT" in done.stderr


def test_a_service_that_hangs_does_not_hang_the_command(shop: Path):
    """It ends, though the ping goes on."""
    shop.write_text(
        "import time\n"
        "import quorum\n"
        "class Clock:\n"
        "    def ping(self):\n"
        "        time.sleep(3600)\n"
        "class Shop(quorum.Container):\n"
        "    clock = quorum.ThreadSafeSingleton(Clock)\n"
        "app = quorum.load(name='shop', container=Shop)\n"
        "app.container.clock()\n"
    )
    done = run("quorum", "health")
    assert done.returncode == 1
    assert rows(done.stdout)["clock"][3] == "it did not answer within 0.8 seconds"
