"""The reference of all settings, in the forms that other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorum.profiles.variables import group_of, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from quorum.settings import Settings


def _entries(model: type[Settings]) -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    """Give path, names, default and meaning of each setting."""
    for path, variable in table_of(model).items():
        *groups, name = path.split(".")
        holder: type[BaseModel] = model
        for group in groups:
            holder = group_of(holder, group) or holder
        info = holder.model_fields.get(name)
        default = info.default if info is not None and not info.is_required() else None
        shown = default if isinstance(default, (str, int, float)) else None
        text = (
            str(shown).lower() if isinstance(shown, bool) else ("" if shown is None else str(shown))
        )
        meaning = (info.description if info else "Address of the server in one URL") or ""
        yield path, variable.names, text, meaning


def env_example(model: type[Settings]) -> str:
    """Return a `.env` with every variable commented out at its default."""
    lines = []
    for _, names, default, meaning in _entries(model):
        also = f" (also {', '.join(names[1:])})" if names[1:] else ""
        example = names[0].replace("<X>", "THREADS")
        lines += [f"# {meaning}{also}", f"#{example}={default}", ""]
    return "\n".join(lines)


def markdown(model: type[Settings]) -> str:
    """Return a table of every variable."""
    lines = ["| variable | setting | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| {', '.join(f'`{name}`' for name in names)} | `{path}` | {default} | {meaning} |"
        for path, names, default, meaning in _entries(model)
    ]
    return "\n".join(lines)


def json_schema(model: type[Settings]) -> dict[str, Any]:
    """Return the JSON Schema of a profile, in which the flat names stand beside the nested."""
    schema = model.model_json_schema()
    schema["properties"] |= {
        name: {"description": meaning}
        for _, names, _, meaning in _entries(model)
        for name in names
        if name != "INSTANCE" and "<" not in name
    }
    schema["patternProperties"] = {"^SERVER_": {"type": "string"}}
    schema["properties"].pop("instance", None)
    return schema
