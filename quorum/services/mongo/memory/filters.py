"""What a query may ask: an operator that the engine does not know is refused before it looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.errors import WriteError

# Told by name, since the engine stops at the first condition that a document fails, and would
# never come to the one that it does not know. It has `$where`, and runs it as Python.
_OPERATORS = {
    *("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$all", "$exists", "$size"),
    *("$regex", "$options", "$elemMatch", "$type", "$not", "$and", "$or", "$nor", "$expr"),
    *("$comment", "$geoIntersects", "$geoWithin", "$near", "$nearSphere"),
}
_UPDATES = {
    *("$set", "$unset", "$inc", "$mul", "$min", "$max", "$rename", "$setOnInsert", "$bit"),
    *("$currentDate", "$push", "$pull", "$pullAll", "$addToSet", "$pop"),
}
_NESTED = {"$and", "$or", "$nor", "$elemMatch", "$not", "$all"}


def check_filter(filter_: Any) -> None:
    """Raise NotImplementedError for an operator that the engine does not have."""
    if not isinstance(filter_, Mapping):
        return
    for key, value in filter_.items():
        if key.startswith("$"):
            if key not in _OPERATORS:
                raise NotImplementedError(f"the operator {key}")
            if key in _NESTED:
                for each in value if isinstance(value, list) else [value]:
                    check_filter(each)
        elif isinstance(value, Mapping) and "$ref" not in value:
            # A DBRef's own $ref and $id are no operators, nor are the names of a document.
            check_filter({name: each for name, each in value.items() if name.startswith("$")})


def check_code(value: Any) -> None:
    """Raise NotImplementedError for `$where`, which the engine would run, wherever it stands."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if key == "$where" or key.endswith(".$where"):
                raise NotImplementedError("the operator $where")
            check_code(each)
    elif isinstance(value, list):
        for each in value:
            check_code(each)


def check_pipeline(pipeline: Any) -> None:
    """Raise NotImplementedError for a `$match`, however deep, that the engine cannot do."""
    for stage in pipeline if isinstance(pipeline, list) else [pipeline]:
        if isinstance(stage, Mapping):
            for key, value in stage.items():
                if key == "$match":
                    check_filter(value)
                else:
                    check_pipeline(value)


def check_update(update: Any) -> None:
    """Raise for an operator that the engine does not have, and for two that meet in one field."""
    if not isinstance(update, Mapping):
        return
    seen: set[str] = set()
    for operator, fields in update.items():
        if not operator.startswith("$"):
            continue
        if operator not in _UPDATES:
            raise WriteError(f"Unknown modifier: {operator}", 9)
        if not isinstance(fields, Mapping):
            raise WriteError(f"Modifiers operate on fields but we found {fields!r}", 9)
        for path in fields:
            if path in seen:
                raise WriteError(f"Updating the path '{path}' would create a conflict", 40)
            seen.add(path)
