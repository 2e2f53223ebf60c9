"""The table of settings: for each its dotted path and the variables that set it."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import AliasChoices, BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

Kind = Literal["text", "list", "map"]


class Names:
    """The variables of a setting that is not named after its group; the first one set wins."""

    def __init__(self, *names: str) -> None:
        self.names = names


# A NamedTuple, since making a dataclass costs a millisecond of `import quorum`.
class Variable(NamedTuple):
    """One setting: its dotted path, the names that set it, and what it holds."""

    path: str
    names: tuple[str, ...]
    kind: Kind = "text"
    secret: bool = False


@lru_cache
def table_of(model: type[BaseModel]) -> dict[str, Variable]:
    """Return every setting of a model by its dotted path."""
    return {variable.path: variable for variable in _variables(model, "", "")}


def group_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """Return the model of a group of settings, which may be optional; None if it is no group."""
    info = model.model_fields.get(name)
    found = [each for each in _alternatives(info and info.annotation) if each is not type(None)]
    if len(found) == 1 and isinstance(found[0], type) and issubclass(found[0], BaseModel):
        return found[0]
    return None


def _variables(model: type[BaseModel], path: str, prefix: str) -> Iterator[Variable]:
    if hasattr(model, "take_apart"):
        yield Variable(f"{path}url", (f"{prefix}URL",), secret=True)
    for name, info in model.model_fields.items():
        group = group_of(model, name)
        if group is not None:
            inner = getattr(group, "prefix", "") or f"{prefix}{name.upper()}_"
            yield from _variables(group, f"{path}{name}.", inner)
            continue
        names = _names(info) or (f"{prefix}{name.upper()}",)
        found = _alternatives(info.annotation)
        yield Variable(f"{path}{name}", names, _kind(found), _is_secret(info.annotation))


def _names(info: FieldInfo) -> tuple[str, ...]:
    named = next((extra.names for extra in info.metadata if isinstance(extra, Names)), ())
    alias = info.validation_alias
    aliases = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return named or tuple(each for each in aliases if isinstance(each, str))


def _alternatives(annotation: Any) -> list[Any]:
    """Return the types of a union, or the one type, without their arguments."""
    origin = typing.get_origin(annotation)
    if origin in {typing.Union, types.UnionType}:
        return [each for arg in typing.get_args(annotation) for each in _alternatives(arg)]
    if origin is typing.Annotated:
        return _alternatives(typing.get_args(annotation)[0])
    return [origin or annotation]


def _kind(alternatives: list[Any]) -> Kind:
    classes = [each for each in alternatives if isinstance(each, type)]
    if any(issubclass(each, Mapping) for each in classes):
        return "map"
    several = (Sequence, AbstractSet)
    if any(issubclass(each, several) and not issubclass(each, (str, bytes)) for each in classes):
        return "list"
    return "text"


def _is_secret(annotation: Any) -> bool:
    inner = any(_is_secret(arg) for arg in typing.get_args(annotation))
    return inner or hasattr(annotation, "get_secret_value")
