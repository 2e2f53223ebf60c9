"""Tasks for the tests: on threads of this process, and the embedded twin."""

from __future__ import annotations

import secrets
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from quorum.services.tasks.memory import MemoryTasks
from quorum.services.tasks.threads import ThreadTasks
from quorum.settings import TasksSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what a test opens, in the reverse order."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def threads(stack: ExitStack) -> Callable[..., ThreadTasks]:
    """Build tasks on threads, of an application of their own."""

    def build(scope: Any = nullcontext, name: str | None = None, **settings: Any) -> ThreadTasks:
        name = name or f"test-{secrets.token_hex(4)}"
        tasks = ThreadTasks(TasksSettings(**settings), name=name, scope=scope)
        stack.callback(tasks.close)
        return tasks

    return build


@pytest.fixture
def tasks(threads: Callable[..., ThreadTasks]) -> ThreadTasks:
    """Give tasks on threads, as they are unless something is set."""
    return threads()


@pytest.fixture
def twin(stack: ExitStack) -> Callable[..., MemoryTasks]:
    """Build an embedded twin."""

    def build(scope: Any = nullcontext, name: str = "test", **settings: Any) -> MemoryTasks:
        twin = MemoryTasks(TasksSettings(**settings), name=name, scope=scope)
        stack.callback(twin.close)
        return twin

    return build
