"""What pika logs and we say better ourselves."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pika.exceptions import AMQPError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGERS = (
    "pika.adapters.base_connection",
    "pika.adapters.blocking_connection",
    "pika.adapters.utils.connection_workflow",
    "pika.adapters.utils.io_services_utils",
    "pika.channel",
    "pika.connection",
    "pika.heartbeat",
)
_threads: set[int] = set()


@contextmanager
def hushed() -> Iterator[None]:
    """Log nothing of pika in this thread but what it debugs, and faults that are no connection's.

    What it says at the loss of one connection is a dozen errors with tracebacks.
    """
    thread = threading.get_ident()
    _threads.add(thread)
    try:
        yield
    finally:
        _threads.discard(thread)


def _passes(record: logging.LogRecord) -> bool:
    if record.thread not in _threads or record.levelno < logging.INFO:
        return True
    error = record.exc_info[1] if record.exc_info else None
    return error is not None and not isinstance(error, OSError | AMQPError)


for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_passes)
