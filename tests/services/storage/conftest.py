"""Storages for the tests: the embedded twin and S3."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from quorum.services.storage.folder import FolderStorage
from quorum.settings import StorageSettings
from tests.services.storage.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import S3Server

    Build = Callable[[], Any]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what a test opens, in the reverse order."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def twin(stack: ExitStack) -> FolderStorage:
    """Build an embedded twin in a temporary folder, whose URLs a site serves."""
    twin = FolderStorage(StorageSettings(), locate=lambda path: site.url + path)
    stack.callback(twin.close)
    site = Site.of(twin)
    stack.callback(site.close)
    return twin


@pytest.fixture
def kept(stack: ExitStack, tmp_path: Path) -> FolderStorage:
    """Build an embedded twin that keeps its folder."""
    kept = FolderStorage(StorageSettings(), data_path=tmp_path / "data", locate=str)
    stack.callback(kept.close)
    return kept


@pytest.fixture(scope="session")
def bare_client(s3_server: S3Server) -> Iterator[Any]:
    """Build a client of S3 that is not ours."""
    import boto3  # noqa: PLC0415 - slow, and tests of the twin need none

    session = boto3.Session("id", "secret", region_name="us-east-1")
    client = session.client("s3", endpoint_url=s3_server.url)
    yield client
    client.close()


def build_s3(server: S3Server, client: Any) -> Any:
    """Build the driver over S3, on a bucket of its own."""
    from quorum.services.storage.s3 import S3Storage  # noqa: PLC0415 - slow, as boto3 is

    bucket = f"test-{uuid.uuid4()}"
    client.create_bucket(Bucket=bucket)
    return S3Storage(
        StorageSettings(
            id="id", secret="secret", bucket=bucket, region="us-east-1", endpoint=server.url
        )
    )


@pytest.fixture
def s3(stack: ExitStack, s3_server: S3Server, bare_client: Any) -> Any:
    """Build the driver over S3, on a bucket of its own."""
    storage = build_s3(s3_server, bare_client)
    stack.callback(storage.close)
    return storage


@pytest.fixture(scope="session")
def shared_s3(s3_server: S3Server, bare_client: Any) -> Iterator[Any]:
    """Build one for many tests, since each takes a quarter of a second."""
    storage = build_s3(s3_server, bare_client)
    yield storage
    storage.close()


DRIVERS = ["memory", pytest.param("s3", marks=pytest.mark.live("s3"))]


@pytest.fixture(params=DRIVERS)
def storage(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give each storage in turn, with nothing in it."""
    if request.param == "memory":
        yield request.getfixturevalue("twin")
        return
    storage = request.getfixturevalue("shared_s3")
    yield storage
    storage.clear()


@pytest.fixture(params=DRIVERS)
def own(request: pytest.FixtureRequest) -> Any:
    """Give each storage in turn, for one test alone, which may close it."""
    return request.getfixturevalue("twin" if request.param == "memory" else "s3")
