"""Jobs that begin, and end, when a test says so."""

from __future__ import annotations

import threading
from typing import Any

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


def threads_of(tasks: Any) -> list[threading.Thread]:
    """Return the threads of an application's tasks that live."""
    return [each for each in threading.enumerate() if tasks.name in each.name]
