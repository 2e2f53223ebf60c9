"""`quorum run` and `quorum demo`: serving."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from quorum.cli.output import configured, find_app
from quorum.errors import ConfigurationError, ServiceError
from quorum.server import SERVERS, serve

_host = click.option("--host", "-h", help="Address to listen on; HOST unless it is given.")
_port = click.option("--port", "-p", type=int, help="Port to listen on; PORT unless it is given.")


@click.command(short_help="Serve the application.")
@_host
@_port
@click.option("--server", type=click.Choice(list(SERVERS)), help="SERVER unless it is given.")
@configured
def run(host: str | None, port: int | None, server: str | None) -> None:
    """Serve the application until Ctrl-C or SIGTERM, then close its services."""
    try:
        serve(find_app(), server, host=host, port=port)
    except ServiceError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None


@click.command(short_help="Serve the guestbook, an example.")
@_host
@_port
@configured
def demo(host: str | None, port: int | None) -> None:
    """Serve the guestbook, an example with nothing configured, and print its address."""
    folder = example("guestbook")
    sys.path.insert(0, str(folder))
    app = importlib.import_module("guestbook").create_app()
    click.echo(f"The guestbook's code is in {folder}; Ctrl-C ends it.")
    serve(app, host=host, port=port)


def example(name: str) -> Path:
    """Return the folder of an example: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[1]
    for place in (package, package.parent):
        if (place / "examples" / name).is_dir():
            return place / "examples" / name
    raise ConfigurationError(f"the example {name!r} is not installed with this copy of Quorum")
