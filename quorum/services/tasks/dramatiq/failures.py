"""Errors of the services underneath, told as the tasks' own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from quorum.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def told() -> Iterator[None]:
    """Raise an error of another service as one of the tasks, with the same sentence."""
    try:
        yield
    except ServiceError as error:
        raise type(error)("tasks", str(error.args[1])) from (error.__cause__ or error)
