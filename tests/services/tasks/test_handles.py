"""What a caller holds of a job on threads: its end, its cancel, its moment; and a full queue."""

from __future__ import annotations

import functools
import math
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Rejected, Unavailable
from quorum.services.tasks.base import TaskCounts
from tests.services.tasks.gates import DEADLINE, Gate, threads_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.tasks.threads import ThreadTasks

    Build = Callable[..., ThreadTasks]


def double(number: int) -> int:
    return 2 * number


def test_cancel_is_true_exactly_when_the_job_does_not_run(threads: Build) -> None:
    """Whoever wins, both sides say the same."""
    tasks, ran = threads(threads=4, limit=100_000), set()
    handles = [tasks.submit(ran.add, each) for each in range(5000)]
    with ThreadPoolExecutor(4) as executor:
        cancelled = list(executor.map(lambda each: each.cancel(), handles))
    for each in handles:
        assert each.wait(DEADLINE)
    assert ran == {number for number, each in enumerate(cancelled) if not each}
    states = {True: "cancelled", False: "done"}
    assert [each.state for each in handles] == [states[each] for each in cancelled]


def test_a_cancelled_job_wakes_those_who_wait(tasks: ThreadTasks) -> None:
    """Its result says what happened; a second cancel is too late."""
    handle = tasks.at(time.time() + 3600, double, 4)
    assert handle.state == "scheduled"
    waiting: list[bool] = []
    waiter = threading.Thread(target=lambda: waiting.append(handle.wait(DEADLINE)))
    waiter.start()
    assert handle.cancel()
    waiter.join(DEADLINE)
    assert waiting == [True]
    assert not handle.cancel()
    assert (handle.state, handle.exception) == ("cancelled", None)
    with pytest.raises(Unavailable, match="was cancelled"):
        handle.result()


def test_many_wait_for_one_job(tasks: ThreadTasks) -> None:
    """All of them see its end."""
    gate = Gate()
    handle = tasks.submit(gate)
    assert not handle.wait(0)
    with ThreadPoolExecutor(50) as executor:
        results = [executor.submit(handle.result, DEADLINE) for _ in range(50)]
        gate.open()
        assert [each.result() for each in results] == ["passed"] * 50


@pytest.mark.parametrize(
    "moment",
    [0, -1e18, datetime(1970, 1, 1, tzinfo=UTC), time.time],
    ids=["epoch", "before", "aware", "now"],
)
def test_a_past_moment_is_now(tasks: ThreadTasks, moment: Any) -> None:
    """The job runs at once."""
    moment = moment() if callable(moment) else moment
    assert tasks.at(moment, double, 4).result(DEADLINE) == 8


@pytest.mark.parametrize(
    "moment",
    [1e11, 1e15, 1e300, datetime.max.replace(tzinfo=UTC)],
    ids=["far", "further", "never", "max"],
)
def test_a_moment_years_ahead_waits(tasks: ThreadTasks, moment: Any) -> None:
    """It harms nobody meanwhile."""
    handle = tasks.at(moment, double, 4)
    assert tasks.at(datetime.now(UTC) + timedelta(seconds=0.05), double, 4).result(DEADLINE) == 8
    assert handle.state == "scheduled"
    assert handle.cancel()


def test_a_moment_without_a_time_zone_is_refused(tasks: ThreadTasks) -> None:
    """As is what is no moment; nothing is taken, nothing started."""
    for moment in (datetime(2030, 1, 1), math.nan, "5"):  # noqa: DTZ001 - that is what is refused
        with pytest.raises(Rejected):
            tasks.at(moment, double, 4)  # type: ignore[arg-type]
    assert threads_of(tasks) == []


def test_what_is_said_to_be_big_is_waited_for_as_long_as_can_be(tasks: ThreadTasks) -> None:
    """No timeout is too long for the system."""
    gate = Gate()
    handle = tasks.submit(gate)
    opening = threading.Timer(0.05, gate.open)
    opening.start()
    assert handle.wait(1e300)
    opening.join()


def test_a_full_queue_refuses(threads: Build) -> None:
    """The error says how many wait and what to do; it is counted, and room is made by a cancel."""
    tasks, gate = threads(threads=1, limit=2), Gate()
    tasks.submit(gate)
    assert gate.begun.wait(DEADLINE)
    waiting = [tasks.submit(double, 1), tasks.at(time.time() + 3600, double, 2)]
    for submit in (tasks.submit, functools.partial(tasks.at, time.time() + 60)):
        with pytest.raises(
            Unavailable, match=r"double was refused, since 2 jobs wait .*TASKS_LIMIT"
        ):
            submit(double, 3)
    with pytest.raises(Unavailable, match="TASKS_LIMIT"):
        tasks.ping()
    assert tasks.counts == TaskCounts(queued=2, running=1, dropped=2)
    assert waiting[1].cancel()
    tasks.submit(double, 4)
    gate.open()


def test_memory_is_flat_while_a_million_jobs_are_offered_to_a_full_queue(threads: Build) -> None:
    """A refused job leaves nothing behind, and so does one that is cancelled."""
    tasks, gate = threads(threads=1, limit=100), Gate()
    tasks.submit(gate)
    assert gate.begun.wait(DEADLINE)
    for _ in range(99):
        tasks.submit(double, 1)
    tracemalloc.start()
    try:
        for _ in range(5000):
            tasks.submit(double, 1).cancel()
            tasks.at(time.time() + 3600, double, 1).cancel()
        cancelled, _ = tracemalloc.get_traced_memory()
        tasks.submit(double, 1)
        for _ in range(5000):
            with pytest.raises(Unavailable):
                tasks.submit(double, 1)
        refused, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cancelled < 1_000_000
    assert refused < 1_000_000
    gate.open()
