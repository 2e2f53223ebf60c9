"""`quorum consume`: a handler is called with each message of a queue, until a signal comes."""

from __future__ import annotations

import importlib
import inspect
import logging
import operator
from typing import TYPE_CHECKING, Any, cast

import click

from quorum.app import unload
from quorum.cli.output import configured, find_app
from quorum.cli.services import rows
from quorum.cli.signals import signalled
from quorum.errors import ConfigurationError, ServiceError
from quorum.injection.layers import injections_in

if TYPE_CHECKING:
    from flask import Flask

    from quorum.services.amqp.base import Broker, Consumer, Handler

logger = logging.getLogger("quorum.amqp")

_COUNT = click.IntRange(1, 65535)


@click.command(short_help="Call a handler with each message of a queue.")
@click.argument("handler", metavar="MODULE:HANDLER")
@click.argument("queue")
@click.option("--prefetch", type=_COUNT, default=10, help="Messages held at once; 10.")
@click.option("--threads", type=_COUNT, default=1, help="Threads that call the handler; 1.")
@click.option(
    "--timeout", type=click.FloatRange(0, 86400), help="Seconds to end in; else AMQP_TIMEOUT."
)
@click.option("--declare", is_flag=True, help="Declare the queue first: durable, dead letters.")
@configured
def consume(
    *,
    handler: str,
    queue: str,
    prefetch: int,
    threads: int,
    timeout: float | None,
    declare: bool,
) -> None:
    """Call HANDLER of MODULE with each message of QUEUE, inside the application.

    A message whose handler returns is acknowledged; one whose handler raises is given back, and
    ends in the dead letters. At SIGTERM or Ctrl-C no more are begun, and those that are have
    --timeout seconds to end: with status 1 if one has not, and is delivered again. A second
    signal ends the command at once.
    """
    app = find_app()
    try:
        called = _handler(handler)
        _check(app, queue, called)
        container = app.extensions["quorum"]
        broker: Broker = container.amqp()
        with signalled() as wait:
            if declare:
                broker.declare_queue(queue)
            consumer = broker.consume(queue, called, prefetch=prefetch, threads=threads)
            logger.info("%s consumes %s; Ctrl-C ends it", container.settings().name, queue)
            wait()
        _stop(consumer, timeout)
    except ServiceError as error:
        hint = ", or see --declare" if f"no queue {queue!r}" in str(error) else ""
        click.echo(f"Error: {error}{hint}", err=True)
        raise SystemExit(1) from None
    finally:
        unload(app)


def _stop(consumer: Consumer, timeout: float | None) -> None:
    logger.info("no more messages of %s are begun", consumer.queue)
    if not consumer.stop(timeout):
        click.echo(
            f"Error: a handler of {consumer.queue!r} did not end in time, and is left; what it "
            "was given is delivered again; see --timeout",
            err=True,
        )
        raise SystemExit(1)


def _handler(path: str) -> Handler:
    """Return the function that a path names. Raises ConfigurationError where there is none."""
    module, _, name = path.partition(":")
    if not module or not name:
        raise ConfigurationError(f"{path!r} names no handler; write MODULE:HANDLER")
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(
            f"{path!r}: there is no module {error.name!r}; mend the name"
        ) from error
    try:
        found: Any = operator.attrgetter(name)(imported)
    except AttributeError as error:
        raise ConfigurationError(f"{path!r}: {module} has no {name!r}; mend the name") from error
    if not callable(found) or inspect.iscoroutinefunction(found):
        raise ConfigurationError(f"{path!r} is no plain function; name one that takes a delivery")
    return cast("Handler", found)


def _check(app: Flask, queue: str, handler: Handler) -> None:
    """Check the application and the handler. Raises ConfigurationError with all that is wrong."""
    drivers = {row["noun"]: row["driver"] for row in rows(app.extensions["quorum"])}
    if drivers.get("amqp") in {"memory", "none"}:
        raise ConfigurationError(
            f"AMQP_URL is not set: the embedded twin serves one process, so that nobody else "
            f"could publish to {queue!r}; set AMQP_URL"
        )
    for injection in injections_in(handler):
        first = next(iter(inspect.signature(handler).parameters))
        if first in injection.markers:
            raise ConfigurationError(
                f"the handler's first parameter {first!r} has a marker, and would be given the "
                "delivery; put one for the delivery before it"
            )
    # The check looks at what Flask calls, and that are the callbacks of commands too.
    app.cli.add_command(click.Command(f"consume {queue}", callback=handler))
    app.extensions["quorum.loaded"].start_up.run(app)
