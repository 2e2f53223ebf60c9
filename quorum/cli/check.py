"""`quorum check`: what would go wrong at the first request, now."""

from __future__ import annotations

import click

from quorum.check import check as check_application
from quorum.check import functions_of
from quorum.cli.output import as_json as json_option
from quorum.cli.output import configured, find_app, print_json
from quorum.injection.layers import injections_in


@click.command(short_help="Check settings, services and views; build nothing.")
@json_option
@configured
def check(*, as_json: bool) -> None:
    """Check settings, services and the injected parameters of every view; build nothing.

    Ends with status 78 if there is a problem, and lists all.
    """
    app = find_app()
    check_application(app)
    injected = [
        injection for _, function in functions_of(app) for injection in injections_in(function)
    ]
    services = [name for name in app.extensions["quorum"].providers if name != "__self__"]
    counts = {"providers": len(services), "injected": len(injected)}
    if as_json:
        print_json({"ok": True, "problems": []} | counts)
    else:
        click.echo(
            f"{app.name}: all is well (providers: {counts['providers']}, "
            f"injected functions: {counts['injected']})"
        )
