"""What the client is built with: the options of the URL, but for those that break a promise."""

from __future__ import annotations

import logging
import re
from typing import Any

from pymongo.uri_parser import split_options

logger = logging.getLogger("quorum.mongo")

_LIMITS = ("timeoutMS", "serverSelectionTimeoutMS", "connectTimeoutMS", "waitQueueTimeoutMS")


def client_options(url: str, timeout: float, database: str) -> dict[str, Any]:
    """Return what wins over the options of a URL; `timeout` is in seconds.

    Raises what pymongo does for an option that it refuses or does not know (in a client it would
    only warn), and ValueError for one that is given twice.
    """
    # Cut as pymongo does: for urlsplit the options would end at a `#`.
    query = url.partition("?")[2]
    _refuse_repeated(query)
    given = split_options(query) if query else {}
    limits = {name: min(given.get(name.lower()) or timeout, timeout) * 1000 for name in _LIMITS}
    return {
        **limits,
        "w": _confirmation(given.get("w")),
        # Two that pymongo does not take together; both wait for the disk.
        **({} if given.get("fsync") else {"journal": True}),
        "tz_aware": True,
        "appname": given.get("appname") or database,
    }


def _refuse_repeated(query: str) -> None:
    seen: set[str] = set()
    for part in re.split("[&;]", query):
        name = part.partition("=")[0].lower()
        if name in seen and name != "readpreferencetags":
            raise ValueError(f"{name} is given twice")
        seen.add(name)


def _confirmation(given: int | str | None) -> str:
    # A name is "majority", or a rule of the replica set's own.
    if given and isinstance(given, str):
        return given
    if isinstance(given, int):
        logger.warning("w=%d in MONGO_URL may be less than a majority: w=majority is used", given)
    return "majority"
