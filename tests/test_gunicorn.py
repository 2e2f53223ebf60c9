"""The guestbook under gunicorn, on real servers that are restarted meanwhile."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
import redis

from tests.programs import Server, serving
from tests.restarts import Servers
from tests.traffic import Told, Visitor, visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.live("redis"), pytest.mark.live("mongo"), pytest.mark.live("s3")]

GUESTBOOK = Path(__file__).parents[1] / "examples" / "guestbook"
WORKERS = 2
MIX = {"view": 1000, "sign": 190, "sign_with_picture": 30, "ready": 480, "live": 300}
"""What is asked of gunicorn: 2,000 requests, and those of who has to try again."""
FETCHED = 300
"""Looks at pictures, which their server answers by itself."""

APPLICATION = """\
import os

from guestbook import create_app

app = create_app()


@app.after_request
def name_the_worker(response):
    response.headers["X-Worker"] = str(os.getpid())
    return response
"""

USED = """\

container = app.extensions["quorum"]
container.guestbook().entries()
container.redis().client.ping()
container.storage().exists("nothing")
container.health().check()
"""
"""With --preload this runs before the fork: every client has connections that must not cross it."""


@dataclass
class Outcome:
    """What is left after the traffic."""

    told: Told
    before: set[str]
    after: set[str]
    ready: bool
    entries: Counter[tuple[str, str]]
    visits: int
    status: int
    log: str


def ask(url: str, what: str, enough: Callable[[Told], bool]) -> Told:
    """Ask until enough was told, for at most 15 seconds."""
    told = Told()
    visitor = Visitor(url, told)
    end = time.monotonic() + 15
    while not enough(told) and time.monotonic() < end:
        getattr(visitor, what)()
    visitor.close()
    return told


def workers(url: str) -> set[str]:
    """Return the pids of the workers that answer; both, unless one hangs."""
    return ask(url, "live", lambda told: len(told.workers) == WORKERS).workers


def is_ready(url: str) -> bool:
    """Tell whether all services answer again."""
    told = ask(url, "ready", lambda told: told.statuses["ready 200"] > 0)
    return told.statuses["ready 200"] > 0


@contextmanager
def gunicorn(folder: Path, *options: str, **variables: str) -> Iterator[Server]:
    """Serve the guestbook with gunicorn, as the module that is in the folder."""
    words = ["gunicorn", "--workers", str(WORKERS), "--threads", "8", "--worker-class", "gthread"]
    words += ["--bind", "127.0.0.1:0", "--timeout", "15", "--pythonpath", f"{folder},{GUESTBOOK}"]
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("COVERAGE_"):
                # To measure the lines of a server under load would be to measure something else.
                patch.delenv(name)
        with serving(folder / "log", *words, *options, "application:app", **variables) as server:
            yield server


@pytest.fixture(scope="module", params=[(), ("--preload",)], ids=["own", "preload"])
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What came of 2,000 requests, with each server restarted once in between."""
    folder = tmp_path_factory.mktemp("gunicorn")
    (folder / "application.py").write_text(APPLICATION + (USED if request.param else ""))
    told = Told()
    with ExitStack() as running:
        servers = Servers(folder, running)
        variables = servers.environment | {
            "GUESTBOOK_KEEP": "1000",
            # Less than the default: of more visitors than a worker has threads, some wait twice.
            "MONGO_TIMEOUT": "3",
            "AMAZON_TIMEOUT": "3",
            # Gunicorn keeps a socket there.
            "HOME": str(folder),
        }
        with gunicorn(folder, *request.param, **variables) as server:
            url = server.wait_for(r"Listening at: (http://[\d.]+:\d+)")[1]
            before = workers(url)
            with ThreadPoolExecutor(1) as operator:
                restarts = operator.submit(servers.restart_each, told, sum(MIX.values()))
                visit(url, told, MIX | {"fetch": FETCHED})
                restarts.result()
            return Outcome(
                told=told,
                before=before,
                after=workers(url),
                ready=is_ready(url),
                entries=entries(servers.mongo.url),
                visits=visits(servers.redis.url),
                status=server.stop(),
                log=server.output,
            )


def entries(url: str) -> Counter[tuple[str, str]]:
    """Return who wrote what, as it is in the database."""
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        found = client["guestbook"]["entries"].find()
        return Counter((each["name"], each["message"]) for each in found)


def visits(url: str) -> int:
    """Return the counter."""
    with redis.Redis.from_url(url) as client:
        return int(client.get("guestbook:visits") or 0)


def test_nobody_is_told_anything_wrong(outcome: Outcome):
    """Of 2,000 requests each is answered, with what is so or with an honest 503."""
    assert outcome.told.wrong == []
    assert outcome.told.answered >= sum(MIX.values())


def test_nobody_waits_for_long(outcome: Outcome):
    """No request takes longer than 7 seconds, whichever server is away."""
    assert outcome.told.slowest < 7


def test_every_entry_is_there_once(outcome: Outcome):
    """What visitors were told is signed is in the database once, with their own words."""
    told = outcome.told
    assert told.signed == told.sent.keys()
    assert outcome.entries == Counter((each.name, each.words) for each in told.sent.values())


def test_every_visit_counts_once(outcome: Outcome):
    """No two pages have the same count, and all are counted but those whose answer was lost."""
    counts = outcome.told.counts
    assert len(set(counts)) == len(counts)
    assert len(counts) <= outcome.visits <= len(counts) + outcome.told.uncounted


def test_every_picture_is_whole(outcome: Outcome):
    """Pictures were kept, shown by their signed address, and were those that were sent."""
    assert outcome.told.fetched > FETCHED / 2


def test_every_service_is_back(outcome: Outcome):
    """When all servers are there again, every service answers on the connections that it has."""
    assert outcome.ready


def test_no_worker_hangs(outcome: Outcome):
    """The workers that began answer at the end; none was killed, and all stop when told to."""
    assert outcome.before == outcome.after
    assert len(outcome.after) == WORKERS
    assert not re.search("TIMEOUT|SIGKILL|SIGABRT|Traceback|UserWarning", outcome.log)
    assert outcome.log.count("Booting worker") == WORKERS
    assert outcome.status == 0
