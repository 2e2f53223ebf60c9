"""The table of settings: for each its dotted path and the variables that set it."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["text", "list", "map"]


@dataclass(frozen=True, init=False)
class Names:
    """The variables of a setting that is not named after its group; the first one set wins."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


@dataclass(frozen=True)
class Variable:
    """One setting: its dotted path, the names that set it, and whether it is a list or a map."""

    path: str
    names: tuple[str, ...]
    kind: Kind = "text"


@lru_cache
def table_of(model: type[BaseModel]) -> dict[str, Variable]:
    """Return every setting of a model by its dotted path."""
    return {variable.path: variable for variable in _variables(model, "", "")}


def group_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """Return the model of a group of settings; None if the field is no group."""
    info = model.model_fields.get(name)
    annotation = info.annotation if info else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _variables(model: type[BaseModel], path: str, prefix: str) -> Iterator[Variable]:
    if hasattr(model, "take_apart"):
        yield Variable(f"{path}url", (f"{prefix}URL",))
    for name, info in model.model_fields.items():
        group = group_of(model, name)
        if group is not None:
            inner = getattr(group, "prefix", "") or f"{prefix}{name.upper()}_"
            yield from _variables(group, f"{path}{name}.", inner)
            continue
        named = next((extra.names for extra in info.metadata if isinstance(extra, Names)), None)
        names = named or (f"{prefix}{name.upper()}",)
        yield Variable(f"{path}{name}", names, _kind(info.annotation))


def _kind(annotation: Any) -> Kind:
    candidates = [annotation, *typing.get_args(annotation)]
    origins = {typing.get_origin(candidate) or candidate for candidate in candidates}
    if origins & {list, tuple, set, frozenset}:
        return "list"
    return "map" if dict in origins else "text"
