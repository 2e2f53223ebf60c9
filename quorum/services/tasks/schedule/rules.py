"""When work is due: pure arithmetic of times."""

from __future__ import annotations

import inspect
import math
import time
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from quorum.errors import Rejected
from quorum.services.tasks.jobs import number

if TYPE_CHECKING:
    from collections.abc import Callable

_DAY = 86_400.0
_LONGEST = 100 * 366 * _DAY
_FIELDS = 5


class Rule(Protocol):
    """When a schedule is due. Times are seconds of the one clock that `calendar` names."""

    @property
    def text(self) -> str:
        """The rule in words: `every 60 seconds`, `0 3 * * * UTC`."""
        ...

    @property
    def calendar(self) -> bool:
        """Whether its times are Unix seconds; else seconds of the monotonic clock."""
        ...

    def first(self, now: float) -> float:
        """Return when it is due first, for a schedule that is made now."""
        ...

    def following(self, due: float, now: float) -> float:
        """Return when it is due next, after a run that was due at `due` and ended now."""
        ...


class Every:
    """Due by an interval from when it was due, first after one.

    A run that ends late by a whole interval or more is followed one interval after its end.
    Raises Rejected for seconds that are not above 0, or more than a century.
    """

    calendar = False

    def __init__(self, seconds: float) -> None:
        self._seconds = _checked(seconds)
        self.text = f"every {_in_words(seconds)}"

    def first(self, now: float) -> float:
        return now + self._seconds

    def following(self, due: float, now: float) -> float:
        due += self._seconds
        return due if due > now else now + self._seconds


class AfterEnd:
    """Due at once, and then so many seconds after each run's end. Raises as `Every`."""

    calendar = False

    def __init__(self, seconds: float) -> None:
        self._seconds = _checked(seconds)
        self.text = f"{_in_words(seconds)} after each run"

    def first(self, now: float) -> float:
        return now

    def following(self, due: float, now: float) -> float:  # noqa: ARG002 - a rule's signature
        return now + self._seconds


class Cron:
    """Due as a line of five fields says, in a time zone: as Debian's cron, by cronsim.

    A line that names hour and minute is made up for after the change to summer time leaves its
    time out, and is due once where it comes twice; one with `*` in either goes by the hours that
    pass. Raises Rejected for another line, one that is never due, and a zone that there is not.
    """

    calendar = True

    def __init__(self, line: str, timezone: str = "UTC") -> None:
        self._zone = _zone(timezone)
        if not isinstance(line, str) or len(line.split()) != _FIELDS:
            _refuse(f"a cron line has five fields, such as '0 3 * * *'; {line!r:.80} has not")
        self._line = " ".join(line.split())
        self.text = f"{self._line} {timezone}"
        try:
            CronSim(self._line, datetime.now(UTC))
        except CronSimError as error:
            reason = str(error).lower()
            raise _rejected(f"the cron line {self._line!r:.80} has a {reason} field") from error
        if self.first(time.time()) == math.inf:
            _refuse(f"the cron line {self._line!r:.80} is never due")

    def first(self, now: float) -> float:
        return self._after(now)

    def following(self, due: float, now: float) -> float:
        return self._after(_later(due, now))

    def _after(self, moment: float) -> float:
        for found in CronSim(self._line, datetime.fromtimestamp(moment, self._zone)):
            # Begun in the second of two equal hours, it gives times of the first.
            if found.timestamp() > moment:
                return found.timestamp()
        return math.inf


class Evaluated:
    """Due when a function says: it returns Unix seconds, and takes `now` (UTC) or nothing.

    Where it names a moment that is past, as with a negative offset, it is asked for later ones;
    where it never gets beyond, the schedule is due no more. Raises Rejected for no function.
    """

    calendar = True

    def __init__(self, evaluate: Callable[..., float], text: str) -> None:
        if not callable(evaluate):
            _refuse(f"a time is computed by a function, not by {evaluate!r:.80}")
        self._evaluate = evaluate
        self._takes_now = _takes_now(evaluate)
        self.text = text

    def first(self, now: float) -> float:
        due = self._at(now)
        return due if due >= now else self._after(now)

    def following(self, due: float, now: float) -> float:
        return self._after(_later(due, now))

    def _after(self, moment: float) -> float:
        ahead = 0.0
        while ahead < _LONGEST:
            due = self._at(moment + ahead)
            if due > moment:
                return due
            ahead = ahead * 2 or 1.0
        return math.inf

    def _at(self, now: float) -> float:
        moment = {"now": datetime.fromtimestamp(now, UTC)} if self._takes_now else {}
        due: Any = self._evaluate(**moment)
        if not _is_number(due):
            _refuse(f"{self.text}: a time is a number of Unix seconds, not {due!r:.80}")
        return float(due)


def _later(due: float, now: float) -> float:
    # A clock that was set back by days had been wrong: what was due by it counts no more.
    return now if due > now + _DAY else max(due, now)


def _zone(timezone: str) -> tzinfo:
    if timezone == "UTC":
        # A system without a table of zones knows this one.
        return UTC
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise _rejected(
            f"there is no time zone {timezone!r:.80}; it is named as Europe/Lisbon is, and "
            "`pip install tzdata` brings them all where the system has none"
        ) from error


def _takes_now(evaluate: Callable[..., float]) -> bool:
    try:
        inspect.signature(evaluate).bind(now=None)
    except TypeError:
        return False
    except ValueError:
        # Of a builtin that does not say what it takes.
        return False
    return True


def _is_number(value: object) -> bool:
    return number(value) is not None


def _checked(seconds: float) -> float:
    if not _is_number(seconds) or not 0 < seconds <= _LONGEST:
        _refuse(
            f"an interval is a number of seconds above 0, of a century at most, not {seconds!r:.80}"
        )
    return float(seconds)


def _in_words(seconds: float) -> str:
    return f"{seconds:.15g} second{'' if seconds == 1 else 's'}"


def _rejected(sentence: str) -> Rejected:
    return Rejected("tasks", sentence)


def _refuse(sentence: str) -> NoReturn:
    raise _rejected(sentence)
