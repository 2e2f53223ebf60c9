"""Annotations as objects, where their names can be known, and whether a class fits one."""

from __future__ import annotations

import inspect
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Union, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Mapping


def evaluated(function: Any, around: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the annotations of a function, string ones evaluated.

    `around` has names that are local to where the function is defined. One whose names are not
    defined is left out: it stands under TYPE_CHECKING, or comes later.
    """
    namespace = {**getattr(inspect.unwrap(function), "__globals__", {}), **(around or {})}
    found = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        try:
            found[name] = eval(annotation, namespace) if isinstance(annotation, str) else annotation  # noqa: S307 - the function's own text
        except Exception:  # noqa: BLE001, S112 - whatever that text raises, it cannot be known
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
    wanted = type(None) if annotation is None else origin or annotation
    if not isinstance(wanted, type) or Any in {offered, wanted} or _pretends(offered):
        return True
    # PEP 484 lets an int be where a float is asked for.
    if wanted in {float, complex} and issubclass(offered, (int, float)):
        return True
    return _is_a(offered, wanted) or _is_a(wanted, offered)


def _pretends(offered: type) -> bool:
    """Tell whether a class is a proxy or a mock, whose objects say they are of another."""
    return any("__class__" in vars(base) for base in offered.__mro__[:-1])


def _is_a(offered: type, wanted: type) -> bool:
    if getattr(wanted, "_is_protocol", False):
        # One that answers any name may be a wrapper; a model has `__getattr__` for its own use.
        answers_any = hasattr(offered, "__getattr__") and not issubclass(offered, BaseModel)
        return answers_any or all(hasattr(offered, method) for method in _methods(wanted))
    try:
        return issubclass(offered, wanted)
    except TypeError:
        return True


def _methods(protocol: type) -> set[str]:
    # Methods only: an attribute may be set by the constructor, and be none of the class.
    return {
        name
        for base in protocol.__mro__
        if getattr(base, "_is_protocol", False) and base is not Protocol
        for name, member in vars(base).items()
        if not name.startswith("_") and inspect.isroutine(member)
    }
