"""What every test starts from: no leftover environment, no leftover application."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

import quorum
from quorum.execution import declarations
from quorum.profiles.variables import table_of
from quorum.settings import Settings
from quorum.startup import on_run
from tests.servers import (
    INSTALLED,
    AmqpServer,
    MongoServer,
    PusherServer,
    RedisServer,
    S3Server,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

LIVE = os.environ.get("QUORUM_LIVE") == "1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "live(noun): needs the real server of a service")
    config.addinivalue_line("markers", "long: takes minutes; run it with `pytest -m long`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a server that is not installed; with QUORUM_LIVE=1 it fails instead."""
    if not config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    # Files with servers take longest: one that came last would be waited for by one process alone.
    slow = {item.path for item in items if item.get_closest_marker("live")}
    items.sort(key=lambda item: item.path not in slow)
    for item in items:
        for mark in item.iter_markers("live"):
            installed, line = INSTALLED[mark.args[0]]
            if not installed and not LIVE:
                item.add_marker(pytest.mark.skip(reason=f"run `{line}`"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Take a skipped test for a failed one with QUORUM_LIVE=1: there everything is installed."""
    report = yield
    if LIVE and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped with QUORUM_LIVE=1: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis that many tests share: do not stop or pause it."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """A server that speaks MongoDB's protocol, shared by many tests: do not stop or pause it."""
    with MongoServer(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that speaks S3, shared by many tests: do not stop or pause it."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def amqp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AmqpServer]:
    """A RabbitMQ that many tests share: do not stop or pause it."""
    with AmqpServer(tmp_path_factory.mktemp("amqp")) as server:
        yield server


@pytest.fixture(scope="session")
def pusher_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PusherServer]:
    """A server that speaks Pusher's protocol, shared by many tests: do not stop or pause it."""
    with PusherServer(tmp_path_factory.mktemp("pusher")) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the tests, and the processes they start, leave behind among pytest's own files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(autouse=True)
def clean_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run in an empty folder, with no setting in the environment and no application loaded."""
    names = {name for variable in table_of(Settings).values() for name in variable.names}
    for name in os.environ:
        if name in names or name.startswith(("SERVER_", "SECRETS_DIR", "FLASK_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield
    quorum.unload()
    on_run.clear()
    declarations.clear()
