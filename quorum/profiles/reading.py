"""Where values come from, in which order, and which source won for each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.errors import Problem
from quorum.profiles import sources
from quorum.profiles.layers import Interpreter, Layer, nearest
from quorum.profiles.variables import group_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import BaseModel, ValidationError


class ConfigurationWarning(UserWarning):
    """A setting that has no effect, or is on its way out."""


# A NamedTuple, since making a dataclass costs a millisecond of `import quorum`.
class Origin(NamedTuple):
    """A source that sets a value, and the name under which it does."""

    source: str
    name: str

    def __str__(self) -> str:
        return f"{self.source}, {self.name}" if self.name else self.source


class Profile:
    """What was read: values by dotted path, the origins of each, and all that is wrong."""

    def __init__(self, interpreter: Interpreter, required: tuple[str, ...]) -> None:
        self.table = interpreter.table
        self.problems = interpreter.problems
        self.warnings = interpreter.warnings
        self.required = required
        self.flat: dict[str, Any] = {}
        self.origins: dict[str, tuple[Origin, ...]] = {}

    @property
    def values(self) -> dict[str, Any]:
        """The values as the model takes them, nested; a required group is there in any case."""
        nested: dict[str, Any] = {name: {} for name in self.required}
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
    interpreter = Interpreter(model)
    reader = _Reader(interpreter, root, config_path)
    known = Layer("load()")
    for path, value in (defaults or {}).items():
        known.put(path, value, "")
    layers = [*reader.layers(arguments), known]
    fields = model.model_fields.items()
    required = tuple(name for name, info in fields if info.is_required() and group_of(model, name))
    profile = Profile(interpreter, required)
    _merge([*layers, interpreter.defaults()], profile)
    if reader.instance:
        name = str(profile.flat.get("name") or model.model_fields["name"].default)
        suffix = f"-{reader.instance}"
        profile.flat["name"] = name if name.endswith(suffix) else name + suffix
    return profile


def _merge(layers: Iterable[Layer], profile: Profile) -> None:
    silenced: set[str] = set()
    for layer in layers:
        for path, value in layer.values.items():
            origin = Origin(layer.label, layer.names[path])
            profile.origins[path] = (*profile.origins.get(path, ()), origin)
            if path not in silenced:
                higher = profile.flat.get(path)
                profile.flat[path] = value if higher is None else _merged(higher, value)
        silenced |= layer.silences
    for path in profile.origins.keys() - profile.flat.keys():
        del profile.origins[path]


def _merged(higher: Any, lower: Any) -> Any:
    """Return the higher value; of two maps, one with the keys of both."""
    if not isinstance(higher, dict) or not isinstance(lower, dict):
        return higher
    both = {key: _merged(higher[key], lower[key]) for key in higher.keys() & lower.keys()}
    return lower | higher | both


def explain(error: ValidationError, profile: Profile) -> Iterator[Problem]:
    """Turn a pydantic error into problems of ours, which never repeat a value."""
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        location = ".".join(str(part) for part in item["loc"])
        path = location
        while path and path not in profile.table:
            path = path.rpartition(".")[0]
        rule = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if item["type"] not in _SILENT:
            rule = _masked(rule, path, profile)
        origins = profile.origins.get(path, ())
        names = profile.table[path].names if path else ()
        source = str(origins[0]) if origins else None
        yield Problem(path or location or "settings", rule[:1].lower() + rule[1:], source, names)


# Pydantic's own sentences for these hold bounds and choices, in which a short value may occur.
_SILENT = {
    "bool_parsing",
    "extra_forbidden",
    "float_parsing",
    "greater_than",
    "greater_than_equal",
    "int_parsing",
    "less_than",
    "less_than_equal",
    "literal_error",
    "missing",
    "string_type",
}


def _masked(rule: str, path: str, profile: Profile) -> str:
    """Take the value itself, and every secret, out of what a validator of the user's says."""
    raw = [profile.flat.get(path)]
    raw += [profile.flat.get(each.path) for each in profile.table.values() if each.secret]
    for text in sorted({text for value in raw for text in _texts(value)}, key=len, reverse=True):
        rule = rule.replace(text, "…")
    return rule


def _texts(value: Any) -> Iterator[str]:
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple, set)):
        for each in value:
            yield from _texts(each)
    elif value is not None and str(value):
        yield str(value)


_SUFFIXES = {".yml", ".yaml", ".env"}


class _Reader:
    """One reading of all sources; what is wrong gathers in `problems`."""

    def __init__(
        self, interpreter: Interpreter, root: str | Path | None, config_path: str | Path | None
    ) -> None:
        self.interpreter = interpreter
        self.problems = interpreter.problems
        self.instance: str | None = None
        given = Path(config_path) if config_path is not None else None
        self.root = Path(root) if root is not None else given.parent if given else Path.cwd()
        self.config = given if given is not None else self.root / "config"
        if given is not None and not given.is_dir():
            rule = f"there is no folder {given}; give load() the folder of the profiles"
            self.problems.append(Problem("config_path", rule))

    def layers(self, arguments: Mapping[str, Any]) -> Iterator[Layer]:
        """Read every source, the highest first."""
        say = self.interpreter
        dotenv = sources.read_dotenv(self.root / ".env", ".env", self.problems)
        environ = sources.read_environment(dotenv, self.root / ".env")
        self.instance = self._instance(arguments, environ, dotenv)
        yield say.document(arguments, "arguments")
        yield say.environment(environ, "environment")
        folder = environ.get("SECRETS_DIR") or dotenv.get("SECRETS_DIR")
        if folder:
            secrets = sources.read_secrets(self.root / folder, say.is_variable, self.problems)
            yield say.environment(secrets, "SECRETS_DIR")
        if self.instance:
            path, label = self._profile(f"{self.instance}.env")
            yield say.environment(sources.read_dotenv(path, label, self.problems), label)
        yield say.environment(dotenv, ".env")
        for stem in filter(None, (self.instance, "base")):
            for suffix in (".yml", ".yaml"):
                path, label = self._profile(stem + suffix)
                yield say.document(sources.read_yaml(path, label, self.problems), label)
        legacy = sources.read_json(self.root / "quorum.json", "quorum.json", self.problems)
        yield say.variables(legacy, "quorum.json")

    def _profile(self, name: str) -> tuple[Path, str]:
        return self.config / name, f"{self.config.name or '.'}/{name}"

    def _instance(
        self, arguments: Mapping[str, Any], environ: Mapping[str, str], dotenv: Mapping[str, str]
    ) -> str | None:
        given = arguments.get("instance") or arguments.get("INSTANCE")
        instance = str(given or environ.get("INSTANCE") or dotenv.get("INSTANCE") or "")
        if not instance:
            return None
        if not re.fullmatch(r"\w[\w.-]{0,63}", instance):
            rule = "must be at most 64 letters, digits, '_', '-' and '.', the first no '-' or '.'"
            self.problems.append(Problem("instance", rule, names=("INSTANCE",)))
            return None
        self._check_profile(instance)
        return instance

    def _check_profile(self, instance: str) -> None:
        try:
            files = [path for path in self.config.iterdir() if path.suffix in _SUFFIXES]
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            rule = f"cannot be read ({error.strerror}); check its permissions"
            self.problems.append(Problem(str(self.config), rule))
            return
        there = sorted({path.stem for path in files} - {"base"})
        if instance not in there:
            rule = f"{instance!r} has no profile in {self.config}; there are {', '.join(there)}"
            rule = rule if there else f"{instance!r} has no profile in {self.config}; there is none"
            rule += nearest(instance, there)
            self.problems.append(Problem("instance", rule, names=("INSTANCE",)))
