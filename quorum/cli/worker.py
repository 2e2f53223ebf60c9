"""`quorum worker`: the jobs that others submitted are run, until a signal comes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from quorum.app import unload
from quorum.cli.output import configured, find_app
from quorum.cli.signals import signalled
from quorum.errors import ConfigurationError, ServiceError

if TYPE_CHECKING:
    from flask import Flask

logger = logging.getLogger("quorum.tasks")


@click.command(short_help="Run the jobs of TASKS=dramatiq.")
@click.option(
    "--threads", type=click.IntRange(1, 1000), help="Jobs to run at once; else TASKS_THREADS."
)
@click.option(
    "--timeout", type=click.FloatRange(0, 86400), help="Seconds to end in; else TASKS_TIMEOUT."
)
@configured
def worker(*, threads: int | None, timeout: float | None) -> None:
    """Run the jobs that the application's processes submit, inside the application.

    Its schedules are due here as well: one process of all that have them runs each. At SIGTERM or
    Ctrl-C no more jobs are begun, and those that run have --timeout seconds to end: with status 1
    if one has not, and is run again by another worker. A second signal ends the command at once.
    """
    app = find_app()
    try:
        container = app.extensions["quorum"]
        _check(app)
        settings = container.settings()
        tasks: Any = container.tasks()
        tasks.ping()
        with signalled() as wait:
            workers = tasks.work(threads)
            app.extensions["quorum.loaded"].execution.begin()
            logger.info("%s works, until Ctrl-C", settings.name)
            wait()
        logger.info("no more jobs are begun")
        _told(workers.stop(settings.tasks.timeout if timeout is None else timeout))
    except ServiceError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    finally:
        unload(app)


def _told(left: list[str]) -> None:
    if left:
        click.echo(
            f"Error: did not end in time, and is run again: {', '.join(left)}; see --timeout",
            err=True,
        )
        raise SystemExit(1)


def _check(app: Flask) -> None:
    """Check the application. Raises ConfigurationError where no other process gives it jobs."""
    engine = app.extensions["quorum"].settings().tasks.engine
    if engine != "dramatiq":
        raise ConfigurationError(
            f"TASKS is {engine}: each process runs what it submits itself, so that a worker has "
            "nothing to do; set TASKS=dramatiq, and AMQP_URL or REDIS_URL"
        )
    app.extensions["quorum.loaded"].start_up.run(app)
