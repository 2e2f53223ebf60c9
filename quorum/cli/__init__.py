"""The command line: `quorum`, and `flask quorum` with the same commands."""

from __future__ import annotations

import os
from pathlib import Path

import click
from dotenv import dotenv_values
from flask.cli import ScriptInfo

from quorum.cli.about import about
from quorum.cli.check import check
from quorum.cli.config import config
from quorum.cli.consume import consume
from quorum.cli.health import health
from quorum.cli.run import demo, run
from quorum.cli.services import services
from quorum.cli.tasks import tasks
from quorum.cli.worker import worker


@click.group()
def group() -> None:
    """Run an application and look into its services."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--app", "-A", metavar="IMPORT", help="The application, as `flask --app` takes it.")
@click.version_option(package_name="quorum")
@click.pass_context
def main(context: click.Context, app: str | None) -> None:
    """Run a Flask application and look into its services.

    The application is found as Flask finds it: --app, FLASK_APP, wsgi.py or app.py.
    """
    # As under `flask run`, a module that ends in quorum.run() does not serve while it is imported.
    os.environ["FLASK_RUN_FROM_CLI"] = "true"
    context.obj = ScriptInfo(app_import_path=app or _flask_app())


def _flask_app() -> str | None:
    named = os.environ.get("FLASK_APP")
    for file in (Path(".flaskenv"), Path(".env")):
        if named is None and file.is_file():
            named = dotenv_values(file, interpolate=False).get("FLASK_APP")
    return named


for _command in (run, demo, consume, worker, tasks, config, services, health, check, about):
    group.add_command(_command)
    main.add_command(_command)
