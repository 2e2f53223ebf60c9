"""What a call of the driver may ask of the twin: whatever it would leave undone is refused."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from pymongo.common import (
    validate_is_mapping,
    validate_ok_for_replace,
    validate_ok_for_update,
)

from quorum.errors import Unsupported
from quorum.services.mongo.memory.filters import check_code
from quorum.services.mongo.memory.values import to_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bson.codec_options import CodecOptions

# They change how long a call takes or what is logged of it, and not what it does.
_WITHOUT_EFFECT = frozenset(
    {"comment", "maxTimeMS", "max_time_ms", "batchSize", "batch_size", "allowDiskUse", "hint"}
)


@functools.cache
def _signature(method: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(method)


def bound(method: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the arguments of a call by their names. Raises TypeError as the driver would."""
    arguments = dict(_signature(method).bind(None, *args, **kwargs).arguments)
    arguments.pop("self")
    more = arguments.pop("kwargs", {})
    return {**arguments, **more}


def unsupported(what: str) -> Unsupported:
    """Return the error for what only a server can do."""
    return Unsupported(
        "mongo", f"the embedded twin cannot do that ({what}); set MONGO_URL to use a server"
    )


def understood(
    arguments: dict[str, Any], known: Collection[str], options: CodecOptions[Any]
) -> dict[str, Any]:
    """Return the arguments that have an effect, as the engine takes them.

    Raises Unsupported for one that should have an effect and that the twin does not know, and
    what the driver does for one of the wrong kind.
    """
    for name, value in arguments.items():
        if name not in known and name not in _WITHOUT_EFFECT and value not in (None, False, 0):
            raise unsupported(f"the argument {name}")
    _check(arguments)
    given = {name: arguments[name] for name in known if arguments.get(name) is not None}
    kept: dict[str, Any] = asked(given, options, documents=("document", "replacement"))
    return kept


def _check(arguments: dict[str, Any]) -> None:
    """Check, as the driver does, what a server would be sent."""
    # Without a filter, distinct means all.
    if arguments.get("filter") is not None or ("filter" in arguments and "key" not in arguments):
        validate_is_mapping("filter", arguments["filter"])
    for name in ("key", "new_name"):
        if not isinstance(arguments.get(name, ""), str):
            raise TypeError(f"{name} must be an instance of str")
    if "update" in arguments:
        validate_ok_for_update(arguments["update"])
    if "replacement" in arguments:
        validate_ok_for_replace(arguments["replacement"])


def asked(value: Any, options: CodecOptions[Any], documents: Collection[str] = ()) -> Any:
    """Return a question, or several by their names, as the engine takes it.

    What is in `documents` is data. Raises Unsupported for a question that is a program.
    """
    kept = to_kept(value, options)
    try:
        check_code({k: v for k, v in kept.items() if k not in documents} if documents else kept)
    except NotImplementedError as error:
        raise unsupported(str(error)) from error
    return kept
