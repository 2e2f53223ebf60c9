"""What is special of the embedded twin: it is alone, survives forks, and may keep a file."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
from redis.exceptions import RedisError

from quorum.errors import Unavailable
from quorum.services.redis import memory
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

PROGRAM = """
import sys
from pathlib import Path
from quorum.services.redis.memory import MemoryRedis
from quorum.settings import RedisSettings
service = MemoryRedis(RedisSettings(), prefix="shop", data_path=Path(sys.argv[1]))
print(service.client.incr("runs"))
"""


def in_process(data_path: Path, more: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program that counts its runs in an embedded Redis."""
    words = [sys.executable, "-c", PROGRAM + more, str(data_path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def reopened(twin: Any, service: Any, data_path: Path) -> Any:
    """Close a service, and open the next one on its file."""
    service.close()
    return twin(data_path)


# Alone


def test_two_twins_share_nothing(twin: Any) -> None:
    """Nor with a FakeRedis of the application's tests."""
    twin().client.set("a", 1)
    fakeredis.FakeRedis().set("a", 2)
    assert twin().client.get("a") is None


def test_building_one_does_nothing(twin: Any, tmp_path: Path) -> None:
    """The file is loaded at first use."""
    service = twin(tmp_path / "data")
    service.close()
    assert not (tmp_path / "data").exists()


def test_it_gives_answers_as_the_url_says(twin: Any) -> None:
    """A test of an application whose URL decodes the answers gets text too."""
    client = twin(url="redis://nowhere/3?decode_responses=true&max_connections=7").client
    client.set("a", "Olá")
    assert client.get("a") == "Olá"


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_answer(twin: Any, protocol: int) -> None:
    """As a server does."""
    client = twin(url=f"redis://nowhere/0?protocol={protocol}").client
    client.hset("user", mapping={"name": "Ana"})
    assert client.hgetall("user") == {b"name": b"Ana"}


# Kept


def fill(client: Any) -> None:
    """Put something of each type in it."""
    client.set("text", "Olá")
    client.set("bytes", bytes(range(256)))
    client.set(b"\xff\x00key", b"")
    client.hset("hash", mapping={"name": "Ana", b"\xfe": b"\xfd"})
    client.rpush("list", 3, 1, 2, 1)
    client.sadd("set", "a", b"\xff")
    client.zadd("zset", {"third": 0.1 + 0.2, "most": float("inf"), "least": float("-inf")})
    client.pfadd("visitors", "ana", "rui")
    client.setbit("bits", 7, 1)
    client.geoadd("places", (-9.14, 38.71, "Lisbon"))


def content(client: Any) -> dict[str, Any]:
    """Read all of it back."""
    return {
        "keys": sorted(client.keys("*")),
        "text": client.get("text"),
        "bytes": client.get("bytes"),
        "binary key": client.get(b"\xff\x00key"),
        "hash": client.hgetall("hash"),
        "list": client.lrange("list", 0, -1),
        "set": client.smembers("set"),
        "zset": client.zrange("zset", 0, -1, withscores=True),
        "visitors": client.pfcount("visitors"),
        "bits": client.getbit("bits", 7),
        "places": client.geopos("places", "Lisbon"),
    }


def test_every_type_is_kept(twin: Any, tmp_path: Path) -> None:
    """Whatever bytes it holds."""
    service = twin(tmp_path)
    fill(service.client)
    before = content(service.client)
    assert content(reopened(twin, service, tmp_path).client) == before


def test_every_database_is_kept(twin: Any, tmp_path: Path) -> None:
    """Each by its number."""
    service = twin(tmp_path, url="redis://nowhere/5")
    service.client.set("five", 1)
    service.close()
    assert twin(tmp_path, url="redis://nowhere/5").client.get("five") == b"1"


def test_a_stream_is_kept_with_its_groups(twin: Any, tmp_path: Path) -> None:
    """Entries, ids, counters, consumers, and what is pending, also of what was deleted."""
    service = twin(tmp_path)
    client = service.client
    for number in range(1, 5):
        client.xadd("jobs", {"n": number, b"\xff": b"\xfe"}, id=f"{number}-0")
    client.xgroup_create("jobs", "workers", id="0")
    client.xgroup_create("jobs", "idle", id="2-0")
    client.xgroup_createconsumer("jobs", "idle", "nobody")
    client.xreadgroup("workers", "ana", {"jobs": ">"}, count=3)
    client.xack("jobs", "workers", "1-0")
    client.xdel("jobs", "2-0", "4-0")
    client.xadd("emptied", {"a": 1}, id="9-9")
    client.xdel("emptied", "9-9")

    def state(of: Any) -> list[Any]:
        return [
            of.xrange("jobs"),
            of.xinfo_stream("jobs"),
            of.xinfo_groups("jobs"),
            [each["name"] for each in of.xinfo_consumers("jobs", "idle")],
            [
                (each["message_id"], each["consumer"], each["times_delivered"])
                for each in of.xpending_range("jobs", "workers", "-", "+", 10)
            ],
            of.xinfo_stream("emptied"),
        ]

    before = state(client)
    client = reopened(twin, service, tmp_path).client
    assert state(client) == before
    assert client.xreadgroup("workers", "rui", {"jobs": ">"}) == []
    assert client.xadd("emptied", {"a": 1}, id="9-*") == b"9-10"


def test_a_key_expires_while_it_is_off(twin: Any, tmp_path: Path) -> None:
    """Its time goes on."""
    service = twin(tmp_path)
    service.client.set("short", 1, px=200)
    service.client.set("long", 1, ex=100)
    saved = time.monotonic()
    service.close()
    wait_until(lambda: time.monotonic() > saved + 0.25)
    client = twin(tmp_path).client
    assert client.get("short") is None
    assert 90 < client.ttl("long") <= 100


def test_fields_keep_their_expiry(twin: Any, tmp_path: Path) -> None:
    """A field of a hash may have one of its own."""
    service = twin(tmp_path)
    service.client.hset("hash", mapping={"short": 1, "long": 1})
    service.client.hexpire("hash", 100, "short")
    client = reopened(twin, service, tmp_path).client
    short, long = client.httl("hash", "short", "long")
    assert 90 < short <= 100
    assert long == -1


def test_what_cannot_be_kept_is_told(
    twin: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named in the log, and the rest is kept."""
    service = twin(tmp_path)
    service.client.json().set("document", "$", {"a": 1})
    service.client.set("a", 1)
    client = reopened(twin, service, tmp_path).client
    assert "not saved" in caplog.text
    assert "document" in caplog.text
    assert client.get("a") == b"1"


def test_saving_is_done_when_asked(twin: Any, tmp_path: Path) -> None:
    """Without closing."""
    service = twin(tmp_path)
    service.client.set("a", "Olá")
    service.save()
    document = json.loads((tmp_path / "redis.json").read_text())
    assert document["databases"]["0"] == [{"key": "a", "type": "string", "value": "Olá"}]


def test_saving_while_threads_write_keeps_each_key_whole(twin: Any, tmp_path: Path) -> None:
    """A hash that is written in one command is saved as one of its states."""
    service = twin(tmp_path)
    service.client.hset("pair", mapping={"a": 0, "b": 0})
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            service.client.hset("pair", mapping={"a": number, "b": number})

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(10):
        service.save()
        (entry,) = json.loads((tmp_path / "redis.json").read_text())["databases"]["0"]
        assert len({value for _, value in entry["value"]}) == 1
    ended.set()
    thread.join()


def test_saving_while_keys_come_and_go(twin: Any, tmp_path: Path) -> None:
    """Also while they change their type, expire, and move: what is saved is one moment of it."""
    service = twin(tmp_path)
    client = service.client
    client.set("token", 1)
    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            with client.pipeline() as pipe:
                pipe.delete("key").rpush("key", 1).rename("token", "other")
                pipe.set("short", 1, px=1).hset("hash", "field", 1).execute()
            with client.pipeline() as pipe:
                pipe.delete("key").set("key", 1).rename("other", "token").delete("hash").execute()

    thread = threading.Thread(target=change)
    thread.start()
    for _ in range(20):
        service.save()
        entries = json.loads((tmp_path / "redis.json").read_text())["databases"]["0"]
        keys = {entry["key"] for entry in entries}
        assert len(keys & {"token", "other"}) == 1
    ended.set()
    thread.join()


def test_saving_without_a_path_does_nothing(twin: Any) -> None:
    """There is nowhere to save to."""
    service = twin()
    service.client.set("a", 1)
    service.save()


def test_the_file_is_private(twin: Any, tmp_path: Path) -> None:
    """0600, as sessions may be in it."""
    service = twin(tmp_path)
    service.client.set("a", 1)
    service.close()
    assert stat.S_IMODE((tmp_path / "redis.json").stat().st_mode) == 0o600


def test_programs_share_a_file_one_after_the_other(tmp_path: Path) -> None:
    """Saved as the interpreter exits, well or not, without a word in the program."""
    first, second = in_process(tmp_path, "raise SystemExit(3)"), in_process(tmp_path)
    assert (first.stdout, first.returncode) == ("1\n", 3)
    assert (second.stdout, second.returncode) == ("2\n", 0)


def test_two_programs_do_not_share_a_file_at_once(twin: Any, tmp_path: Path) -> None:
    """The second is told who keeps it, and what to set."""
    twin(tmp_path).client.set("a", 1)
    ended = in_process(tmp_path)
    assert f"is kept by process {os.getpid()}" in ended.stderr
    assert "set REDIS_URL" in ended.stderr


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 1}',
        '{"format": 9, "databases": {}}',
        '{"format": 1, "databases": {"x": []}}',
        '{"format": 1, "databases": {"0": [{"key": "a"}]}}',
        '{"format": 1, "databases": {"0": [{"key": "a", "type": "graph", "value": 1}]}}',
        '{"format": 1, "databases": {"0": [{"key": {"base64": "?"}, "type": "list"}]}}',
        '{"format": 1, "databases": {"0": [{"key": "a", "type": "zset", "value": [["m", "x"]]}]}}',
        '{"format": 1, "databases": {"0": [{"key": "a", "type": "stream", "value": {}}]}}',
        "\x00\x01\x02",
    ],
)
def test_a_file_that_is_broken_is_left_as_it_is(twin: Any, tmp_path: Path, text: str) -> None:
    """The error names it; neither a save nor the end of the service overwrites it."""
    path = tmp_path / "redis.json"
    path.write_text(text)
    service = twin(tmp_path)
    with pytest.raises(Unavailable, match=r"redis\.json cannot be read"):
        _ = service.client
    service.save()
    service.close()
    assert path.read_text() == text


def test_a_second_use_of_a_broken_file_says_so_again(twin: Any, tmp_path: Path) -> None:
    """Nothing half loaded is served."""
    (tmp_path / "redis.json").write_text("{")
    service = twin(tmp_path)
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be read"):
            service.ping()


def test_a_save_that_fails_is_told(twin: Any, tmp_path: Path) -> None:
    """And the service is closed all the same."""
    service = twin(tmp_path / "data")
    service.client.set("a", 1)
    (tmp_path / "data" / "redis.json").mkdir()
    with pytest.raises(Unavailable, match="could not be saved"):
        service.close()
    with pytest.raises(Unavailable, match="closed"):
        service.ping()


# Forks


@forks
def test_a_child_goes_on_with_its_own_copy(twin: Any, in_child: Any) -> None:
    """What the parent had is there; what either writes later, the other does not see."""
    service = twin()
    service.client.set("a", 1)

    def child() -> None:
        assert service.client.incr("a") == 2

    assert in_child(child) == 0
    assert service.client.get("a") == b"1"


@forks
def test_forks_while_threads_ask_leave_children_that_ask(twin: Any, in_child: Any) -> None:
    """Whatever lock a thread of the parent held, and whichever client the child uses."""
    service = twin()
    held = service.client
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            held.rpush("list", "x" * 1000)
            held.lrange("list", 0, -1)
            held.delete("list")

    def child() -> None:
        for client in (held, service.client):
            client.set("child", 1)
            assert client.get("child") == b"1"
            assert client.eval("return redis.call('GET', KEYS[1])", 1, "child") == b"1"
            assert client.blpop("none", timeout=0.05) is None

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    statuses = [in_child(child) for _ in range(10)]
    ended.set()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 10


@forks
def test_a_child_does_not_share_the_file(twin: Any, tmp_path: Path, in_child: Any) -> None:
    """Neither through the service nor through the parent's client: it would be lost."""
    service = twin(tmp_path)
    held = service.client
    held.set("a", 1)

    def child() -> None:
        with pytest.raises(Unavailable, match=r"kept by process \d+.*set REDIS_URL"):
            _ = service.client
        with pytest.raises(Unavailable, match=r"forked from; set REDIS_URL"):
            held.set("a", 2)
        service.close()

    assert in_child(child) == 0
    assert held.get("a") == b"1"
    assert reopened(twin, service, tmp_path).client.get("a") == b"1"


@forks
def test_a_child_may_keep_the_file_after_the_parent(
    twin: Any, tmp_path: Path, in_child: Any
) -> None:
    """As with `gunicorn --preload`, whose master has closed what it had opened."""
    service = twin(tmp_path)
    service.client.set("a", 1)
    service.close()
    unused = twin(tmp_path)

    def child() -> None:
        assert unused.client.incr("a") == 2
        unused.close()

    assert in_child(child) == 0
    assert unused.client.get("a") == b"2"


# As the driver


def test_its_errors_are_redis_pys(twin: Any) -> None:
    """Code that catches them needs no case for tests."""
    client = twin().client
    client.set("a", "text")
    with pytest.raises(RedisError):
        client.incr("a")


def test_what_a_child_does_first_opens_every_lock(twin: Any) -> None:
    """Seen in this process, since a forked child is not measured: the data stays."""
    service = twin()
    service.client.set("a", 1)
    service._in_memory.lock.acquire()
    memory._leave_all()
    assert service.client.get("a") == b"1"


def test_what_a_child_inherits_of_a_kept_twin_is_refused(twin: Any, tmp_path: Path) -> None:
    """Its client would answer with what nobody saves; the file is its parent's."""
    service = twin(tmp_path)
    client = service.client
    client.set("a", 1)
    service._file.leave()
    with pytest.raises(Unavailable, match="kept by the process that this one was forked from"):
        client.get("a")
