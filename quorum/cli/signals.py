"""Commands that run until a signal tells them to end."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def signalled() -> Iterator[Callable[[], object]]:
    """Yield what waits for SIGTERM or Ctrl-C, which have their own effect again afterwards."""
    # Of the queues this is the one that a signal handler may put into.
    came: SimpleQueue[int] = SimpleQueue()
    before = {
        number: signal.signal(number, lambda number, _: came.put(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield came.get
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
