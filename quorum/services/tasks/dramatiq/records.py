"""Where the jobs of a broker are, and what came of them: kept in Redis, where there is one."""

from __future__ import annotations

import importlib
import json
import logging
import math
import operator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from quorum.errors import Rejected, ServiceError
from quorum.services.redis.failures import explained
from quorum.services.tasks.dramatiq.failures import told
from quorum.services.tasks.dramatiq.travel import check_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.redis.server import ServerRedis
    from quorum.services.tasks.dramatiq.errands import Errand

logger = logging.getLogger("quorum.tasks")

_KEPT_SECONDS = 24 * 3600
_CANCELLED_SECONDS = 30 * 24 * 3600


class Records(Protocol):
    """What workers write of jobs. It raises nothing: a job is run whether or not it is known."""

    def begin(self, job: str) -> bool:
        """Note that a job begins; False where it was cancelled, or is done."""
        ...

    def again(self, job: str) -> None:
        """Note that it waits to be tried again."""
        ...

    def done(self, errand: Errand, result: object) -> None:
        """Note what it returned."""
        ...

    def failed(self, errand: Errand, error: BaseException) -> None:
        """Note what it raised."""
        ...


class NoRecords:
    """Nobody asks."""

    def begin(self, _: str) -> bool:
        return True

    def again(self, job: str) -> None:
        pass

    def done(self, errand: Errand, result: object) -> None:
        pass

    def failed(self, errand: Errand, error: BaseException) -> None:
        pass


class RedisRecords:
    """A record of each job that was begun or cancelled, for a day after it ended."""

    def __init__(self, service: ServerRedis, prefix: str) -> None:
        self._service = service
        self._place = service.place
        self._prefix = prefix

    def close(self) -> None:
        """Let go of the connections."""
        self._service.close()

    def begin(self, job: str) -> bool:
        # Whoever is first, this or a cancellation, wins.
        if self._write(job, {"state": "running"}, nx=True) is not False:
            return True
        found = self._quietly(lambda: self.read(job)) or {}
        if found.get("state") in {"cancelled", "done"}:
            return False
        self._write(job, {"state": "running"})
        return True

    def again(self, job: str) -> None:
        self._write(job, {"state": "queued"})

    def done(self, errand: Errand, result: object) -> None:
        try:
            check_json(result, f"what {errand.name} returned")
        except Rejected as error:
            self._write(errand.id, {"state": "done", "unsaid": str(error.args[1])})
        else:
            self._write(errand.id, {"state": "done", "result": result})

    def failed(self, errand: Errand, error: BaseException) -> None:
        self._write(errand.id, {"state": "failed", "error": _told(error)})

    def read(self, job: str) -> dict[str, Any]:
        """Return the record of a job, empty where there is none."""
        with told(), explained(self._place):
            found: Any = self._service.client.get(self._key(job))
        record: dict[str, Any] = {} if found is None else json.loads(found)
        return record

    def cancel(self, job: str, ahead: float) -> bool:
        """Have a job not begin that is `ahead` seconds away; tell whether it will not."""
        record = json.dumps({"state": "cancelled"})
        kept = math.ceil(_CANCELLED_SECONDS + ahead)
        with told(), explained(self._place):
            client = self._service.client
            if client.set(self._key(job), record, nx=True, ex=kept):
                return True
        return self.read(job).get("state") == "cancelled"

    def _write(self, job: str, record: dict[str, Any], *, nx: bool = False) -> bool | None:
        """Write a record; tell whether it was, None where that is unknown."""
        text = json.dumps(record)

        def write() -> bool:
            with told(), explained(self._place):
                return bool(self._service.client.set(self._key(job), text, nx=nx, ex=_KEPT_SECONDS))

        written: bool | None = self._quietly(write)
        return written

    def _quietly(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except ServiceError as error:
            logger.warning("the state of a job is not known to others: %s", error.args[1])
            return None

    def _key(self, job: str) -> str:
        return f"{self._prefix}:job:{job}"


def _told(error: BaseException) -> dict[str, Any]:
    args: list[Any] | None = None
    # An exception may make anything of its `args`.
    with suppress(Exception):
        given = list(error.args)
        check_json(given, "what it raised")
        args = given
    kind = type(error)
    return {"type": f"{kind.__module__}:{kind.__qualname__}", "args": args, "text": text_of(error)}


def text_of(error: BaseException) -> str:
    """Return what an error says, even of one that cannot say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a class of the application's may raise anything
        return "<it cannot say what happened>"


def raised(record: dict[str, Any]) -> BaseException:
    """Return an error as a worker told of it: of its own class where it can be made again."""
    module, _, name = record["type"].partition(":")
    # Of a class that is not known here, or takes other arguments, what it says is left.
    with suppress(Exception):
        kind = operator.attrgetter(name)(importlib.import_module(module))
        if record["args"] is not None and issubclass(kind, BaseException):
            error: BaseException = kind(*record["args"])
            return error
    return RuntimeError(f"{name}: {record['text']}")
