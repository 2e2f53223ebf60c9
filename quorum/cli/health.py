"""`quorum health`: which of the services in use answer, and why the others do not."""

from __future__ import annotations

import click

from quorum.cli.output import as_json as json_option
from quorum.cli.output import configured, find_app, print_json, print_table


@click.command(short_help="Ask every service in use whether it answers.")
@json_option
@configured
def health(*, as_json: bool) -> None:
    """Ask every service that is configured whether it answers.

    Ends with status 1 if one does not, and says why.
    """
    report = find_app().extensions["quorum"].health().check()
    if as_json:
        services = {each.name: each._asdict() for each in report.services}
        for each in services.values():
            del each["name"]
        print_json({"status": report.status, "services": services})
    else:
        rows = [
            (
                each.name,
                each.status,
                each.driver,
                "-" if each.seconds is None else f"{each.seconds:.3f}",
                each.reason or "",
            )
            for each in report.services
        ]
        print_table(("service", "status", "driver", "seconds", "reason"), rows)
    if report.status == "down":
        raise SystemExit(1)
