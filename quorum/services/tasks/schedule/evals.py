"""When the timed work of flask-quorum is due: in UTC, from the start of a unit of time."""

from __future__ import annotations

import calendar
import time
from datetime import UTC, datetime, timedelta

from quorum.errors import Rejected

_LAST_MONTH = 12


def seconds_eval(offset: float = 0, now: datetime | float | None = None) -> int:
    """Return the Unix seconds of `offset` seconds from now.

    As in all of these, `now` is UTC where it names no zone, and the clock's if not given.
    """
    return _unix(_utc(now), offset)


def minutes_eval(offset: float = 0, now: datetime | float | None = None) -> int:
    """Return the Unix seconds of `offset` seconds after the next minute's start."""
    minute = _utc(now).replace(second=0, microsecond=0)
    return _unix(minute + timedelta(minutes=1), offset)


def hourly_eval(offset: float = 0, now: datetime | float | None = None) -> int:
    """Return the Unix seconds of `offset` seconds after the next hour's start, in UTC."""
    hour = _utc(now).replace(minute=0, second=0, microsecond=0)
    return _unix(hour + timedelta(hours=1), offset)


def daily_eval(offset: float = 0, now: datetime | float | None = None) -> int:
    """Return the Unix seconds of `offset` seconds after the next day's start, in UTC."""
    return _unix(_day_of(_utc(now)) + timedelta(days=1), offset)


def weekly_eval(weekday: int = 4, offset: float = 0, now: datetime | float | None = None) -> int:
    """Return the Unix seconds of `offset` seconds after the start of a weekday, in UTC.

    Monday is 0. It is that of this week, or of the next if it is past. Raises Rejected for a
    weekday that is not 0 to 6.
    """
    _check_whole(weekday, "weekday", range(7))
    moment = _utc(now)
    day = _day_of(moment) + timedelta(days=(weekday - moment.weekday()) % 7)
    past = day + timedelta(seconds=offset) < moment
    return _unix(day + timedelta(days=7 if past else 0), offset)


def monthly_eval(monthday: int = 1, offset: float = 0, now: datetime | float | None = None) -> int:
    """Return the Unix seconds of `offset` seconds after the start of a day of the month, in UTC.

    It is that of this month, or of the next if it is past; in a month without such a day, the
    last. Raises Rejected for a day that is not 1 to 31.
    """
    _check_whole(monthday, "monthday", range(1, 32))
    moment = _utc(now)
    day = _monthday(moment, monthday)
    if day.date() < moment.date() or day + timedelta(seconds=offset) < moment:
        day = _monthday(_next_month(moment), monthday)
    return _unix(day, offset)


def _utc(now: datetime | float | None) -> datetime:
    if isinstance(now, datetime):
        return now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)
    return datetime.fromtimestamp(time.time() if now is None else now, UTC)


def _unix(moment: datetime, offset: float) -> int:
    return calendar.timegm((moment + timedelta(seconds=offset)).utctimetuple())


def _day_of(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _monthday(moment: datetime, monthday: int) -> datetime:
    last = calendar.monthrange(moment.year, moment.month)[1]
    return _day_of(moment).replace(day=min(monthday, last))


def _next_month(moment: datetime) -> datetime:
    first = moment.replace(day=1)
    if moment.month == _LAST_MONTH:
        return first.replace(year=moment.year + 1, month=1)
    return first.replace(month=moment.month + 1)


def _check_whole(value: int, name: str, allowed: range) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise Rejected(
            "tasks",
            f"a {name} is a whole number from {allowed[0]} to {allowed[-1]}, not {value!r:.80}",
        )
