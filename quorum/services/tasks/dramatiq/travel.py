"""What may travel to another process: functions by their import path, arguments as JSON."""

from __future__ import annotations

import importlib
import math
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_UNNAMED = "<"
_MOST_BITS = 10_000


class Path(NamedTuple):
    """Where a function is found: `module:name`, and how many decorators are taken off there."""

    name: str
    wrappers: int = 0


def check_path(function: Any) -> str:
    """Return the path that should lead to a function. Raises Rejected where none can."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        raise _refused(f"a {type(function).__name__} has no import path")
    if module == "__main__":
        raise _refused(f"{name} is in the file that was run, which other processes cannot import")
    if "<lambda>" in name:
        raise _refused("a lambda has no import path")
    if _UNNAMED in name:
        raise _refused(f"{name} is made inside a function, so that it has no import path")
    if _is_bound(function) and not isinstance(function.__self__, type):
        raise _refused(f"{name} is bound to an object, which other processes do not have")
    return f"{module}:{name}"


def path_of(function: Callable[..., Any]) -> Path:
    """Return the path of a function. Raises Rejected where none leads to it, with the reason."""
    path = check_path(function)
    try:
        found = _imported(path)
    except (ImportError, AttributeError) as error:
        raise _refused(f"{path} cannot be imported") from error
    for wrappers, each in enumerate(_layers(found)):
        # A method of a class is another object each time that it is asked for.
        if each is function or (_is_bound(each) and each == function):
            return Path(path, wrappers)
    raise _refused(f"{path} is another function")


def function_at(path: Path) -> Callable[..., Any]:
    """Return the function that a path leads to. Raises ImportError or AttributeError."""
    found = _imported(path.name)
    for wrappers, each in enumerate(_layers(found)):
        if wrappers == path.wrappers:
            called: Callable[..., Any] = each
            return called
    raise AttributeError(f"{path.name} has fewer decorators than where it was submitted")


def check_json(value: object, where: str) -> None:
    """Raise Rejected for what JSON cannot say, by its type; tuples arrive as lists."""
    try:
        fault = next(_faults(value), None)
    except RecursionError as error:
        raise _no_json(where, "what is nested too deeply") from error
    if fault is not None:
        raise _no_json(where, fault)


def _faults(value: object) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield "a number that is not finite"
    elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
        yield "a number of too many digits"
    elif isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                yield f"a mapping with a key of type {type(key).__name__}"
            yield from _faults(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _faults(each)
    elif not isinstance(value, str | int | float | None):
        yield f"one of type {type(value).__name__}"


def _no_json(where: str, fault: str) -> Rejected:
    return Rejected(
        "tasks",
        f"{where} is or holds {fault}, which JSON cannot say and no other process is given; "
        "give JSON, such as its id or its text",
    )


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    return operator.attrgetter(name)(importlib.import_module(module))


def _layers(function: Any) -> Iterator[Any]:
    """Give a function, and those that its decorators are around, as functools.wraps tells."""
    seen: list[Any] = []
    while function is not None and not any(function is each for each in seen):
        seen.append(function)
        yield function
        function = getattr(function, "__wrapped__", None)


def _is_bound(function: Any) -> bool:
    return getattr(function, "__self__", None) is not None and hasattr(function, "__func__")


def _refused(reason: str) -> Rejected:
    return Rejected(
        "tasks",
        f"{reason}, and a worker finds a function by that alone; "
        "give a function of a module, and what it is about as arguments",
    )
