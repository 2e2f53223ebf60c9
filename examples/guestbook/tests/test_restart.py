"""The guestbook in a process of its own, which is stopped and started again."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import pytest
import urllib3
from guestbook import create_app

import quorum

FOLDER = Path(__file__).parents[1]
QUORUM = Path(sys.executable).with_name("quorum")
DEADLINE = 20.0


@contextmanager
def serving(command: str, log: Path) -> Iterator[str]:
    """Serve the guestbook, give its address, and stop it as an operator would."""
    with log.open("wb") as file:
        words = [str(QUORUM), command, "--port", "0"]
        server = subprocess.Popen(  # noqa: S603 - the words are ours
            words,
            cwd=FOLDER,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield address(server, log)
        server.send_signal(signal.SIGTERM)
        assert server.wait(DEADLINE) == 0, log.read_text()
    finally:
        if server.poll() is None:
            server.kill()
            server.wait(DEADLINE)


def address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    """Wait until the server says where it listens."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end and server.poll() is None:
        found = re.search(r"runs on (http://[\d.:]+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"the guestbook does not serve:\n{log.read_text()}")


@pytest.mark.parametrize("command", ["run", "demo"])
def test_remembers_everything(
    command: str, tmp_path: Path, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With DATA_PATH set, entry, picture, counter and mail are there after a restart."""
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    form = {"name": "Ana", "email": "ana@example.org", "message": "What a lovely idea."}
    with urllib3.PoolManager(retries=False) as visitor:
        with serving(command, tmp_path / "log") as url:
            fields = form | {"picture": ("ana.png", picture)}
            assert visitor.request("POST", url, fields=fields, redirect=False).status == 303
            assert "<strong>1</strong> time." in visitor.request("GET", url).data.decode()
        with serving(command, tmp_path / "log") as url:
            page = visitor.request("GET", url).data.decode()
            (source,) = re.findall('<img src="([^"]+)"', page)
            assert visitor.request("GET", unescape(source)).data == picture
    assert "What a lovely idea." in page
    assert "<strong>2</strong> times." in page
    assert recipients() == ["ana@example.org"]


def test_stops_beside_an_open_page(tmp_path: Path) -> None:
    """Who still has the page open keeps the guestbook not from stopping well."""
    log = tmp_path / "log"
    with urllib3.PoolManager(retries=False) as visitor:
        with serving("run", log) as url:
            stream = visitor.request("GET", f"{url}/live?after=0", preload_content=False)
            assert stream.read(5) == b"retry"
        stream.close()
    assert "was stopped" in log.read_text()
    assert "Traceback" not in log.read_text()


def recipients() -> list[str]:
    """Return whom the mail is for that the folder of data holds."""
    app = create_app()
    found = [mail["To"] for mail in app.extensions["quorum"].mailer().outbox]
    quorum.unload(app)
    return found
