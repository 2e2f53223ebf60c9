"""What the cluster ran last, for whoever leads next."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from quorum.errors import Unavailable
from quorum.forks import ForkSafeLock
from quorum.services.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.redis.base import Redis
    from quorum.services.tasks.leading.place import Place

_DAY = 86_400
# More than a year, for what is due once in one.
_KEPT = 400 * _DAY


class Runs(Protocol):
    """The due time (Unix seconds) of each schedule that was run last."""

    def last(self, schedule: str) -> float | None:
        """Return that of a schedule, None if it is not known. Raises Unavailable."""
        ...

    def note(self, schedule: str, due: float) -> None:
        """Remember that of a schedule. Raises Unavailable."""
        ...


class FileRuns:
    """Kept in a file of the place; where that cannot be used, nothing is known."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = ForkSafeLock()

    def last(self, schedule: str) -> float | None:
        with self._lock, suppress(OSError):
            return _sane(self._read().get(schedule))
        return None

    def note(self, schedule: str, due: float) -> None:
        # Who leads alone, since there is no place, has warned of it.
        with self._lock, suppress(OSError):
            oldest = time.time() - _KEPT
            kept = {name: at for name, at in self._read().items() if at > oldest} | {schedule: due}
            with self._place.opened(), replacing(self._path, durable=False) as file:
                file.write(json.dumps(kept).encode())

    @property
    def _path(self) -> Any:
        return self._place.folder / f"{self._place.key}.runs"

    def _read(self) -> dict[str, float]:
        with self._place.opened():
            try:
                found = json.loads(self._path.read_bytes())
            except (FileNotFoundError, ValueError):
                found = None
        runs = found.items() if isinstance(found, dict) else ()
        return {name: at for name, at in runs if isinstance(at, int | float)}


class RedisRuns:
    """Kept in a hash of Redis."""

    def __init__(self, redis: Callable[[], Redis], name: str) -> None:
        self._redis = redis
        self._key = f"{name}:tasks:runs"

    def last(self, schedule: str) -> float | None:
        try:
            found: Any = self._redis().client.hget(self._key, schedule)
            return None if found is None else _sane(float(found))
        # The errors are redis-py's, which is imported in its own room.
        except Exception as error:
            raise Unavailable("tasks", f"Redis did not tell when {schedule} ran last") from error

    def note(self, schedule: str, due: float) -> None:
        try:
            with self._redis().client.pipeline() as pipeline:
                pipeline.hset(self._key, schedule, str(due))
                pipeline.expire(self._key, _KEPT)
                pipeline.execute()
        except Exception as error:
            raise Unavailable("tasks", f"Redis did not keep that {schedule} runs") from error


def _sane(due: object) -> float | None:
    # A clock that was wrong by days had noted what is not yet.
    if isinstance(due, int | float) and due <= time.time() + _DAY:
        return float(due)
    return None
