"""When the timed work of flask-quorum is due."""

from __future__ import annotations

import itertools
import math
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from quorum.errors import Rejected
from quorum.services.tasks.schedule import evals
from quorum.services.tasks.schedule.rules import Evaluated
from tests.services.tasks.test_schedule import due_times, in_words, unix


class TestEvals:
    NOW = unix("2026-11-18 10:20:30")  # a Wednesday

    @pytest.mark.parametrize(
        ("due", "text"),
        [
            (evals.seconds_eval(5, now=NOW), "2026-11-18 10:20:35"),
            (evals.minutes_eval(now=NOW), "2026-11-18 10:21"),
            (evals.minutes_eval(15, now=NOW), "2026-11-18 10:21:15"),
            (evals.hourly_eval(now=NOW), "2026-11-18 11:00"),
            (evals.hourly_eval(600, now=NOW), "2026-11-18 11:10"),
            (evals.daily_eval(now=NOW), "2026-11-19 00:00"),
            (evals.daily_eval(3 * 3600, now=NOW), "2026-11-19 03:00"),
            (evals.daily_eval(-3600, now=NOW), "2026-11-18 23:00"),
            (evals.weekly_eval(now=NOW), "2026-11-20 00:00"),
            (evals.weekly_eval(2, now=NOW), "2026-11-25 00:00"),
            (evals.weekly_eval(2, 11 * 3600, now=NOW), "2026-11-18 11:00"),
            (evals.weekly_eval(1, now=NOW), "2026-11-24 00:00"),
            (evals.monthly_eval(now=NOW), "2026-12-01 00:00"),
            (evals.monthly_eval(18, now=NOW), "2026-12-18 00:00"),
            (evals.monthly_eval(18, 11 * 3600, now=NOW), "2026-11-18 11:00"),
            (evals.monthly_eval(19, now=NOW), "2026-11-19 00:00"),
        ],
    )
    def test_they_compute_as_flask_quorum_did(self, due, text):
        """The start of the next unit and the offset, in UTC; the day of this week or month."""
        assert due == unix(text)

    @pytest.mark.parametrize(
        "now",
        [
            NOW,
            datetime.fromtimestamp(NOW, UTC),
            datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None),
            datetime.fromtimestamp(NOW, ZoneInfo("Asia/Tokyo")),
        ],
        ids=["seconds", "utc", "naive", "tokyo"],
    )
    def test_now_is_utc(self, now):
        """It is Unix seconds, a moment of any zone, or one of UTC that names none."""
        assert evals.daily_eval(now=now) == unix("2026-11-19")

    def test_now_is_the_clocks_unless_given(self):
        """Without `now` they are ahead of the clock by at most one unit."""
        before = time.time()
        assert before - 1 < evals.seconds_eval() <= time.time()
        assert before < evals.minutes_eval() <= time.time() + 60
        assert before < evals.weekly_eval() <= time.time() + 7 * 86_400

    @pytest.mark.parametrize(
        ("now", "due"),
        [
            ("2026-01-31 00:00:01", "2026-02-28"),
            ("2028-02-01", "2028-02-29"),
            ("2026-04-30 12:00", "2026-05-31"),
            ("2026-12-31 12:00", "2027-01-31"),
        ],
    )
    def test_a_month_without_the_day_has_its_last(self, now, due):
        """Monthly work of the 31st runs in every month."""
        assert evals.monthly_eval(31, now=unix(now)) == unix(due)

    @pytest.mark.parametrize("evaluate", [evals.hourly_eval, evals.daily_eval, evals.monthly_eval])
    def test_the_year_ends(self, evaluate):
        """From its last second it is the first of the next."""
        assert evaluate(now=unix("2026-12-31 23:59:59")) == unix("2027-01-01")

    @pytest.mark.parametrize("day", [0, 32, -1, 1.5, "1", True, None])
    def test_another_day_of_the_month_is_refused(self, day):
        """It is 1 to 31."""
        with pytest.raises(Rejected, match="from 1 to 31"):
            evals.monthly_eval(day)

    @pytest.mark.parametrize("day", [7, -1, "MON", True, None])
    def test_another_weekday_is_refused(self, day):
        """It is 0, Monday, to 6: a 7 for Sunday would run on Monday."""
        with pytest.raises(Rejected, match="from 0 to 6"):
            evals.weekly_eval(day)


class TestEvaluated:
    START = unix("2026-11-18 10:20:30")

    @pytest.mark.parametrize(
        ("evaluate", "arguments", "step"),
        [
            (evals.minutes_eval, {}, 60),
            (evals.minutes_eval, {"offset": 30}, 60),
            (evals.minutes_eval, {"offset": -30}, 60),
            (evals.hourly_eval, {"offset": -600}, 3600),
            (evals.daily_eval, {"offset": 3 * 3600}, 86_400),
            (evals.daily_eval, {"offset": -3600}, 86_400),
            (evals.weekly_eval, {"weekday": 2}, 7 * 86_400),
            (evals.weekly_eval, {"weekday": 2, "offset": -3600}, 7 * 86_400),
            (evals.seconds_eval, {"offset": 10}, 10),
        ],
    )
    def test_it_is_due_once_a_unit(self, evaluate, arguments, step):
        """It neither bursts nor leaves a unit out, whatever the offset."""
        rule = Evaluated(lambda now: evaluate(**arguments, now=now), "…")
        times = due_times(rule, self.START, 30)
        assert times[0] >= self.START
        assert [b - a for a, b in itertools.pairwise(times)] == [step] * 29

    def test_every_month_has_one_run(self):
        """Also where the day is the last and the offset goes into the month before."""
        for arguments in ({"monthday": 31}, {"monthday": 1, "offset": -60}, {"offset": 7200}):
            rule = Evaluated(lambda now, of=arguments: evals.monthly_eval(**of, now=now), "…")
            months = [at[:2] for at in in_words(due_times(rule, self.START, 24))]
            assert len(months) == 24
            assert all(a != b for a, b in itertools.pairwise(months))
            assert months[:12] == months[12:]

    def test_work_without_an_offset_in_seconds_does_not_spin(self):
        """The predecessor's default is due at once for ever; here, in the next second."""
        rule = Evaluated(evals.seconds_eval, "seconds")
        assert rule.following(self.START, self.START + 0.5) == self.START + 1

    def test_the_function_is_given_a_moment(self):
        """`now` is aware, in UTC."""
        asked = []
        Evaluated(lambda now: asked.append(now) or 2e9, "…").first(self.START)
        assert asked == [datetime.fromtimestamp(self.START, UTC)]

    def test_the_function_may_take_nothing(self):
        """One that looks at the clock by itself is called without `now`."""
        assert Evaluated(lambda: 2e9, "…").first(self.START) == 2e9

    def test_a_time_that_never_comes_is_not_waited_for(self):
        """A function that always names the past is due no more, and is not asked for ever."""
        assert Evaluated(lambda: 1e9, "…").following(self.START, self.START) == math.inf

    @pytest.mark.parametrize("answer", [None, "soon", math.nan, True])
    def test_another_answer_is_refused(self, answer):
        """A time is a number."""
        with pytest.raises(Rejected, match="Unix seconds"):
            Evaluated(lambda: answer, "…").first(self.START)

    def test_no_function_is_refused(self):
        """A number does not compute a time."""
        with pytest.raises(Rejected, match="function"):
            Evaluated(60, "…")
