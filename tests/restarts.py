"""The servers of an application with traffic, each restarted once it is felt to be away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from tests.servers import MongoServer, RedisServer, S3Server, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from tests.traffic import Told

BUCKET = "pictures"
KEYS = {"aws_access_key_id": "an-id", "aws_secret_access_key": "a-secret"}


def create_bucket(endpoint: str) -> None:
    """Make the bucket, which a server that was started anew does not have."""
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
    client.create_bucket(Bucket=BUCKET)
    client.close()


class Servers:
    """A server for each service, and how each is restarted."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        for name in ("redis", "mongo", "s3"):
            (folder / name).mkdir()
        self.redis = running.enter_context(RedisServer(folder / "redis"))
        self.mongo = running.enter_context(MongoServer(folder / "mongo"))
        self.s3 = running.enter_context(S3Server(folder / "s3"))
        create_bucket(self.s3.url)

    @property
    def environment(self) -> dict[str, str]:
        """What tells the application where they are."""
        return {
            "REDIS_URL": self.redis.url,
            "MONGO_URL": self.mongo.url,
            "AMAZON_ENDPOINT": self.s3.url,
            "AMAZON_BUCKET": BUCKET,
            "AMAZON_REGION": "us-east-1",
            "AMAZON_ID": KEYS["aws_access_key_id"],
            "AMAZON_SECRET": KEYS["aws_secret_access_key"],
        }

    def restart_each(self, told: Told, requests: int) -> None:
        """Stop each in its turn until visitors have met that, and start it again."""

        def after(share: float) -> None:
            told.wait_for(lambda told: told.answered >= share * requests)

        after(0.15)
        restart(self.redis, told, lambda told: told.uncounted)
        after(0.4)
        restart(self.mongo, told, lambda told: told.statuses["view 503"])
        after(0.65)
        with told:
            told.bucket += 1
        restart(self.s3, told, lambda told: told.lost)
        create_bucket(self.s3.url)
        with told:
            told.bucket += 1


def restart(server: ServerProcess, told: Told, met: Callable[[Told], int]) -> None:
    """Restart a server; it stays away until `met` has grown."""
    server.stop()
    with told:
        before = met(told)
    told.wait_for(lambda told: met(told) > before)
    server.start()
