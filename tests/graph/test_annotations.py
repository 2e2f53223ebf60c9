"""Annotations as objects, and which classes clearly do not fit one."""

from __future__ import annotations

import collections.abc
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NewType, Protocol, TypeVar
from unittest.mock import Mock

import pytest
from werkzeug.local import LocalProxy

from quorum import Settings
from quorum.graph.annotations import evaluated, fits

if TYPE_CHECKING:
    from decimal import Decimal

T = TypeVar("T")


class Speaks(Protocol):
    name: str

    def speak(self) -> str: ...

    @property
    def loud(self) -> bool: ...


class Dog:
    """Speaks, and has its attributes from the constructor."""

    def __init__(self):
        self.name = "Rex"
        self.loud = True

    def speak(self) -> str:
        return "woof"


class Puppy(Dog):
    """A dog."""


class Stone:
    """Does not speak."""


class Anything:
    """Answers whatever is asked."""

    def __getattr__(self, name):
        return name


class Box(Generic[T]):
    """Holds one."""


class Colour(enum.Enum):
    RED = 1


UserId = NewType("UserId", int)


@pytest.mark.parametrize(
    ("offered", "annotation"),
    [
        (Dog, Dog),
        (Puppy, Dog),
        (Dog, Puppy),
        (Dog, Speaks),
        (Speaks, Dog),
        (Anything, Speaks),
        (Dog, Dog | None),
        (Dog, Annotated[Dog, "good"]),
        (Dog, Annotated[Stone | Dog, "good"]),
        (Dog, Any),
        (Any, Dog),
        (Dog, object),
        (object, Dog),
        (Dog, T),
        (Dog, "Dog"),
        (Dog, collections.abc.Hashable),
        (Box, Box[int]),
        (list, list[int]),
        (list, collections.abc.Sequence[int]),
        (dict, collections.abc.Mapping[str, int]),
        (type(len), collections.abc.Callable[..., int]),
        (type, type[Dog]),
        (str, Literal["a"]),
        (int, UserId),
        (int, float),
        (bool, float),
        (int, complex),
        (type(Path()), Path),
        (type(None), None),
        (type(None), Dog | None),
        (Mock, Dog),
        (LocalProxy, Dog),
    ],
)
def test_what_may_be_right_fits(offered, annotation):
    """Subclasses, contracts, generics, mocks, proxies, and all that cannot be known."""
    assert fits(offered, annotation)


@pytest.mark.parametrize(
    ("offered", "annotation"),
    [
        (Stone, Dog),
        (Stone, Speaks),
        (Speaks, Stone),
        (Stone, Dog | None),
        (Stone, Annotated[Dog, "good"]),
        (str, int),
        (float, int),
        (str, bytes),
        (Stone, list[int]),
        (Stone, collections.abc.Callable[..., int]),
        (Dog, None),
        (Settings, Speaks),
        (str, Colour),
    ],
)
def test_a_clear_mismatch_does_not_fit(offered, annotation):
    """A class that is neither above nor below, and a contract whose methods are not there."""
    assert not fits(offered, annotation)


def test_string_annotations_are_evaluated():
    """In the module of the function, whatever decorators it has."""

    def function(dog: Dog, maybe: Dog | None = None) -> Puppy: ...

    found = evaluated(function)
    assert found["dog"] is Dog
    assert fits(Dog, found["maybe"])
    assert found["return"] is Puppy


def test_an_annotation_whose_name_is_not_there_is_left_out():
    """It stands under TYPE_CHECKING; the others are found."""

    def function(amount: Decimal, dog: Dog): ...

    assert evaluated(function) == {"dog": Dog}


def test_an_annotation_that_raises_is_left_out():
    """Whatever its text raises when it is evaluated."""

    def function(dog): ...

    function.__annotations__ = {"dog": "1 / 0", "cat": "Dog[", "cow": "Dog.cow"}
    assert evaluated(function) == {}


def test_names_around_a_function_are_found():
    """What is local where the function stands is given by the caller."""

    class Local: ...

    def function(local: Local): ...

    assert evaluated(function) == {}
    assert evaluated(function, {"Local": Local}) == {"local": Local}


def test_the_annotations_of_a_dataclass_are_found():
    """Those of the constructor that it generates."""

    @dataclass
    class Kennel:
        dog: Dog

    assert evaluated(Kennel.__init__)["dog"] is Dog


@pytest.mark.parametrize("thing", [len, object.__init__, 5, None])
def test_what_has_no_annotations_has_none(thing):
    """A function written in C, and what is no function."""
    assert evaluated(thing) == {}
