"""Where values come from, in which order, and which source won for each."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from quorum import sources
from quorum.errors import Problem
from quorum.variables import Variable, group_of, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import ValidationError

_YES = {"1", "true", "yes", "on", "y", "t"}
_NO = {"0", "false", "no", "off", "n", "f"}


class ConfigurationWarning(UserWarning):
    """A setting that has no effect, or is on its way out."""


@dataclass(frozen=True)
class Origin:
    """A source that sets a value, and the name under which it does."""

    source: str
    name: str

    def __str__(self) -> str:
        return f"{self.source}, {self.name}" if self.name else self.source


@dataclass
class Layer:
    """What one source says: the value of each setting, and the name it has there."""

    label: str
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    names: dict[str, str] = field(default_factory=dict)
    silences: set[str] = field(default_factory=set)

    def put(self, path: str, value: Any, name: str) -> None:
        """Set a value, unless this source has it already."""
        if path not in self.values:
            self.values[path] = value
            self.names[path] = name


@dataclass
class Profile:
    """What was read: values nested by noun, the origins of each, and all that is wrong."""

    table: dict[str, Variable]
    problems: list[Problem]
    warnings: list[str]
    flat: dict[str, Any] = field(default_factory=dict, repr=False)
    origins: dict[str, tuple[Origin, ...]] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """The values as the model takes them, nested."""
        nested: dict[str, Any] = {}
        for path, value in self.flat.items():
            *groups, name = path.split(".")
            place = nested
            for group in groups:
                place = place.setdefault(group, {})
            place[name] = value
        return nested


def read(
    model: type[BaseModel],
    arguments: Mapping[str, Any],
    *,
    root: str | Path | None = None,
    config_path: str | Path | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Profile:
    """Read every source of a settings model, highest first, and merge them."""
    reader = _Reader(model, root, config_path)
    layers = [*reader.layers(arguments), Layer("load()", dict(defaults or {}))]
    profile = Profile(reader.table, reader.problems, reader.warnings)
    _merge(layers, profile)
    if reader.instance:
        name = str(profile.flat.get("name") or model.model_fields["name"].default)
        suffix = f"-{reader.instance}"
        profile.flat["name"] = name if name.endswith(suffix) else name + suffix
        profile.flat["instance"] = reader.instance
    return profile


def _merge(layers: list[Layer], profile: Profile) -> None:
    silenced: set[str] = set()
    for layer in layers:
        for path, value in layer.values.items():
            origin = Origin(layer.label, layer.names.get(path, ""))
            profile.origins[path] = (*profile.origins.get(path, ()), origin)
            if path in silenced:
                continue
            if isinstance(value, dict) and isinstance(profile.flat.get(path), dict):
                profile.flat[path] = value | profile.flat[path]
            profile.flat.setdefault(path, value)
        silenced |= layer.silences
    for path in profile.origins.keys() - profile.flat.keys():
        del profile.origins[path]


def explain(error: ValidationError, profile: Profile) -> list[Problem]:
    """Turn a pydantic error into problems of ours, which never repeat a value."""
    problems = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        location = ".".join(str(part) for part in item["loc"])
        path = location
        while path and path not in profile.table:
            path = path.rpartition(".")[0]
        rule = item["msg"].removeprefix("Value error, ")
        raw = profile.flat.get(path)
        if isinstance(raw, str) and raw:
            rule = rule.replace(raw, "…")
        origins = profile.origins.get(path, ())
        names = profile.table[path].names if path else ()
        problems.append(
            Problem(
                path or location,
                rule[:1].lower() + rule[1:],
                str(origins[0]) if origins else None,
                names,
            )
        )
    return problems


class _Reader:
    """One reading of all sources; what is wrong gathers in `problems`."""

    def __init__(
        self, model: type[BaseModel], root: str | Path | None, config_path: str | Path | None
    ) -> None:
        self.model = model
        self.table = table_of(model)
        self.by_name = {name: item for item in self.table.values() for name in item.names}
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.instance: str | None = None
        given = Path(config_path) if config_path is not None else None
        self.root = Path(root) if root is not None else given.parent if given else Path.cwd()
        self.config = given if given is not None else self.root / "config"
        if given is not None and not given.is_dir():
            self.problems.append(Problem("config_path", f"there is no folder {given}"))

    def layers(self, arguments: Mapping[str, Any]) -> Iterator[Layer]:
        dotenv = sources.read_dotenv(self.root / ".env", ".env", self.problems)
        environ = _without_dotenv(dotenv)
        self.instance = self._instance(arguments, environ, dotenv)
        yield self._document(arguments, "arguments")
        yield self._variables(environ, "environment")
        folder = environ.get("SECRETS_DIR") or dotenv.get("SECRETS_DIR")
        if folder:
            secrets = sources.read_secrets(Path(folder), "SECRETS_DIR", self.problems)
            yield self._variables(secrets, "SECRETS_DIR")
        if self.instance:
            label = f"config/{self.instance}.env"
            path = self.config / f"{self.instance}.env"
            yield self._variables(sources.read_dotenv(path, label, self.problems), label)
        yield self._variables(dotenv, ".env")
        for stem in filter(None, (self.instance, "base")):
            for path in (self.config / f"{stem}.yml", self.config / f"{stem}.yaml"):
                if path.exists():
                    label = f"config/{path.name}"
                    document = sources.read_yaml(path, label, self.problems)
                    yield self._document(document, label)
        legacy = sources.read_json(self.root / "quorum.json", "quorum.json", self.problems)
        yield self._variables(legacy, "quorum.json")
        self._warn_of_strays(environ)

    def _instance(
        self, arguments: Mapping[str, Any], environ: Mapping[str, str], dotenv: Mapping[str, str]
    ) -> str | None:
        given = arguments.get("instance") or arguments.get("INSTANCE")
        instance = given or environ.get("INSTANCE") or dotenv.get("INSTANCE")
        if not instance:
            return None
        if not re.fullmatch(r"\w[\w.-]*", str(instance)):
            rule = "must be letters, digits, '-', '_' and '.'"
            self.problems.append(Problem("instance", rule, names=("INSTANCE",)))
            return None
        if self.config.is_dir():
            self._check_profile(str(instance))
        return str(instance)

    def _check_profile(self, instance: str) -> None:
        files = [path for path in self.config.iterdir() if path.suffix in {".yml", ".yaml", ".env"}]
        there = sorted({path.stem for path in files} - {"base"})
        if instance not in there:
            rule = f"{instance!r} has no profile in {self.config}; there are {', '.join(there)}"
            rule += _nearest(instance, there)
            self.problems.append(Problem("instance", rule, names=("INSTANCE",)))

    def _variables(self, variables: Mapping[str, Any], label: str) -> Layer:
        """Take the documented names out of flat variables; the others are not ours."""
        layer = Layer(label)
        for item in self.table.values():
            for name in item.names:
                if variables.get(name) not in (None, "") and item.path != "instance":
                    layer.put(item.path, _split(item, variables[name]), name)
        options = {
            name.removeprefix("SERVER_").lower(): str(value)
            for name, value in variables.items()
            if name.startswith("SERVER_") and name not in {*self.by_name, "SERVER_NAME"}
        }
        if options and "server_options" in self.table:
            layer.put("server_options", options, "SERVER_*")
        return self._deprecate_debug(self._take_apart(layer))

    def _document(self, document: Mapping[str, Any], label: str) -> Layer:
        """Take a document, nested by noun or flat, in which every key has to be known."""
        layer = Layer(label)
        flat = {key: value for key, value in document.items() if key in self.by_name}
        nested = {key: value for key, value in document.items() if key not in flat}
        for path, value in self._nested(nested, self.model, "", label):
            if path == "instance" and label != "arguments":
                rule = "comes from load(), the environment or .env only"
                self.problems.append(Problem("instance", rule, label))
            elif value not in (None, ""):
                layer.put(path, _split(self.table[path], value), path)
        for path, name in layer.names.items():
            for twice in flat.keys() & set(self.table[path].names):
                self.problems.append(Problem(path, f"is set twice, as {name} and {twice}", label))
        also = self._variables(flat, label)
        for path in also.values:
            layer.put(path, also.values[path], also.names[path])
        layer.silences |= also.silences
        return self._deprecate_debug(self._take_apart(layer))

    def _nested(
        self, document: Mapping[str, Any], model: type[BaseModel], path: str, label: str
    ) -> Iterator[tuple[str, Any]]:
        for name, value in document.items():
            here = f"{path}{name}"
            group = group_of(model, name)
            if group is not None:
                inner = value.model_dump(exclude_unset=True) if isinstance(value, group) else value
                if isinstance(inner, dict):
                    yield from self._nested(inner, group, f"{here}.", label)
                elif inner not in (None, ""):
                    self.problems.append(Problem(here, "must be a mapping of settings", label))
            elif here in self.table:
                yield here, value
            else:
                known = [f"{path}{each}" for each in model.model_fields]
                known += [] if path else self.by_name
                rule = f"there is no such setting{_nearest(here, known)}"
                self.problems.append(Problem(here, rule, label))

    def _take_apart(self, layer: Layer) -> Layer:
        """Put the parts of a URL beside the single settings of the same source, which win."""
        for noun in self.model.model_fields:
            group: Any = group_of(self.model, noun)
            if hasattr(group, "take_apart"):
                host = layer.values.get(f"{noun}.host")
                if isinstance(host, str):
                    self._put_parts(layer, noun, group.split_host, f"{noun}.host")
                if f"{noun}.url" in layer.values:
                    layer.silences |= {f"{noun}.{part}" for part in group.url_parts}
                    self._put_parts(layer, noun, group.take_apart, f"{noun}.url")
        return layer

    def _deprecate_debug(self, layer: Layer) -> Layer:
        if "debug" in layer.values:
            text = str(layer.values["debug"]).strip().lower()
            if text in _YES:
                layer.put("level", "DEBUG", layer.names["debug"])
                self.warnings.append("DEBUG is deprecated; set LEVEL=DEBUG")
            elif text not in _NO:
                layer.values["debug"] = False
                self.warnings.append("DEBUG is not a boolean and counts as false; set LEVEL")
        return layer

    def _put_parts(self, layer: Layer, noun: str, take_apart: Any, path: str) -> None:
        value, name = layer.values.pop(path), layer.names.pop(path)
        if hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
        try:
            parts = take_apart(str(value))
        except ValueError as error:
            self.problems.append(Problem(path, str(error), f"{layer.label}, {name}"))
            return
        for part, found in parts.items():
            layer.put(f"{noun}.{part}", found, name)

    def _warn_of_strays(self, environ: Mapping[str, str]) -> None:
        known = [name for name in self.by_name if "_" in name and "." in self.by_name[name].path]
        prefixes = {name.partition("_")[0] for name in known}
        for name in sorted(environ.keys() - self.by_name.keys()):
            if any(name.startswith(prefix) for prefix in prefixes):
                self.warnings.append(
                    f"the environment variable {name} sets nothing{_nearest(name, known)}"
                )


def _split(item: Variable, value: Any) -> Any:
    if item.kind == "list" and isinstance(value, str):
        return [part.strip() for part in re.split("[,;]", value) if part.strip()]
    return value


def _without_dotenv(dotenv: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what Flask's command line copied there from .env.

    Left in, .env would win over config/<instance>.env and the secrets directory.
    """
    environ = dict(os.environ)
    if environ.get("FLASK_RUN_FROM_CLI") != "true":
        return environ
    return {name: value for name, value in environ.items() if dotenv.get(name) != value}


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""
