"""What a caller holds of a job on a broker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected, TimedOut, Unavailable, Unsupported
from quorum.services.tasks.dramatiq.records import raised
from quorum.services.tasks.jobs import seconds_to_wait
from quorum.services.tasks.running.handles import FINAL

if TYPE_CHECKING:
    from quorum.services.tasks.base import State
    from quorum.services.tasks.dramatiq.records import RedisRecords

_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.25


class DramatiqHandle:
    """A job that is on a broker; what became of it is told by Redis, where there is one.

    Without, only `id` and `name` are known: the rest raises Unsupported.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - the contract's own word
        name: str,
        moment: float | None,
        records: RedisRecords | None,
    ) -> None:
        self.id = id
        self.name = name
        self._moment = moment
        self._records = records
        self._last: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<job {self.name} {self.id}>"

    @property
    def state(self) -> State:
        found: State | None = self._read().get("state")
        if found is not None:
            return found
        waits = self._moment is not None and time.time() < self._moment
        return "scheduled" if waits else "queued"

    @property
    def exception(self) -> BaseException | None:
        error = self._read().get("error")
        return None if error is None else raised(error)

    def wait(self, timeout: float | None = None) -> bool:
        seconds = seconds_to_wait(timeout)
        end = None if seconds is None else time.monotonic() + seconds
        pause = _FIRST_PAUSE
        while self.state not in FINAL:
            left = _LONGEST_PAUSE if end is None else end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(_LONGEST_PAUSE, pause * 1.5)
        return True

    def result(self, timeout: float | None = None) -> Any:
        what = f"the job {self.name} ({self.id})"
        if not self.wait(timeout):
            raise TimedOut("tasks", f"{what} did not end within {timeout} s")
        record = self._read()
        if record["state"] == "cancelled":
            raise Unavailable("tasks", f"{what} was cancelled")
        if "error" in record:
            raise raised(record["error"])
        if "unsaid" in record:
            raise Rejected("tasks", record["unsaid"])
        return record["result"]

    def cancel(self) -> bool:
        ahead = 0.0 if self._moment is None else max(0.0, self._moment - time.time())
        return self._known().cancel(self.id, ahead)

    def _read(self) -> dict[str, Any]:
        if self._last.get("state") not in FINAL:
            # One that has ended says so for a day only.
            self._last = self._known().read(self.id) or self._last
        return self._last

    def _known(self) -> RedisRecords:
        if self._records is None:
            raise Unsupported(
                "tasks",
                f"what became of {self.name} is not known, since no Redis keeps it; set REDIS_URL",
            )
        return self._records
