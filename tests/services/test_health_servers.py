"""Health on real servers: up, hanging, gone and back."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from quorum import Container, Settings
from tests.programs import environment
from tests.proxy import Proxy
from tests.servers import LOCAL
from tests.waiting import RECOVERY, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quorum.services.health import ServiceHealth

SECRET = "marker-password"
NOUNS = {
    "redis": "redis",
    "mongo": "mongo",
    "s3": "storage",
    "amqp": "amqp",
    "pusher": "pusher",
}


@pytest.fixture(params=[pytest.param(each, marks=pytest.mark.live(each)) for each in NOUNS])
def kind(request: pytest.FixtureRequest) -> str:
    """Each server in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def proxy(request: pytest.FixtureRequest, kind: str) -> Iterator[Proxy]:
    """What stands between a service and its server."""
    with Proxy(request.getfixturevalue(f"{kind}_server").port) as proxy:
        yield proxy


@pytest.fixture
def container(request: pytest.FixtureRequest, kind: str, proxy: Proxy) -> Iterator[Container]:
    """A container with that one service configured, and never used."""
    if kind == "s3":
        request.getfixturevalue("bucket")
    container = Container(settings=Settings(**settings(kind, proxy.port)))
    yield container
    container.ledger.close()


@pytest.fixture
def bucket(s3_server: Any) -> str:
    """A bucket that is there."""
    keys = {"aws_access_key_id": "marker-id", "aws_secret_access_key": SECRET}
    client = boto3.client("s3", endpoint_url=s3_server.url, region_name="us-east-1", **keys)
    client.create_bucket(Bucket="health")
    client.close()
    return "health"


def settings(kind: str, port: int) -> dict[str, Any]:
    if kind == "s3":
        place = {"bucket": "health", "endpoint": f"http://{LOCAL}:{port}", "region": "us-east-1"}
        return {"storage": {"id": "marker-id", "secret": SECRET, **place}}
    if kind == "mongo":
        # Or the client would go round the proxy, to the address that the server says it has.
        return {"mongo": {"url": f"mongodb://{LOCAL}:{port}/?directConnection=true"}}
    if kind == "amqp":
        return {"amqp": {"url": f"amqp://{LOCAL}:{port}/"}}
    if kind == "pusher":
        keys = {"app_id": "1001", "key": "marker-key", "secret": "marker-secret"}
        return {"pusher": {"host": LOCAL, "port": port, "ssl": False, **keys}}
    return {"redis": {"url": f"redis://{LOCAL}:{port}"}}


def check(container: Container, kind: str) -> ServiceHealth:
    """Return the health of the one service, asserting that it was told within a second."""
    with at_most(1):
        report = container.health().check()
    (found,) = [each for each in report.services if each.name == NOUNS[kind]]
    assert {each.status for each in report.services if each is not found} == {"unused"}
    assert report.status == found.status
    return found


def wait_for(container: Container, kind: str, status: str) -> ServiceHealth:
    end = time.monotonic() + RECOVERY
    while (found := check(container, kind)).status != status:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def test_a_server_that_answers_is_up_at_the_first_check(container: Container, kind: str):
    """Though its library is imported, and its client built, for this."""
    report = container.health().check()
    assert report.status == "up", report


def test_a_server_that_hangs_is_down_until_it_goes_on(
    container: Container, kind: str, proxy: Proxy
):
    """Every answer comes within a second, and it is up again within 15."""
    assert container.health().check().status == "up"
    proxy.stalled = True
    assert wait_for(container, kind, "down").reason
    proxy.heal()
    wait_for(container, kind, "up")


def test_a_server_that_is_gone_is_down_until_it_is_back(
    container: Container, kind: str, proxy: Proxy
):
    """The same object recovers, and the reason names no secret."""
    assert container.health().check().status == "up"
    proxy.refused = True
    proxy.reset()
    found = wait_for(container, kind, "down")
    assert SECRET not in str(found)
    assert "marker-id" not in str(found)
    proxy.refused = False
    wait_for(container, kind, "up")


FIRST = """
from quorum import Container, Settings
print(Container(settings=Settings()).health().check())
"""


@pytest.mark.live("redis")
@pytest.mark.live("mongo")
@pytest.mark.live("s3")
@pytest.mark.live("amqp")
@pytest.mark.live("pusher")
def test_the_first_check_of_a_process_is_no_false_alarm(
    redis_server: Any,
    mongo_server: Any,
    s3_server: Any,
    amqp_server: Any,
    pusher_server: Any,
    bucket: str,
):
    """Five libraries are imported and five clients built, and nothing is down for that."""
    variables = {
        "REDIS_URL": redis_server.url,
        "MONGO_URL": mongo_server.url,
        "AMQP_URL": amqp_server.url,
        "PUSHER_HOST": LOCAL,
        "PUSHER_PORT": str(pusher_server.port),
        "PUSHER_SSL": "false",
        "PUSHER_APP_ID": pusher_server.app_id,
        "PUSHER_KEY": pusher_server.key,
        "PUSHER_SECRET": pusher_server.secret,
        "AMAZON_ENDPOINT": s3_server.url,
        "AMAZON_BUCKET": bucket,
        "AMAZON_ID": "marker-id",
        "AMAZON_SECRET": SECRET,
    }
    done = subprocess.run(
        [sys.executable, "-c", FIRST],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment(**variables),
    )
    assert done.stdout.count("status='up'") == 5, done.stdout
