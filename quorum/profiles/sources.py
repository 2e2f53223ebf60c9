"""Reading what may hold settings: YAML, .env, secrets directory, JSON; every scalar stays text.

As text a value means the same wherever it stands: `no`, `0123` and `1:30` are not turned into
False, 83 and 90 by YAML before the settings see them.
"""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

import yaml
from dotenv import dotenv_values
from dotenv.parser import parse_stream

from quorum.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class _Repeated(yaml.YAMLError):
    """A key stands twice in one mapping."""


class _TextLoader(yaml.SafeLoader):
    """A safe loader that leaves scalars as text and refuses a key that stands twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the attribute is PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here and not where mappings are built: there, merges (`<<`) have mixed in other keys.
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                line = key.start_mark.line + 1
                raise _Repeated(f"the key {key.value!r} stands twice, again on line {line}")
            seen.add(str(key.value))
        return node


def _text(loader: yaml.SafeLoader, node: Any) -> Any:
    return loader.construct_scalar(node)


for _tag in ("int", "float", "bool", "timestamp", "binary"):
    _TextLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", _text)


def read_yaml(path: Path, label: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the document of a YAML file, {} without one; what is wrong with it is noted."""
    text = _read_text(path, label, problems)
    try:
        document = yaml.load(text or "", _TextLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        problems.append(Problem(label, _yaml_rule(error)))
        return {}
    except RecursionError:
        problems.append(Problem(label, "is nested too deeply; settings have two levels"))
        return {}
    if document is None or document == "":
        return {}
    if not isinstance(document, dict):
        problems.append(Problem(label, "must be a mapping of settings, such as `level: DEBUG`"))
        return {}
    return {str(key): value for key, value in document.items()}


def _yaml_rule(error: yaml.YAMLError) -> str:
    """Say what is wrong; PyYAML's own sentences may quote a value that looks like a tag."""
    if isinstance(error, _Repeated):
        return str(error)
    mark = getattr(error, "problem_mark", None)
    where = f" on line {mark.line + 1}" if mark else ""
    return f"is not YAML{where}; quote values that hold : or # or begin with ! & * @ % [ {{"


def read_dotenv(path: Path, label: str, problems: list[Problem]) -> dict[str, str]:
    """Return the variables of a .env file, {} without one; `${…}` stays as it is written."""
    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(_read_text(path, label, problems) or "")):
        if binding.error or (binding.key is not None and binding.value is None):
            line = binding.original.line
            problems.append(Problem(label, f"line {line} is not NAME=value; comment it out with #"))
        elif binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    return found


def read_environment(dotenv: Mapping[str, str], path: Path) -> dict[str, str]:
    """Return the environment without what Flask's command line copied there from .env.

    Left in, .env would win over config/<instance>.env and the secrets directory.
    """
    environ = dict(os.environ)
    if environ.get("FLASK_RUN_FROM_CLI") != "true":
        return environ
    # Flask fills in `${…}` in what it copies.
    filled = dotenv_values(path) if dotenv else {}
    return {
        name: value
        for name, value in environ.items()
        if value not in {dotenv.get(name), filled.get(name)}
    }


def read_secrets(
    folder: Path, wanted: Callable[[str], bool], problems: list[Problem]
) -> dict[str, str | None]:
    """Return the files of a secrets directory: the wanted with their content, the others None.

    The last line ends are cut off. What is not wanted is not read: it may be of any kind.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        rule = f"there is no folder {folder}"
        problems.append(Problem("SECRETS_DIR", rule, names=("SECRETS_DIR",)))
        return {}
    except OSError as error:
        problems.append(Problem("SECRETS_DIR", _unreadable(error), names=("SECRETS_DIR",)))
        return {}
    found: dict[str, str | None] = dict.fromkeys(names)
    for name in filter(wanted, names):
        text = _read_text(folder / name, f"SECRETS_DIR/{name}", problems)
        found[name] = text.rstrip("\r\n") if text is not None else None
    return found


def read_json(
    path: Path, label: str, problems: list[Problem], including: tuple[Path, ...] = ()
) -> dict[str, Any]:
    """Return the object of the predecessor's quorum.json, {} without one.

    It may `$import` or `$include` others, whose keys it overrides.
    """
    text = _read_text(path, label, problems)
    if text is None:
        if including:
            problems.append(Problem(label, "is included and does not exist"))
        return {}
    try:
        document = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        problems.append(Problem(label, f"is not JSON: line {error.lineno}, column {error.colno}"))
        return {}
    except RecursionError:
        problems.append(Problem(label, "is nested too deeply; settings have two levels"))
        return {}
    if not isinstance(document, dict):
        problems.append(Problem(label, "must be an object of settings"))
        return {}
    found: dict[str, Any] = {}
    for name in _included(document):
        other = path.parent / name
        if other.resolve() not in {each.resolve() for each in (*including, path)}:
            found |= read_json(other, name, problems, (*including, path))
    return found | document


def _included(document: dict[str, Any]) -> list[str]:
    named = [document.pop(key, None) for key in ("$import", "$include", "$IMPORT", "$INCLUDE")]
    lists = [each if isinstance(each, list) else str(each or "").split(";") for each in named]
    return [str(name).strip() for each in lists for name in each if str(name).strip()]


def _read_text(path: Path, label: str, problems: list[Problem]) -> str | None:
    """Return the text of a file; None without one, and if it cannot be read, which is noted."""
    try:
        # A byte order mark, as editors on Windows write it, is no part of the first name.
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        problems.append(Problem(label, "is not UTF-8 text; save it as UTF-8"))
    except OSError as error:
        problems.append(Problem(label, _unreadable(error)))
    return None


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror}); check that it is a file and its permissions"
