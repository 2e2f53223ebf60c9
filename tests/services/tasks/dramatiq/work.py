"""Jobs that workers find by their import path."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections import Counter
from typing import Any

calls: list[Any] = []
"""What the jobs of this process were given."""
tries: Counter[str] = Counter()
gate = threading.Event()


def note(*args: Any, **kwargs: Any) -> None:
    calls.append((args, kwargs))


def add(left: int, right: int) -> int:
    return left + right


def pair(left: int, right: int) -> Any:
    return object()


def fail(text: str = "no") -> None:
    raise ValueError(text)


def leave() -> None:
    raise SystemExit(3)


def fail_twice(name: str) -> int:
    tries[name] += 1
    if tries[name] < 3:
        raise ValueError("not yet")
    return tries[name]


def told(error: BaseException | None) -> None:
    calls.append(error)


def told_wrongly(error: BaseException | None) -> None:
    calls.append(error)
    raise RuntimeError("the callback")


def wait_for_gate() -> str:
    calls.append("begun")
    gate.wait(30)
    return "through"


def append(path: str, line: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)


def append_slowly(path: str, seconds: float) -> None:
    append(path, "begun")
    time.sleep(seconds)
    append(path, "ended")


def decorator(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append("decorated")
        return function(*args, **kwargs)

    return wrapper


@decorator
def decorated(left: int) -> int:
    return left


class Shop:
    @classmethod
    def sell(cls, what: str) -> str:
        return f"{cls.__name__} sells {what}"

    @staticmethod
    def buy(what: str) -> str:
        return f"bought {what}"

    def stock(self) -> None:
        pass

    def __call__(self) -> None:
        pass


def inner() -> Any:
    def closure() -> None:
        pass

    return closure


anonymous = lambda: None  # noqa: E731 - a lambda is what it is about


def shadowed() -> int:
    return 1


first_shadowed = shadowed


def shadowed() -> int:  # type: ignore[no-redef]
    return 2


def close_first() -> None:
    """Close the tasks that were noted first."""
    calls.append(list(calls[0].close(5)))


class Unsayable(Exception):
    """An error that cannot say what happened."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def fail_unsayably() -> None:
    calls.append("unsayable")
    raise Unsayable


def huge() -> int:
    calls.append("huge")
    result: int = 10**5000
    return result
