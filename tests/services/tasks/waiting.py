"""Jobs that begin, and end, when a test says so."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 15.0


class Gate:
    """A job that waits until the test opens it, for as long as a test may take."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.opened = threading.Event()

    def __call__(self, *_: Any, **__: Any) -> str:
        self.begun.set()
        assert self.opened.wait(DEADLINE)
        return "passed"

    def open(self) -> None:
        self.opened.set()


def wait_until(condition: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Wait until a condition is true, and return what it gave; fail if it is not in time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.005)
    return found


def threads_of(tasks: Any) -> list[threading.Thread]:
    """Return the threads of an application's tasks that live."""
    return [each for each in threading.enumerate() if tasks.name in each.name]
