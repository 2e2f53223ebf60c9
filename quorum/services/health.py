"""Health: which of the services in use answer, asked all at once and at most once a second."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from quorum.choice import Choice
from quorum.errors import QuorumError
from quorum.forks import PerProcess
from quorum.graph.assembly import constructor
from quorum.graph.usage import Usage, can_ping, usages

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 0.8
"""Seconds that a ping may take: the whole answer is owed within one."""

SHARED = 1.0
"""Seconds for which a report is given again."""

logger = logging.getLogger("quorum.health")


# NamedTuples, since making a dataclass costs a millisecond of `import quorum`.
class ServiceHealth(NamedTuple):
    """What became of the ping of one service.

    `seconds` is how long it took, None where none was made; `reason` tells whoever runs the
    application why the service is down.
    """

    name: str
    status: Literal["up", "down", "unused"]
    driver: str
    seconds: float | None = None
    reason: str | None = None


class Report(NamedTuple):
    """The services of a container, in the order in which it declares them."""

    services: tuple[ServiceHealth, ...] = ()

    @property
    def status(self) -> Literal["up", "down"]:
        """`down` where a service in use is."""
        return "down" if any(each.status == "down" for each in self.services) else "up"


class Health:
    """Pings the services of a container that are in use: those configured and those built."""

    def __init__(self, container: Any) -> None:
        self._container = container
        # The threads that ping do not live on in a forked child.
        self._checks = PerProcess(_Checks)

    def check(self) -> Report:
        """Return within a second which services answer; one that fails is in the report.

        A report is given again for a second, and callers at the same time share one. That a
        service goes down, or comes up again, is logged under `quorum.health`. A service that is
        configured and was never used is built first, which the second does not include.
        """
        return self._checks.get().report(list(usages(self._container)))


class _Ping:
    """A ping on a thread of its own, which may outlive the check that began it."""

    def __init__(self, name: str, service: Any) -> None:
        self.service = service
        self.ended = threading.Event()
        self._name = name
        self._began = time.monotonic()
        self._seconds = 0.0
        self._reason: str | None = None
        try:
            threading.Thread(target=self._run, name=f"quorum-health-{name}", daemon=True).start()
        except RuntimeError as error:
            # The process may have as many threads as it may have.
            self._end(error)

    def _run(self) -> None:
        try:
            answer = self.service.ping()
            if inspect.iscoroutine(answer):
                asyncio.run(answer)
        except BaseException as error:  # noqa: BLE001 - nobody is above to catch it
            self._end(error)
        else:
            self._end()

    def _end(self, error: BaseException | None = None) -> None:
        self._reason = None if error is None else _sentence(self._name, error)
        self._seconds = time.monotonic() - self._began
        self.ended.set()

    def outcome(self) -> tuple[float, str | None]:
        """Return its seconds, and why it failed; one that is late has failed."""
        ended = self.ended.wait(max(0.0, self._began + LIMIT - time.monotonic()))
        seconds = self._seconds if ended else time.monotonic() - self._began
        late = f"it did not answer within {LIMIT} seconds" if seconds > LIMIT or not ended else None
        return seconds, (self._reason if ended else None) or late


class _Checks:
    """The checks of one process: the last report, and the pings that may still run."""

    def __init__(self) -> None:
        # Re-entrant: a service that asks for a report while it is built must not wait for itself.
        self._lock = threading.RLock()
        self._report = Report()
        self._asked: list[Any] | None = None
        self._ended = 0.0
        self._pings: dict[str, _Ping] = {}
        self._down: set[str] = set()

    def report(self, listed: Sequence[Usage]) -> Report:
        """Return the last report if it is recent, else make one."""
        called = time.monotonic()
        # What is overridden now is asked now: the report of what was there before will not do.
        asked = [(each.name, each.provider) for each in listed if each.used]
        with self._lock:
            waited = self._asked is not None and self._ended >= called
            if not waited and (asked != self._asked or called - self._ended >= SHARED):
                self._report = self._check(listed)
                self._asked, self._ended = asked, time.monotonic()
                self._log()
            return self._report

    def _check(self, listed: Sequence[Usage]) -> Report:
        # All are built before the first ping: to import a vendor may take longer than to ask it.
        built = [(each, *_built(each)) for each in listed]
        begun = [(each, self._begin(each.name, service), why) for each, service, why in built]
        found = []
        for each, ping, why in begun:
            if not each.used:
                found.append(ServiceHealth(each.name, "unused", each.driver))
            elif ping is not None or why is not None:
                seconds, reason = ping.outcome() if ping else (0.0, why)
                status: Literal["up", "down"] = "up" if reason is None else "down"
                found.append(ServiceHealth(each.name, status, each.driver, seconds, reason))
        return Report(tuple(found))

    def _begin(self, name: str, service: Any) -> _Ping | None:
        if not can_ping(service):
            return None
        last = self._pings.get(name)
        if last is None or last.service is not service or last.ended.is_set():
            # While the last one hangs, another would only be one more thread.
            self._pings[name] = _Ping(name, service)
        return self._pings[name]

    def _log(self) -> None:
        for each in self._report.services:
            if each.status == "down" and each.name not in self._down:
                logger.error("%s is down: %s", each.name, each.reason)
            elif each.status == "up" and each.name in self._down:
                logger.info("%s is up again", each.name)
        self._down = {each.name for each in self._report.services if each.status == "down"}


def _built(usage: Usage) -> tuple[Any, str | None]:
    """Return a service that is in use, or why it could not be built."""
    if not usage.used:
        return None, None
    try:
        service = usage.provider()
    except Exception as error:  # noqa: BLE001 - a constructor may be anyone's
        return None, _sentence(usage.name, error)
    if isinstance(constructor(usage.provider), Choice):
        # What a driver builds without asking anybody; the ping tells why it cannot.
        with suppress(Exception):
            service.prepare()
    return service, None


def _sentence(name: str, error: BaseException) -> str:
    """Return the sentence of an error of ours; that of another might hold a secret."""
    if isinstance(error, QuorumError):
        return " ".join(str(error).removeprefix(f"{name}: ").split())
    return f"{type(error).__name__} was raised"
