"""DATA_PATH: what the embedded twins hold is there again, however the application was stopped."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

import quorum
from quorum import Settings, Unavailable
from tests.programs import serving

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION = """
import quorum
app = quorum.load(name=__name__)

@app.post("/")
def visit():
    quorum.get_mongo_db()["notes"].insert_one({"text": "hello"})
    quorum.get_redis().incr("visits")
    quorum.get_amazon_key("note.txt").set_contents_from_string("hello")
    quorum.send_mail(subject="hello", receivers=["ana@example.org"], data="hello")
    return counts()

@app.get("/")
def counts():
    return [
        quorum.get_mongo_db()["notes"].count_documents({}),
        int(quorum.get_redis().get("visits") or 0),
        len(list(quorum.get_amazon_bucket())),
        len(app.container.mailer().outbox),
    ]
"""
COMMANDS = {
    "quorum": ("quorum", "--app", "notes.py", "run", "--port", "0"),
    "flask": ("flask", "--app", "notes.py", "run", "--port", "0"),
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", list(COMMANDS))
def test_all_is_remembered(
    command: str, number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Under `quorum run` and `flask run`, ended by SIGTERM or by Ctrl-C."""
    # Coverage has a handler of SIGTERM of its own, which would stand in the place of ours.
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "notes.py").write_text(APPLICATION)
    words, data = COMMANDS[command], str(tmp_path / "data")
    with serving(tmp_path / "first.log", *words, DATA_PATH=data) as server:
        assert server.get("/", "POST")[1].strip() == "[1,1,1,1]"
        server.stop(number)
    with serving(tmp_path / "second.log", *words, DATA_PATH=data) as server:
        assert server.get("/")[1].strip() == "[1,1,1,1]"


def test_a_handler_of_sigterm_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Whoever has a say on SIGTERM keeps it; without DATA_PATH it is left as it was."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        quorum.load(name="shop")
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        quorum.unload()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        quorum.load(name="shop", settings=Settings(data_path=tmp_path))
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_two_applications_do_not_keep_one_file(tmp_path: Path):
    """The second that asks is told who has it, and what to set."""
    first, second = (
        quorum.Container(settings=Settings(name=name, data_path=tmp_path)) for name in ("a", "b")
    )
    first.redis().client.set("a", 1)
    with pytest.raises(Unavailable, match=r"redis\.json is kept by .*set REDIS_URL"):
        second.redis().client.get("a")
    for container in (first, second):
        container.ledger.close()


def test_the_folder_is_the_owners_alone(tmp_path: Path):
    """No other user of the machine may read what is kept."""
    container = quorum.Container(settings=Settings(data_path=tmp_path))
    container.mongo().collection("notes").insert_one({"a": 1})
    container.redis().client.set("a", 1)
    container.storage().put("a", b"1")
    container.ledger.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert {path.stat().st_mode & 0o077 for path in files} == {0}
