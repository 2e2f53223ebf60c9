"""What the engine would do as Python does: sums, the least and the most, pushes to no array."""

from __future__ import annotations

from decimal import Decimal
from operator import gt, lt
from typing import Any

from bson import Int64
from mongomock_ng.filtering import bson_compare
from mongomock_ng.helpers import get_value_by_dot
from pymongo.errors import WriteError

from quorum.services.mongo.memory.store import MISSING

_TYPE_MISMATCH = 14
_BAD_VALUE = 2
_ON_ARRAYS = ("$push", "$addToSet", "$pull", "$pullAll", "$pop")
_COMPARED = {"$min": lt, "$max": gt}
_SETTLED = ("$inc", "$mul", *_COMPARED)
_NUMBERS = (int, float, Decimal)


def settled(document: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """Return an update with its arithmetic turned to a `$set` of what it comes to.

    Fields inside an array by position (`items.$.n`) are left to the engine. Raises WriteError
    for what is no number, or no array.
    """
    _refuse_no_array(document, update)
    kept = {name: fields for name, fields in update.items() if name not in _SETTLED}
    results = {}
    for operator in _SETTLED:
        left = {}
        for path, value in update.get(operator, {}).items():
            if "$" in path:
                left[path] = value
            else:
                found = get_value_by_dot(document, path)
                results[path] = _apply(operator, path, found, value)
        if left and operator != "$inc":
            raise NotImplementedError(f"{operator} inside an array")
        if left:
            kept[operator] = left
    if results:
        kept["$set"] = {**kept.get("$set", {}), **results}
    return kept


def _refuse_no_array(document: dict[str, Any], update: dict[str, Any]) -> None:
    for operator in _ON_ARRAYS:
        for path in update.get(operator, {}):
            found = MISSING if "$" in path else get_value_by_dot(document, path)
            if found is not MISSING and not isinstance(found, list):
                raise WriteError(f"{operator} needs an array in '{path}'", _BAD_VALUE)


def _apply(operator: str, path: str, found: Any, value: Any) -> Any:
    if operator in _COMPARED:
        smaller = found is not MISSING and bson_compare(_COMPARED[operator], found, value)
        return found if smaller else value
    if found is MISSING:
        found = 0
    for each in (found, value):
        if isinstance(each, bool) or not isinstance(each, _NUMBERS):
            raise WriteError(f"Cannot apply {operator} to '{path}': not a number", _TYPE_MISMATCH)
    if isinstance(found, Decimal) or isinstance(value, Decimal):
        found, value = _decimal(found), _decimal(value)
    result = found + value if operator == "$inc" else found * value
    # A long stays one, however small it gets.
    return Int64(result) if isinstance(result, int) and _is_long(found, value) else result


def _is_long(*values: Any) -> bool:
    return any(isinstance(each, Int64) for each in values)


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))
