"""What is equal to what: as MongoDB has it, where the engine has it as Python does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bson import Int64
from mongomock_ng import aggregate, filtering

from quorum.services.mongo.memory.store import MISSING

_of_the_engine = filtering.operator_eq
_compared = aggregate._Parser._handle_comparison_operator  # noqa: SLF001

_TYPES = {
    "decimal": lambda value: isinstance(value, Decimal),
    "long": lambda value: isinstance(value, Int64),
    "int": lambda value: isinstance(value, int) and not isinstance(value, (bool, Int64)),
    "number": lambda value: isinstance(value, (int, float, Decimal)) and value is not bool(value),
}


def mend() -> None:
    """Have the engine's queries and expressions compare by `same`, for this process."""
    # It takes no function for it: the ones that it has are replaced, and what holds them.
    filtering.operator_eq = same
    filtering._size_op = _has_size  # noqa: SLF001
    filtering.TYPE_MAP.update(_TYPES)
    filtering._filterer_inst = filtering._Filterer()  # noqa: SLF001
    parser: Any = aggregate._Parser  # noqa: SLF001
    parser._handle_comparison_operator = _compare  # noqa: SLF001


def same(found: Any, wanted: Any) -> bool:
    """Tell whether a value is the one that is wanted: true is not 1, and order is a difference."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, dict) and isinstance(wanted, dict):
        return list(found) == list(wanted) and all(map(same, found.values(), wanted.values()))
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return bool(_of_the_engine(found, wanted))


def _has_size(found: Any, wanted: Any) -> bool:
    return isinstance(found, list) and len(found) == wanted


def _compare(parser: Any, operator: str, values: Any) -> Any:
    if operator not in {"$eq", "$ne"} or len(values) != 2:  # noqa: PLR2004 - two to compare
        return _compared(parser, operator, values)
    one, other = (parser.parse(value) for value in values)
    missing = {id(None), id(MISSING)}
    equal = id(other) in missing if id(one) in missing else same(one, other)
    return equal == (operator == "$eq")
