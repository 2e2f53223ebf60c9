"""The background work that an application begins by itself, and which processes begin it."""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from flask.cli import ScriptInfo, run_command
from flask.helpers import get_debug_flag
from werkzeug.serving import is_running_from_reloader

from quorum.errors import Rejected, ServiceError
from quorum.services.tasks.base import Job
from quorum.services.tasks.jobs import function_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quorum.containers import Container
    from quorum.services.tasks.base import Tasks
    from quorum.services.tasks.schedule.rules import Rule

logger = logging.getLogger("quorum.tasks")


class Declared(NamedTuple):
    """A function under `background`: it runs once, or as its rule says.

    `loads` is how many applications had been loaded before it was declared.
    """

    function: Callable[[], Any]
    rule: Rule | None
    loads: int

    def supersedes(self, other: Declared) -> bool:
        """Tell whether the same line of source declared another, for an earlier application."""
        place = _place(self.function)
        return place is not None and place == _place(other.function) and self.loads > other.loads


def _place(function: Any) -> tuple[str, int] | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return None if code is None else (code.co_filename, code.co_firstlineno)


class Declarations:
    """The functions under `background`, which every application begins as it is loaded."""

    def __init__(self) -> None:
        self.all: list[Declared] = []
        self.loads = 0

    def remember(self, declared: Declared) -> None:
        """Keep a function for the applications to come.

        A factory declares its functions anew for each application: those of the last one go.
        """
        self.all = [each for each in self.all if not declared.supersedes(each)]
        self.all.append(declared)

    def clear(self) -> None:
        """Forget every function."""
        self.all = []


declarations = Declarations()


class Execution:
    """The background work that one application begins by itself, if this process is to.

    With `load(execution=False)`, not `allowed`, none ever is.
    """

    def __init__(self, *, allowed: bool) -> None:
        self.begun = allowed and not waits_to_serve()
        self.declared: list[Declared] = []
        self._allowed = allowed
        self._container: Container | None = None

    def load(self, container: Container) -> None:
        """Take what was declared before the application was loaded. Raises as `add`."""
        self._container = container
        declarations.loads += 1
        for each in declarations.all:
            self.add(each)

    def add(self, declared: Declared) -> None:
        """Make the schedule of a function; one without is submitted once the work is begun.

        Raises Rejected for one that cannot be run, or that cannot travel to a worker.
        """
        self.declared.append(declared)
        if not self._allowed:
            return
        try:
            self._make(declared)
        except Rejected:
            if not _is_being_defined(declared.function):
                raise
            # No import path leads to it until its module is there.
            threading.Thread(
                target=self._make_later, args=(declared,), name="quorum-tasks-later", daemon=True
            ).start()

    @property
    def jobs(self) -> list[tuple[Job, Rule]]:
        """The schedules of the application, as far as they are made or declared here."""
        made = [(each.job, each.when) for tasks in self._built() for each in tasks.schedules]
        left_out = () if self._allowed else self.declared
        return made + [(Job(each.function), each.rule) for each in left_out if each.rule]

    @property
    def functions(self) -> list[Callable[..., Any]]:
        """The functions that its schedules and `background` call, each once."""
        called = [each.function for each in self.declared]
        for job, _ in self.jobs:
            called += [each for each in (job.function, job.callback) if each is not None]
        return list({id(each): each for each in called}.values())

    def begin(self) -> None:
        """Run schedules and functions from now on; a no-op where that was begun before."""
        if self.begun or not self._allowed or self._container is None:
            return
        self.begun = True
        for tasks in self._built():
            tasks.start()
        for each in self.declared:
            if each.rule is None:
                self._make(each)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Have no schedule be due in this block."""
        rested = [(tasks, each) for tasks in self._built() for each in tasks.schedules]
        rested = [(tasks, each) for tasks, each in rested if not each.paused]
        for tasks, each in rested:
            tasks.pause(each)
        try:
            yield
        finally:
            for tasks, each in rested:
                if each in tasks.schedules:
                    tasks.resume(each)

    def _built(self) -> list[Any]:
        """Return the tasks if they are built, and ours."""
        entries = [] if self._container is None else list(self._container.ledger.entries)
        return [each for name, each in entries if name == "tasks" and hasattr(each, "execution")]

    def _make(self, declared: Declared) -> None:
        if self._container is None or not (self.begun or declared.rule):
            return
        job = Job(declared.function)
        try:
            tasks: Tasks = self._container.tasks()
            if declared.rule is None:
                tasks.enqueue(job)
            else:
                tasks.repeat(job, declared.rule)
        except Rejected:
            raise
        except ServiceError:
            # An application is worth more than one of its jobs.
            logger.exception("%s was not begun", function_name(declared.function))

    def _make_later(self, declared: Declared) -> None:
        try:
            # It waits for whoever is importing that module.
            importlib.import_module(declared.function.__module__)
            self._make(declared)
        except Exception:
            logger.exception("%s was not begun", function_name(declared.function))


def _is_being_defined(function: Any) -> bool:
    """Tell whether a decorator is at work on a function of a module, so that it has no name yet."""
    name = getattr(function, "__qualname__", ".")
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return (
        module is not None and name.isidentifier() and getattr(module, name, None) is not function
    )


def waits_to_serve() -> bool:
    """Tell whether a command runs in which no background work is begun as the application loads.

    Of `flask run` that is the process that only watches the files; those of Quorum begin the work
    themselves as they begin to serve.
    """
    context = click.get_current_context(silent=True)
    if context is None or context.find_object(ScriptInfo) is None:
        return False
    if context.command is not run_command:
        return True
    reload = context.params.get("reload")
    reloads = get_debug_flag() if reload is None else reload
    return bool(reloads) and not is_running_from_reloader()
