"""The counter of visits."""

import logging

from redis import RedisError

from quorum import Redis, ServiceError

logger = logging.getLogger(__name__)


class Visits:
    """Counts how often the page was shown, in Redis; many threads and processes may count."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        # A Redis may serve many applications: every key begins with the name of its own.
        self._key = f"{name}:visits"

    def count(self) -> int | None:
        """Count one more, and return how many there are; None where Redis does not answer."""
        try:
            return int(self._redis.client.incr(self._key))
        except (RedisError, ServiceError) as error:
            logger.warning("a visit could not be counted: %s", error)
            return None
