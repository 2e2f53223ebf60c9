"""`quorum config`: every setting, its value, the source that won and those it overrode."""

from __future__ import annotations

import functools
import re
from typing import Any

import click
from pydantic import Secret, SecretStr

from quorum.cli import reference
from quorum.cli.output import as_json as json_option
from quorum.cli.output import configured, find_app_if_any, print_json, print_table
from quorum.profiles.variables import table_of
from quorum.settings import Settings

_SECRET = re.compile("pass|secret|key|token", re.IGNORECASE)


@click.command(short_help="Print every setting and where it comes from.")
@click.option("--env-example", is_flag=True, help="Print a .env with every variable, commented.")
@click.option("--markdown", is_flag=True, help="Print a table of every variable.")
@click.option("--json-schema", is_flag=True, help="Print the schema of config/*.yml for editors.")
@json_option
@configured
def config(*, env_example: bool, markdown: bool, json_schema: bool, as_json: bool) -> None:
    """Print every setting with its value, secrets masked, and where it comes from."""
    app = find_app_if_any()
    settings: Settings = app.extensions["quorum"].settings() if app else Settings()
    if env_example:
        click.echo(reference.env_example(type(settings)))
    elif markdown:
        click.echo(reference.markdown(type(settings)))
    elif json_schema:
        print_json(reference.json_schema(type(settings)))
    elif as_json:
        print_json(list(rows(settings)))
    else:
        lines = [
            (row["setting"], _text(row["value"]), row["source"] or "default", _overridden(row))
            for row in rows(settings)
        ]
        print_table(("setting", "value", "source", ""), lines)


def rows(settings: Settings) -> list[dict[str, Any]]:
    """Return a row for each setting: its value, masked, and its sources."""
    found = []
    for path, variable in table_of(type(settings)).items():
        try:
            value = functools.reduce(getattr, path.split("."), settings)
        except AttributeError:
            # A URL that was taken apart: its parts stand for it.
            continue
        origins = [str(origin) for origin in settings.origins.get(path, ())]
        found.append(
            {
                "setting": path,
                "value": _public(value),
                "source": origins[0] if origins else None,
                "overrides": origins[1:],
                "variables": list(variable.names),
            }
        )
    return found


def _public(value: Any) -> Any:
    if isinstance(value, (SecretStr, Secret)):
        return str(value)
    if isinstance(value, dict):
        # Options of a server are not ours to know: what may be a secret is shown as one.
        return {name: "***" if _SECRET.search(name) else each for name, each in value.items()}
    return value


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _overridden(row: dict[str, Any]) -> str:
    return f"(overrides {'; '.join(row['overrides'])})" if row["overrides"] else ""
