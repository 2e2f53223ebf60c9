"""What an error of redis-py means, in a sentence of ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import redis

from quorum.errors import Rejected, ServiceError, TimedOut, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


def explain(error: redis.RedisError, place: str) -> ServiceError:
    """Return our error for one of redis-py."""
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return Rejected(
            "redis", f"{place} refuses the user name or the password; set them right in REDIS_URL"
        )
    if isinstance(error, redis.exceptions.MaxConnectionsError | redis.TimeoutError):
        return TimedOut("redis", f"{place} did not answer in time ({error})")
    if isinstance(error, redis.BusyLoadingError):
        return Unavailable("redis", f"{place} is loading its data; try again in a moment")
    if isinstance(error, redis.ConnectionError):
        return Unavailable("redis", f"{place} cannot be reached ({error})")
    return Rejected("redis", f"{place} refused the command ({error})")


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Raise our errors in the place of redis-py's."""
    try:
        yield
    except redis.RedisError as error:
        raise explain(error, place) from error
