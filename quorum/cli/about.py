"""`quorum about`: what is installed."""

from __future__ import annotations

import platform
from importlib.metadata import version

import click

from quorum.cli.output import as_json as json_option
from quorum.cli.output import print_json, print_table

_PACKAGES = (
    "quorum",
    "flask",
    "werkzeug",
    "dependency-injector",
    "pydantic",
    "pydantic-settings",
    "waitress",
    "pymongo",
    "redis",
    "pika",
    "boto3",
    "pusher",
)


@click.command(short_help="Print the versions of Quorum and its libraries.")
@json_option
def about(*, as_json: bool) -> None:
    """Print the versions of Quorum, Python and the libraries underneath."""
    found = {name: version(name) for name in _PACKAGES}
    found |= {"python": platform.python_version(), "platform": platform.platform()}
    if as_json:
        print_json(found)
    else:
        print_table(("name", "version"), list(found.items()))
