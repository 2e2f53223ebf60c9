"""What the commands share: finding the application, tables, JSON, exit statuses."""

from __future__ import annotations

import functools
import json
import os
from typing import TYPE_CHECKING, Any, TypeVar

import click
from flask.cli import NoAppException, ScriptInfo

from quorum.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask import Flask

F = TypeVar("F", bound="Callable[..., Any]")

EX_CONFIG = 78
"""The exit status of a configuration error (sysexits.h)."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def configured(command: F) -> F:
    """End a command with status 78 and the problems on the standard error, if there are any."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except ConfigurationError as error:
            if kwargs.get("as_json"):
                print_json({"ok": False, "problems": problems_of(error)})
            click.echo(f"Error: {error}", err=True)
            raise SystemExit(EX_CONFIG) from None

    return wrapper  # type: ignore[return-value]  # the same signature, which wraps cannot say


def problems_of(error: ConfigurationError) -> list[dict[str, Any]]:
    """Return the problems of an error as JSON takes them."""
    if not error.problems:
        return [{"setting": None, "rule": str(error), "source": None, "names": []}]
    return [
        {
            "setting": each.setting,
            "rule": each.rule,
            "source": each.source,
            "names": list(each.names),
        }
        for each in error.problems
    ]


def find_app() -> Flask:
    """Return the application that Flask finds, with Quorum loaded.

    Raises ConfigurationError if there is one without Quorum; click's usage error if there is none.
    """
    app = click.get_current_context().ensure_object(ScriptInfo).load_app()
    if "quorum" not in app.extensions:
        raise ConfigurationError(
            f"the application {app.name!r} is without Quorum; call quorum.load(app=app) on it"
        )
    return app


def find_app_if_any() -> Flask | None:
    """Return the application, None where none was named and there is no file for one."""
    info = click.get_current_context().ensure_object(ScriptInfo)
    try:
        return find_app()
    except NoAppException:
        # Flask says the same of a file that is not there and of one that cannot be imported.
        if info.app_import_path is not None or any(map(os.path.exists, ("wsgi.py", "app.py"))):
            raise
        return None


def print_json(document: Any) -> None:
    """Print a document as JSON."""
    click.echo(json.dumps(document, indent=2, default=str))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as they need to be; the last one runs on."""
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head) - 1)]
    for number, row in enumerate([head, *rows]):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        line = "  ".join([*cells, row[-1]]).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)
