"""What the driver's errors mean, in our words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pymongo.errors import (
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
)

from quorum.errors import (
    ConfigurationError,
    Problem,
    QuorumError,
    Rejected,
    ServiceError,
    TimedOut,
    Unavailable,
)

if TYPE_CHECKING:
    from pymongo import MongoClient

# Unauthorized, AuthenticationFailed, AtlasError
_REFUSED = {13, 18, 8000}


def explain(
    error: PyMongoError | TimeoutError, client: MongoClient[Any], place: str
) -> ServiceError:
    """Explain why a server did not answer a ping."""
    # What the server's monitor met tells one that hangs from one that is gone.
    failure = _failure_of_a_server(client) or error
    for each in (error, failure):
        if isinstance(each, OperationFailure) and each.code in _REFUSED:
            return Rejected(
                "mongo", f"{place} refused the user or the password ({each.code}); check MONGO_URL"
            )
    late = isinstance(failure, (NetworkTimeout, TimeoutError))
    if late or (failure is error and isinstance(error, PyMongoError) and error.timeout):
        return TimedOut("mongo", f"{place} did not answer in time")
    return Unavailable("mongo", f"{place} cannot be used ({_reason(failure)}); check MONGO_URL")


def explain_url(error: Exception, url: str) -> QuorumError:
    """Explain why no client could be built, without any part of the URL that is secret."""
    text = str(error)
    hidden = any(part in text or unquote(part) in text for part in _secrets(url))
    reason = "" if hidden else f": {text.rstrip('.')}"
    if url.startswith("mongodb+srv:"):
        return Unavailable("mongo", f"MONGO_URL cannot be looked up{reason}; check its host")
    rule = f"is refused by the driver{reason}"
    return ConfigurationError([Problem("mongo.url", rule, names=("MONGO_URL",))])


def explain_look_up(seconds: float) -> TimedOut:
    """Explain that no DNS server told in time where the servers are."""
    return TimedOut(
        "mongo",
        f"the host of MONGO_URL was not looked up within {seconds:g} s; check its DNS server",
    )


def _failure_of_a_server(client: MongoClient[Any]) -> Exception | None:
    servers = client.topology_description.server_descriptions().values()
    return next((server.error for server in servers if server.error), None)


def _reason(failure: Exception) -> str:
    """Return what the driver says, without the time limits and the topology that it adds."""
    return re.split(r" \(configured timeouts|, Timeout:|, full error:", str(failure))[0]


def _secrets(url: str) -> set[str]:
    """Return the parts of a URL that no message may repeat, as they are written there."""
    place, _, query = url.partition("://")[2].partition("?")
    user, _, password = place.rpartition("@")[0].partition(":")
    values = {part.partition("=")[2] for part in re.split("[&;]", query)}
    # What is shorter stands in any sentence by chance.
    return {part for part in {user, password, *values} if len(part) > 2}  # noqa: PLR2004
