"""`quorum tasks`: the schedules of the application, and the jobs that failed for good."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from quorum.app import unload
from quorum.cli.output import as_json as json_option
from quorum.cli.output import configured, find_app, print_json, print_table
from quorum.errors import ConfigurationError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.group(invoke_without_command=True, short_help="Print the schedules and the failed jobs.")
@json_option
@click.pass_context
@configured
def tasks(context: click.Context, *, as_json: bool) -> None:
    """Print the schedules that the application declares, and when each is due next.

    With TASKS=dramatiq, print the dead letters too: the jobs that failed for good.
    """
    if context.invoked_subcommand is not None:
        return
    with _tasks() as service:
        found = {"schedules": _schedules(service), "dead": _dead(service)}
        if as_json:
            print_json(found)
        else:
            _print(found, durable=hasattr(service, "dead"))


@tasks.command(short_help="Run a failed job again.")
@click.argument("job", metavar="ID")
@configured
def retry(*, job: str) -> None:
    """Have the dead letter of ID run again, with as many tries as at first."""
    with _tasks() as service:
        if not hasattr(service, "retry"):
            raise ConfigurationError("dead letters are kept by a broker; set TASKS=dramatiq")
        click.echo(f"{service.retry(job).name} ({job}) is run again")


@contextmanager
def _tasks() -> Iterator[Any]:
    """Give the tasks of the application; an error of the broker ends with status 1."""
    app = find_app()
    try:
        app.extensions["quorum.loaded"].start_up.run(app)
        yield app.extensions["quorum"].tasks()
    except ServiceError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    finally:
        unload(app)


def _schedules(service: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": each.id,
            "name": each.name,
            "rule": each.rule,
            "next_run": each.next_run and each.next_run.isoformat(timespec="seconds"),
            "paused": each.paused,
        }
        for each in service.schedules
    ]


def _dead(service: Any) -> list[dict[str, Any]]:
    if not hasattr(service, "dead"):
        return []
    return [
        {
            "id": each.id,
            "name": each.name,
            "error": each.error or "given up by the broker: the workers that ran it died",
            "when": each.ended_at
            and datetime.fromtimestamp(each.ended_at, UTC).isoformat(timespec="seconds"),
        }
        for each in service.dead()
    ]


def _print(found: dict[str, list[dict[str, Any]]], *, durable: bool) -> None:
    if found["schedules"]:
        rows = [
            (each["id"], each["rule"], "paused" if each["paused"] else each["next_run"] or "-")
            for each in found["schedules"]
        ]
        print_table(("schedule", "rule", "next run"), rows)
    else:
        click.echo("The application declares no schedules.")
    if found["dead"]:
        click.echo()
        dead = [
            (each["id"], each["name"], each["when"] or "-", each["error"].splitlines()[0])
            for each in found["dead"]
        ]
        print_table(("dead letter", "job", "when", "error"), dead)
    elif durable:
        click.echo("\nThere are no dead letters.")
