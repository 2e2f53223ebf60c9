"""Annotations as objects, where their names can be known, and whether a class fits one."""

from __future__ import annotations

import inspect
import typing
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin


def evaluated(function: Any) -> dict[str, Any]:
    """Return the annotations of a function, string ones evaluated.

    One whose names are not defined is left out: it stands under TYPE_CHECKING, or comes later.
    """
    namespace = getattr(inspect.unwrap(function), "__globals__", {})
    found = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        if not isinstance(annotation, str):
            found[name] = annotation
            continue
        try:
            found[name] = eval(annotation, namespace)  # noqa: S307 - the function's own text
        except (NameError, TypeError, AttributeError, SyntaxError):
            continue
    return found


def fits(offered: type, annotation: Any) -> bool:
    """Tell whether an object of a class may be what an annotation asks for.

    Only a clear mismatch is one: what cannot be known at run time fits.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return fits(offered, get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return any(fits(offered, each) for each in get_args(annotation))
    wanted = origin or annotation
    if wanted is None or not isinstance(wanted, type) or wanted is object:
        return wanted is not None
    if offered is int and wanted is float:
        return True
    return _is_a(offered, wanted) or _is_a(wanted, offered)


def _is_a(offered: type, wanted: type) -> bool:
    if getattr(wanted, "_is_protocol", False):
        return all(_has(offered, member) for member in _members(wanted))
    try:
        return issubclass(offered, wanted)
    except TypeError:
        return True


def _members(protocol: type) -> set[str]:
    found: set[str] = set()
    for base in protocol.__mro__:
        if getattr(base, "_is_protocol", False) and base is not typing.Protocol:
            names = {*vars(base), *getattr(base, "__annotations__", {})}
            found |= {name for name in names if not name.startswith("_")}
    return found


def _has(offered: type, member: str) -> bool:
    return hasattr(offered, member) or any(
        member in getattr(base, "__annotations__", {}) for base in offered.__mro__
    )
