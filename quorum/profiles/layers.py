"""What one source says, as a layer: its variables or its document, held against the settings."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from quorum.errors import Problem
from quorum.profiles.variables import Variable, group_of, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_YES = {"1", "true", "yes", "on", "y", "t"}
_NO = {"0", "false", "no", "off", "n", "f"}
_OF_THE_INSTANCE = {"arguments", "environment", ".env"}
_PREFIX = "SERVER_"


class Layer:
    """What one source says: the value of each setting, and the name it has there."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.values: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.silences: set[str] = set()

    def put(self, path: str, value: Any, name: str) -> None:
        """Set a value, unless this source has it already; maps are merged."""
        before = self.values.get(path)
        if isinstance(before, dict) and isinstance(value, dict):
            self.values[path] = value | before
            self.names[path] += f", {name}"
        elif path not in self.values:
            self.values[path] = value
            self.names[path] = name


class Interpreter:
    """Turn what sources say into layers; what is wrong gathers in `problems`."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model
        self.table = table_of(model)
        self.by_name = {name: item for item in self.table.values() for name in item.names}
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self._debug_is_set = False

    def environment(self, variables: Mapping[str, Any], label: str) -> Layer:
        """Take our variables out of others; those with one of our prefixes are warned about."""
        self._warn_of_strays(variables, label)
        return self.variables(variables, label)

    def variables(self, variables: Mapping[str, Any], label: str) -> Layer:
        """Take our variables out of others."""
        return self._finish(self._flat(variables, label))

    def document(self, document: Mapping[str, Any], label: str) -> Layer:
        """Take a document, nested by noun or flat, in which every key has to be known."""
        flat = {key: value for key, value in document.items() if self.is_variable(key)}
        nested = {key: value for key, value in document.items() if key not in flat}
        layer = Layer(label)
        for path, value in self._nested(nested, self.model, "", label):
            if path == "instance" and label not in _OF_THE_INSTANCE:
                self._refuse_instance(label)
            elif _is_set(value):
                layer.put(path, _typed(self.table[path], value), path)
        self._add_flat(layer, self._flat(flat, label))
        return self._finish(layer)

    def defaults(self) -> Layer:
        """Return what the groups that a model has as defaults set, such as those of a subclass."""
        layer = Layer("default")
        for name, info in self.model.model_fields.items():
            if group_of(self.model, name) is None or info.default_factory_takes_validated_data:
                continue
            default = info.get_default(call_default_factory=True)
            if isinstance(default, BaseModel):
                for path, value in self._nested({name: default}, self.model, "", layer.label):
                    layer.put(path, value, path)
        return layer

    def is_variable(self, name: str) -> bool:
        """Tell whether a name is one of our variables."""
        option = name.startswith(_PREFIX) and name not in {_PREFIX, "SERVER_NAME"}
        return name in self.by_name or (option and "server_options" in self.table)

    def _flat(self, variables: Mapping[str, Any], label: str) -> Layer:
        layer = Layer(label)
        for item in self.table.values():
            for name in item.names:
                if not _is_set(variables.get(name)):
                    continue
                if item.path == "instance" and label not in _OF_THE_INSTANCE:
                    self._refuse_instance(label)
                else:
                    layer.put(item.path, _typed(item, variables[name]), name)
        for name in sorted(variables):
            if name not in self.by_name and self.is_variable(name) and _is_set(variables[name]):
                option = name.removeprefix(_PREFIX).lower()
                layer.put("server_options", {option: variables[name]}, name)
        return layer

    def _add_flat(self, layer: Layer, flat: Layer) -> None:
        for path, value in flat.values.items():
            mine = layer.values.get(path)
            merge = isinstance(mine, dict) and isinstance(value, dict) and not mine.keys() & value
            if path in layer.values and not merge:
                rule = f"is set twice, as {path} and as {flat.names[path]}"
                self.problems.append(Problem(path, rule, layer.label))
            layer.put(path, value, flat.names[path])

    def _finish(self, layer: Layer) -> Layer:
        self._take_apart(layer)
        self._deprecate_debug(layer)
        return layer

    def _refuse_instance(self, label: str) -> None:
        rule = "comes from load(), the environment or .env only"
        self.problems.append(Problem("instance", rule, label))

    def _nested(
        self, document: Mapping[str, Any], model: type[BaseModel], path: str, label: str
    ) -> Iterator[tuple[str, Any]]:
        for name, value in document.items():
            here = f"{path}{name}"
            group = group_of(model, name)
            if group is not None:
                inner = _set_fields(value) if isinstance(value, group) else value
                if isinstance(inner, dict):
                    yield from self._nested(inner, group, f"{here}.", label)
                elif _is_set(inner):
                    self.problems.append(Problem(here, "must be a mapping of settings", label))
            elif here in self.table and "." not in str(name):
                yield here, value
            else:
                rule = f"there is no such setting{self._nearest(str(name), model, path)}"
                self.problems.append(Problem(here, rule, label))

    def _nearest(self, name: str, model: type[BaseModel], path: str) -> str:
        inner = {each.removeprefix(path) for each in self.table if each.startswith(path)}
        known = {each for each in inner if "." not in each} | model.model_fields.keys()
        return nearest(name, known if path else known | self.by_name.keys(), path)

    def _take_apart(self, layer: Layer) -> None:
        """Put the parts of a URL beside the single settings of the same source, which win."""
        for noun in self.model.model_fields:
            group: Any = group_of(self.model, noun)
            if not hasattr(group, "take_apart"):
                continue
            if f"{noun}.host" in layer.values:
                self._put_parts(layer, noun, group.split_host, f"{noun}.host")
            if f"{noun}.url" in layer.values:
                layer.silences |= {f"{noun}.{part}" for part in group.url_parts}
                self._put_parts(layer, noun, group.take_apart, f"{noun}.url")

    def _put_parts(self, layer: Layer, noun: str, take_apart: Any, path: str) -> None:
        value, name = layer.values.pop(path), layer.names.pop(path)
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        try:
            parts = take_apart(text)
        except ValueError as error:
            names = self.table[path].names
            self.problems.append(Problem(path, str(error), f"{layer.label}, {name}", names))
            return
        for part, found in parts.items():
            layer.put(f"{noun}.{part}", found, name)

    def _deprecate_debug(self, layer: Layer) -> None:
        if "debug" not in layer.values or self._debug_is_set:
            return
        # What DEBUG says in a lower source counts no more, so it sets no level either.
        self._debug_is_set = True
        text = str(layer.values["debug"]).strip().lower()
        if text in _YES:
            layer.put("level", "DEBUG", layer.names["debug"])
        layer.values["debug"] = text in _YES
        rule = "is deprecated" if text in _YES | _NO else "is no boolean and counts as false"
        self.warnings.append(f"DEBUG ({layer.label}) {rule}; set LEVEL=DEBUG instead")

    def _warn_of_strays(self, variables: Mapping[str, Any], label: str) -> None:
        known = [name for name, item in self.by_name.items() if "." in item.path]
        prefixes = {name.partition("_")[0] for name in known}
        # MONGODB_URL is meant for MONGO_URL; of shorter prefixes too much is the beginning.
        longer = tuple(prefix for prefix in prefixes if len(prefix) >= len("SMTP"))
        for name in sorted(variables.keys() - self.by_name.keys()):
            word, underscore, _ = name.partition("_")
            if underscore and (word in prefixes or word.startswith(longer)):
                self.warnings.append(f"{name} ({label}) sets nothing{nearest(name, known)}")


def _is_set(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and not value)


def _set_fields(group: BaseModel) -> dict[str, Any]:
    return {name: getattr(group, name) for name in group.model_fields_set}


def _typed(item: Variable, value: Any) -> Any:
    if item.kind == "list" and isinstance(value, str):
        return [part.strip() for part in re.split("[,;]", value) if part.strip()]
    if item.kind == "map" and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def nearest(name: str, known: Iterable[str], path: str = "") -> str:
    """Return `; did you mean …?` where a known name is near, else nothing."""
    cases = {each.lower(): each for each in sorted(known)}
    close = difflib.get_close_matches(name.lower(), cases, 1)
    return f"; did you mean {path}{cases[close[0]]}?" if close else ""
