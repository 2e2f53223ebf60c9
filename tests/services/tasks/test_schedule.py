"""When work is due."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from quorum.errors import Rejected
from quorum.services.tasks.schedule import evals
from quorum.services.tasks.schedule.rules import AfterEnd, Cron, Evaluated, Every
from quorum.services.tasks.schedule.starting import Starting

ZONES = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Santiago",
    "Asia/Kolkata",
]
"""Summer time of an hour, of half an hour, one that leaves out midnight, south and north, none."""


def unix(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def due_times(rule: Cron | Evaluated, start: float, count: int) -> list[float]:
    """Return when a rule is due, for one that is run at once whenever it is."""
    times = [rule.first(start)]
    while len(times) < count:
        times.append(rule.following(times[-1], times[-1] + 0.01))
    return times


def in_words(times: list[float], zone: str = "UTC") -> list[str]:
    return [datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%m-%d %H:%M %Z") for at in times]


class TestEvery:
    def test_it_is_due_first_after_the_interval(self):
        """A schedule that is made now runs one interval from now."""
        assert Every(60).first(1000.0) == 1060

    def test_it_does_not_drift(self):
        """The next is counted from when the run was due, however long it took."""
        assert Every(60).following(1060, 1061.5) == 1120
        assert Every(60).following(1060, 1119.9) == 1120

    @pytest.mark.parametrize("late", [1120.0, 1121.0, 5000.0])
    def test_missed_runs_become_one(self, late):
        """After a run that ended late by an interval or more, the next is an interval away."""
        assert Every(60).following(1060, late) == late + 60

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (60, "every 60 seconds"),
            (1, "every 1 second"),
            (0.5, "every 0.5 seconds"),
            (2_592_000.0, "every 2592000 seconds"),
        ],
    )
    def test_its_text_says_the_interval(self, seconds, text):
        """The rule in words."""
        assert Every(seconds).text == text

    @pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, 1e18, "60", None, True])
    @pytest.mark.parametrize("rule", [Every, AfterEnd])
    def test_another_interval_is_refused(self, rule, seconds):
        """Seconds are a number above 0, and of this world."""
        with pytest.raises(Rejected, match="above 0"):
            rule(seconds)


class TestAfterEnd:
    def test_it_is_due_at_once(self):
        """A schedule that is made now runs now."""
        assert AfterEnd(5).first(1000.0) == 1000

    def test_the_pause_begins_with_the_end_of_a_run(self):
        """The next is so many seconds after the end, whenever the run was due."""
        assert AfterEnd(5).following(1000.0, 1003.5) == 1008.5

    def test_its_text_says_so(self):
        """The rule in words."""
        assert AfterEnd(2.5).text == "2.5 seconds after each run"

    def test_neither_interval_follows_the_calendar(self):
        """Intervals are of the monotonic clock, lines and functions of the wall clock."""
        calendars = [Every(1), AfterEnd(1), Cron("* * * * *"), Evaluated(evals.daily_eval, "daily")]
        assert [rule.calendar for rule in calendars] == [False, False, True, True]


class TestCron:
    def test_a_line_is_read_as_crontab_has_it(self):
        """Minute, hour, day of the month, month, weekday."""
        times = due_times(Cron("30 4 1,15 * *"), unix("2026-01-10 00:00"), 3)
        assert in_words(times) == ["01-15 04:30 UTC", "02-01 04:30 UTC", "02-15 04:30 UTC"]

    @pytest.mark.parametrize("sunday", ["0", "7", "SUN", "sun"])
    def test_the_week_begins_on_sunday(self, sunday):
        """Weekday 0 is Sunday, and so is 7; never Monday, as Python counts."""
        due = Cron(f"0 0 * * {sunday}").first(unix("2026-11-18 12:00"))
        assert due == unix("2026-11-22 00:00")
        assert datetime.fromtimestamp(due, UTC).strftime("%A") == "Sunday"

    def test_a_day_and_a_weekday_are_either(self):
        """Where both are named, a day of either is one."""
        times = due_times(Cron("0 0 13 * 5"), unix("2026-11-01 00:00"), 3)
        assert in_words(times) == ["11-06 00:00 UTC", "11-13 00:00 UTC", "11-20 00:00 UTC"]

    def test_months_without_the_day_are_left_out(self):
        """The 31st is in seven months of the year."""
        times = due_times(Cron("0 0 31 * *"), unix("2026-01-01 00:00"), 7)
        assert [at[:2] for at in in_words(times)] == ["01", "03", "05", "07", "08", "10", "12"]

    def test_the_29th_of_february_is_in_leap_years(self):
        """It is due every four years, and is passed over in 2100."""
        line = Cron("0 0 29 2 *")
        assert line.first(unix("2026-01-01 00:00")) == unix("2028-02-29 00:00")
        assert line.first(unix("2096-03-01 00:00")) == unix("2104-02-29 00:00")

    def test_the_year_ends(self):
        """From the last minute of a year it is the first of the next."""
        assert Cron("* * * * *").first(unix("2026-12-31 23:59")) == unix("2027-01-01 00:00")

    def test_a_time_that_is_now_is_over(self):
        """At the very moment, and a fraction of a second after it, the next is meant."""
        due = unix("2026-01-01 03:00")
        for now in (due, due + 0.001, due + 0.999):
            assert Cron("0 3 * * *").following(due, now) == due + 86_400
        assert Cron("0 3 * * *").first(due - 0.001) == due

    def test_missed_times_are_passed_over(self):
        """After a run that ended late, the next is the first that is not past."""
        due = unix("2026-01-01 03:00")
        assert Cron("0 * * * *").following(due, due + 4 * 3600 + 1) == due + 5 * 3600

    def test_a_clock_that_is_set_back_repeats_nothing(self):
        """What was run is not due again when the same hours come once more."""
        due = unix("2026-01-01 12:00")
        assert Cron("0 * * * *").following(due, due - 7200) == due + 3600

    def test_a_clock_that_was_wrong_by_days_is_forgotten(self):
        """Set right again, it does not keep the schedule waiting for the day that it had been."""
        due, right = unix("2036-01-01 03:00"), unix("2026-01-01 12:00")
        assert Cron("0 3 * * *").following(due, right) == unix("2026-01-02 03:00")

    def test_a_clock_that_is_set_forward_makes_one_run_of_many(self):
        """The next after it is in the future."""
        due = unix("2026-01-01 03:00")
        assert Cron("* * * * *").following(due, due + 86_400) == due + 86_460

    def test_its_text_says_line_and_zone(self):
        """The rule in words, with single blanks."""
        assert Cron(" 0  3 * *\t* ").text == "0 3 * * * UTC"
        assert Cron("0 3 * * MON", "Europe/Lisbon").text == "0 3 * * MON Europe/Lisbon"

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "* * * *",
            "0 0 3 * * *",
            "60 * * * *",
            "0 24 * * *",
            "0 0 0 * *",
            "0 0 32 * *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "0 0 * * MO",
            "5-1 * * * *",
            "*/0 * * * *",
            "-1 * * * *",
            "0 0 30 2 *",
            "0 0 */31 * 0#5",
            "@daily",
            "0 3 * * * root",
            "٣ * * * *",
            None,
            3,
            b"* * * * *",
        ],
    )
    def test_another_line_is_refused(self, line):
        """The error says what is wrong with it."""
        with pytest.raises(Rejected, match="cron line"):
            Cron(line)

    @pytest.mark.parametrize(
        "zone",
        ["Mars/Olympus", "", "Europe", "../etc/passwd", "/etc/localtime", "UTC+2", "a\0b", None, 1],
    )
    def test_another_zone_is_refused(self, zone):
        """The error names it, and says how zones are named."""
        with pytest.raises(Rejected, match="Europe/Lisbon"):
            Cron("0 3 * * *", zone)


class TestSummerTime:
    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize("line", ["30 2 * * *", "15 0 * * *", "45 1 * * *", "0 3 * * *"])
    def test_a_daily_time_is_due_once_a_day(self, zone, line):
        """Each day of two years has one run, at that time, or just after where it is left out."""
        times = due_times(Cron(line, zone), unix("2025-01-01", zone), 730)
        local = [datetime.fromtimestamp(at, ZoneInfo(zone)) for at in times]
        days = [datetime(2025, 1, 1, tzinfo=UTC).date() + timedelta(days=n) for n in range(730)]
        assert [at.date() for at in local] == days
        minute, hour = map(int, line.split()[:2])
        moved = [at for at in local if (at.hour, at.minute) != (hour, minute)]
        assert len(moved) <= 2
        assert all(0 < (at.hour - hour) * 60 + at.minute - minute <= 60 for at in moved)

    @pytest.mark.parametrize(
        ("zone", "day", "next_day"),
        [
            ("Europe/Berlin", "03-29 03:00 CEST", "03-30 02:30 CEST"),
            ("America/New_York", "03-08 03:00 EDT", "03-09 02:30 EDT"),
        ],
    )
    def test_a_time_that_is_left_out_is_made_up_for(self, zone, day, next_day):
        """Half past two on the day when two o'clock is three o'clock is due at three."""
        month, number = int(day[:2]), int(day[3:5])
        start = datetime(2026, month, number, tzinfo=ZoneInfo(zone)).timestamp()
        assert in_words(due_times(Cron("30 2 * * *", zone), start, 2), zone) == [day, next_day]

    def test_a_midnight_that_is_left_out_is_made_up_for(self):
        """Where the day begins at one o'clock, what is due at midnight is due then."""
        times = due_times(Cron("0 0 * * *", "Africa/Cairo"), unix("2026-04-23 12:00"), 2)
        assert in_words(times, "Africa/Cairo") == ["04-24 01:00 EEST", "04-25 00:00 EEST"]

    def test_two_times_that_are_left_out_become_one(self):
        """Both would be made up for at the same moment."""
        times = due_times(Cron("0,30 2 * * *", "Europe/Berlin"), unix("2026-03-28 12:00"), 3)
        assert in_words(times, "Europe/Berlin") == [
            "03-29 03:00 CEST",
            "03-30 02:00 CEST",
            "03-30 02:30 CEST",
        ]

    @pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
    def test_a_time_that_comes_twice_is_due_once(self, zone):
        """Also for one who asks within the second of the two equal hours."""
        line = Cron("45 1,2 * * *", zone)
        for month in (4, 10, 11):
            start = datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).timestamp()
            asked = [line.first(start + minutes * 60) for minutes in range(0, 10 * 1440, 7)]
            assert asked == sorted(asked)
            assert len({in_words([at], zone)[0][:11] for at in asked}) == len(set(asked))

    def test_it_is_never_due_in_the_past(self):
        """Asked in the second of two equal hours, it does not answer with a time of the first."""
        second = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1).timestamp()
        due = Cron("45 2 * * *", "Europe/Berlin").first(second)
        assert in_words([due], "Europe/Berlin") == ["10-26 02:45 CET"]

    def test_an_hourly_line_goes_by_the_hours_that_pass(self):
        """A day of 25 hours has 25 runs, one of 23 has 23."""
        line = Cron("30 * * * *", "Europe/Berlin")
        for day, hours in (("2026-10-25", 25), ("2026-03-29", 23)):
            times = due_times(line, unix(day, "Europe/Berlin"), hours + 1)
            assert [b - a for a, b in itertools.pairwise(times)] == [3600.0] * hours
            assert in_words(times, "Europe/Berlin")[-1][3:11] == f"{int(day[-2:]) + 1} 00:30"

    def test_utc_needs_no_table_of_zones(self, monkeypatch):
        """A system without one has at least the default."""
        monkeypatch.setattr("quorum.services.tasks.schedule.rules.ZoneInfo", None)
        assert Cron("0 3 * * *").first(unix("2026-01-01 00:00")) == unix("2026-01-01 03:00")


def test_what_began_at_a_moment_goes_on_by_its_rule():
    """After a rest it is not due at once again."""
    rule = Starting(0.0, Cron("0 3 * * *"))
    assert rule.first(1000.0) == 0.0
    rule.following(0.0, 1000.0)
    assert rule.first(2000.0) == 3 * 3600.0


def test_processes_agree_on_a_first_time_that_is_past():
    """It is a time of the calendar, not the moment at which each was asked."""
    rules = [Starting(50.0, Cron("0 3 * * *")) for _ in range(2)]
    assert [rule.first(now) for rule, now in zip(rules, (100.0, 101.0), strict=True)] == [50.0] * 2
