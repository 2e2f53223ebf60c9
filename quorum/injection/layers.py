"""What stands under a function that Flask calls: its decorators, and the injections among them."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from quorum.injection.stock import stock_injection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quorum.injection.plans import Injection

_DEEPEST = 8


def layers_of(function: Any, depth: int = 0) -> Iterator[Any]:
    """Give a function and what its decorators wrap, with `functools.wraps` or without."""
    yield function
    if depth > _DEEPEST or _injection_of(function) is not None:
        return
    inner = getattr(function, "__func__", None) or getattr(function, "__wrapped__", None)
    inner = function.func if isinstance(function, functools.partial) else inner
    if inner is not None:
        yield from layers_of(inner, depth + 1)
        return
    for cell in getattr(function, "__closure__", None) or ():
        try:
            content = cell.cell_contents
        except ValueError:
            continue
        if inspect.isroutine(content):
            yield from layers_of(content, depth + 1)


def _injection_of(layer: Any) -> Injection | None:
    own = getattr(layer, "__injection__", None)
    # `functools.wraps` copies it to the decorators above, which are no injection.
    return own if own is not None and layer.__wrapped__ is own.function else None


def injections_in(function: Any) -> Iterator[Injection]:
    """Give the injections of a function and of what its decorators wrap, stock ones too."""
    for layer in layers_of(function):
        injection = _injection_of(layer) or stock_injection(layer)
        if injection is not None:
            yield injection
