"""Reading what may hold settings: YAML, .env, secrets directory, JSON; every scalar stays text.

As text a value means the same wherever it stands: `no`, `0123` and `1:30` are not turned into
False, 83 and 90 by YAML before the settings see them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml
from dotenv.parser import parse_stream

from quorum.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path


class _TextLoader(yaml.SafeLoader):
    """A safe loader that leaves scalars as text and refuses a key that stands twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice, again on line {line}"
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, label: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the document of a YAML file, {} if it is empty or wrong; what is wrong is noted."""
    text = _read_text(path, label, problems)
    try:
        document = yaml.load(text, _TextLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.constructor.ConstructorError as error:
        problems.append(Problem(label, str(error.problem)))
        return {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" on line {mark.line + 1}" if mark else ""
        problems.append(Problem(label, f"is not YAML{where}; quote values that hold : or #"))
        return {}
    if document is None or document == "":
        return {}
    if not isinstance(document, dict):
        problems.append(Problem(label, "must be a mapping of settings, such as `level: DEBUG`"))
        return {}
    return {str(key): value for key, value in document.items()}


def read_dotenv(path: Path, label: str, problems: list[Problem]) -> dict[str, str]:
    """Return the variables of a .env file; `${…}` stays as it is written."""
    if not path.exists():
        return {}
    found: dict[str, str] = {}
    for binding in parse_stream(_Text(_read_text(path, label, problems))):
        if binding.error or (binding.key is not None and binding.value is None):
            line = binding.original.line
            problems.append(Problem(label, f"line {line} is not NAME=value; comment it out with #"))
        elif binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    return found


class _Text:
    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> str:
        return self._text


def read_secrets(folder: Path, label: str, problems: list[Problem]) -> dict[str, str]:
    """Return the files of a secrets directory, name to content without the last line end."""
    if not folder.is_dir():
        problems.append(
            Problem("SECRETS_DIR", f"there is no folder {folder}", names=("SECRETS_DIR",))
        )
        return {}
    files = (path for path in sorted(folder.iterdir()) if path.is_file())
    return {
        path.name: _read_text(path, f"{label}/{path.name}", problems).rstrip("\r\n")
        for path in files
        if not path.name.startswith(".")
    }


def read_json(path: Path, label: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the object of the predecessor's quorum.json; {} without one."""
    if not path.exists():
        return {}
    try:
        document = json.loads(_read_text(path, label, problems) or "{}")
    except json.JSONDecodeError as error:
        problems.append(Problem(label, f"is not JSON: line {error.lineno}, column {error.colno}"))
        return {}
    if not isinstance(document, dict):
        problems.append(Problem(label, "must be an object of settings"))
        return {}
    return document


def _read_text(path: Path, label: str, problems: list[Problem]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        problems.append(Problem(label, "is not UTF-8 text; save it as UTF-8"))
    except OSError as error:
        problems.append(Problem(label, f"cannot be read ({error.strerror}); check its permissions"))
    return ""
