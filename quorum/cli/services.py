"""`quorum services`: which driver serves each noun, why, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from dependency_injector import providers

from quorum.choice import Choice
from quorum.cli.output import as_json as json_option
from quorum.cli.output import configured, find_app, print_json, print_table
from quorum.graph.assembly import constructor
from quorum.profiles.variables import table_of

if TYPE_CHECKING:
    from quorum.settings import Settings


@click.command(short_help="Print each service, its driver and why.")
@json_option
@configured
def services(*, as_json: bool) -> None:
    """Print each service, its driver, why that one, and its address without secrets."""
    found = list(rows(find_app().extensions["quorum"]))
    if as_json:
        print_json(found)
    else:
        lines = [(row["noun"], row["driver"], row["why"], row["address"] or "-") for row in found]
        print_table(("service", "driver", "why", "address"), lines)


def rows(container: Any) -> list[dict[str, Any]]:
    """Return a row for each service of a container; nothing is built."""
    settings: Settings = container.settings()
    found = []
    for noun, provider in container.providers.items():
        target: Any = constructor(provider)
        if isinstance(target, Choice):
            found.append(_chosen(noun, provider.args[0](), settings))
        elif isinstance(provider, providers.BaseSingleton) and noun not in {"render", "health"}:
            name = getattr(target, "__name__", str(target))
            found.append({"noun": noun, "driver": name, "why": "your own", "address": None})
    return found


def _chosen(noun: str, group: Any, settings: Settings) -> dict[str, Any]:
    driver = group.driver
    wanted = " or ".join(group.address_names)
    if driver != "memory":
        why = _set_by(group, settings)
    elif settings.embedded == "never":
        driver, why = "none", f"{wanted} is not set, and EMBEDDED=never"
    else:
        why = f"{wanted} is not set: the embedded twin"
    return {"noun": noun, "driver": driver, "why": why, "address": _address(group, settings)}


def _address(group: Any, settings: Settings) -> str | None:
    if group.driver == "dramatiq":
        # It has no server of its own.
        return settings.amqp.public_address or settings.redis.public_address
    address: str | None = group.public_address
    return address


def _set_by(group: Any, settings: Settings) -> str:
    for path, variable in table_of(type(settings)).items():
        if {*variable.names} & {*group.address_names} and path in settings.origins:
            return f"set in {settings.origins[path][0]}"
    is_default = group.driver == type(group)().driver
    return f"{' or '.join(group.address_names)} is not set" if is_default else "set"
