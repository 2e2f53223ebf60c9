"""What may travel to another process, and what is refused at submit, with the reason."""

from __future__ import annotations

import datetime as dt
import functools
import sys
import types
from typing import Any

import pytest

from quorum.errors import Rejected
from quorum.services.tasks.dramatiq.travel import check_json, check_path, function_at, path_of
from tests.services.tasks.dramatiq import work

SECRET = "marker-secret"


@pytest.mark.parametrize(
    "function",
    [work.add, work.decorated, work.decorated.__wrapped__, work.Shop.sell, work.Shop.buy, len],
    ids=["function", "decorated", "undecorated", "classmethod", "staticmethod", "builtin"],
)
def test_a_function_is_found_by_its_path(function: Any):
    """The very same one, decorators and all, or what one is around."""
    assert function_at(path_of(function)) == function


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (work.anonymous, "a lambda has no import path"),
        (work.inner(), "made inside a function"),
        (work.Shop().stock, "bound to an object"),
        (work.Shop(), "a Shop has no import path"),
        (functools.partial(work.add, 1), "a partial has no import path"),
        (work.first_shadowed, "is another function"),
    ],
    ids=["lambda", "closure", "bound", "object", "partial", "shadowed"],
)
def test_what_has_no_path_is_refused(function: Any, reason: str):
    """The sentence says why, and what to give."""
    with pytest.raises(Rejected, match=reason) as caught:
        path_of(function)
    assert "give a function of a module" in str(caught.value)


def test_a_function_of_the_file_that_was_run_is_refused(monkeypatch: pytest.MonkeyPatch):
    """Other processes know that file by another name, if at all."""

    def run() -> None:
        pass

    run.__module__, run.__qualname__ = "__main__", "run"
    with pytest.raises(Rejected, match="the file that was run"):
        path_of(run)


def test_a_function_of_a_module_that_is_gone_is_refused():
    """It cannot be imported."""

    def run() -> None:
        pass

    run.__module__, run.__qualname__ = "no_such_module", "run"
    with pytest.raises(Rejected, match="no_such_module:run cannot be imported"):
        path_of(run)


def test_a_path_is_checked_before_the_module_has_the_function(monkeypatch: pytest.MonkeyPatch):
    """A schedule is declared by a decorator, while its module is imported."""
    module = types.ModuleType("half_imported")
    monkeypatch.setitem(sys.modules, "half_imported", module)

    def run() -> None:
        pass

    run.__module__, run.__qualname__ = "half_imported", "run"
    assert check_path(run) == "half_imported:run"
    module.run = run  # type: ignore[attr-defined]
    assert function_at(path_of(run)) is run


@pytest.mark.parametrize(
    "value",
    [None, True, 1, 1.5, "text", [1, (2, "three")], {"key": {"list": [None]}}],
    ids=repr,
)
def test_what_json_says_may_travel(value: Any):
    """Lists, mappings with text as keys, text, numbers, booleans and None."""
    check_json(value, "argument 1 of work")


def cycle() -> list[Any]:
    around: list[Any] = []
    around.append(around)
    return around


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (dt.datetime.now(dt.UTC), "type datetime"),
        (SECRET.encode(), "type bytes"),
        ({SECRET: {1: 2}}, "a key of type int"),
        ([SECRET, float("nan")], "not finite"),
        ({SECRET}, "type set"),
        (cycle(), "too deeply"),
    ],
    ids=["datetime", "bytes", "key", "nan", "set", "cycle"],
)
def test_what_json_cannot_say_is_refused(value: Any, fault: str):
    """The sentence names the argument and the type, and never the value."""
    with pytest.raises(Rejected, match=f"argument 1 of work is or holds .*{fault}") as caught:
        check_json(value, "argument 1 of work")
    assert SECRET not in str(caught.value)
