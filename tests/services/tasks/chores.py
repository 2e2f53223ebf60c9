"""Functions that travel to a worker: what they did is in the diary, a file of the test's folder."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import current_app

from quorum import Container, Mailer, Provide, inject

if TYPE_CHECKING:
    from collections.abc import Iterator

DIARY = Path("diary.txt")
PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")


def diary() -> list[str]:
    """Return what was noted, oldest first."""
    return DIARY.read_text().splitlines() if DIARY.exists() else []


def note(text: str = "noted") -> None:
    with DIARY.open("a") as file:
        file.write(f"{text}\n")


def add(one: Any, other: Any = 0) -> Any:
    return one + other


def echo(value: Any) -> Any:
    return value


def give(*args: Any, **kwargs: Any) -> Any:
    return [list(args), kwargs]


def keep(*args: Any, **kwargs: Any) -> None:
    note(json.dumps([args, kwargs]))


def fail(secret: str = "") -> None:
    note("failed")
    raise ValueError("the chore is broken")


def leave() -> None:
    note("left")
    sys.exit(3)


def last(seconds: float, name: str = "") -> None:
    note(f"begin {name}".strip())
    time.sleep(seconds)
    note(f"end {name}".strip())


def called_back(error: BaseException | None) -> None:
    note(f"called back with {type(error).__name__}")


def failing_callback(error: BaseException | None) -> None:
    note(f"called back with {type(error).__name__}")
    raise RuntimeError("the callback is broken")


def where() -> str:
    return PLACE.get()


@contextmanager
def room() -> Iterator[None]:
    """Enter the scope of an application: a job sees where it is."""
    note("enter")
    token = PLACE.set("the room")
    try:
        yield
    finally:
        PLACE.reset(token)
        note("leave")


@inject
def look_around(text: str, mailer: Mailer = Provide[Container.mailer]) -> list[Any]:
    container = current_app.extensions["quorum"]
    return [text, current_app.name, mailer is container.mailer()]


async def dream() -> None:
    """Be a coroutine function, which nobody here awaits."""


class Chore:
    """A class of which a bound method, and an instance, is given as a function."""

    def __call__(self) -> str:
        return "called"

    def method(self) -> str:
        return "bound"

    @staticmethod
    def static() -> str:
        return "static"


def twin() -> str:
    return "one"


class Other:
    """Where there is a second function of one name."""

    @staticmethod
    def twin() -> str:
        return "other"


TASKS: Any = None
"""The tasks under test, for a job that submits another."""


def hand_on(number: int) -> None:
    note(str(number))
    if number:
        TASKS.submit(hand_on, number - 1)
