"""What is asked of a job before it is taken."""

from __future__ import annotations

import asyncio
import functools
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, Mock

import pytest

from quorum.errors import Rejected
from quorum.services.tasks import jobs
from quorum.services.tasks.base import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def plain(*_: Any) -> None:
    """A job."""


class Shop:
    def send(self) -> None:
        """A method."""

    @staticmethod
    def close() -> None:
        """A static method."""

    def __call__(self) -> None:
        """An object that is called."""


class AsyncShop:
    async def __call__(self) -> None:
        """An object that does nothing when it is called."""


async def coroutine() -> None:
    """A coroutine function."""


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> Any:
    yield 1


@functools.wraps(plain)
def wrapper() -> None:
    """A function that a decorator made."""


def inner() -> Callable[[], None]:
    def nested() -> None:
        """A function of a function."""

    return nested


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (plain, "plain"),
        (functools.partial(plain, 1), "plain"),
        (functools.partial(functools.partial(Shop().send)), "Shop.send"),
        (Shop().send, "Shop.send"),
        (Shop.close, "Shop.close"),
        (Shop(), "Shop"),
        (Shop, "Shop"),
        (lambda: None, "lambda"),
        (inner(), "nested"),
        (wrapper, "plain"),
        (print, "print"),
        ("".upper, "str.upper"),
        (Mock(), "Mock"),
        (Mock(__qualname__=3), "Mock"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_job_is_called_by_the_name_of_its_function(
    function: Callable[..., Any], name: str
) -> None:
    """The name holds no address, so that it is the same in every process."""
    assert jobs.name_of(Job(function)) == name


def test_a_description_is_the_name() -> None:
    """On one line, of what length a line has."""
    assert jobs.name_of(Job(plain, description="the nightly\nFATAL: prune")) == (
        "the nightly FATAL: prune"
    )
    assert len(jobs.name_of(Job(plain, description="x" * 10_000))) == 200


@pytest.mark.parametrize(
    "function",
    [
        coroutine,
        generator,
        async_generator,
        functools.partial(coroutine),
        AsyncShop(),
        AsyncMock(),
    ],
    ids=["coroutine", "generator", "async generator", "partial", "object", "mock"],
)
def test_a_function_whose_call_does_nothing_is_refused(function: Callable[..., Any]) -> None:
    """The error says what to give."""
    with pytest.raises(Rejected, match=r"a call of which does nothing yet.*asyncio\.run"):
        jobs.check_function(function)
    with pytest.raises(Rejected, match=r"the callback .* call of which does nothing"):
        jobs.checked(Job(plain, callback=function))


@pytest.mark.parametrize("function", [plain, Shop(), Shop().send, Mock(), print, asyncio.run])
def test_a_function_that_does_its_work_is_taken(function: Callable[..., Any]) -> None:
    """Of whichever kind it is."""
    jobs.check_function(function)


@pytest.mark.parametrize("function", [None, "plain", 3])
def test_what_is_no_function_is_refused(function: Any) -> None:
    """Nothing could be called."""
    with pytest.raises(Rejected, match="a job is a function, not"):
        jobs.checked(Job(function))


def test_what_the_caller_does_to_its_arguments_later_changes_no_job() -> None:
    """The list and the dict are copied."""
    args, kwargs = [1], {"a": 1}
    job = jobs.checked(Job(plain, args, kwargs))
    args.append(2)
    kwargs["b"] = 2
    assert (job.args, job.kwargs) == ((1,), {"a": 1})


@pytest.mark.parametrize(("args", "kwargs"), [("ab", {}), (3, {}), ((), [1]), (None, {})], ids=str)
def test_arguments_that_are_no_list_or_dict_are_refused(args: Any, kwargs: Any) -> None:
    """The error names the job, not the arguments."""
    with pytest.raises(Rejected, match="plain: args are a list, and kwargs a dict"):
        jobs.checked(Job(plain, args, kwargs))


def test_a_moment_is_unix_seconds() -> None:
    """Or an aware datetime, of any zone."""
    assert jobs.unix_seconds(5) == 5.0
    assert jobs.unix_seconds(-5.5) == -5.5
    assert jobs.unix_seconds(datetime.fromtimestamp(5, UTC)) == 5.0
    assert jobs.unix_seconds(datetime.max.replace(tzinfo=UTC)) > 2.5e11


def test_a_moment_without_a_time_zone_is_refused() -> None:
    """Nobody could tell when it is; the error says how to give one."""
    with pytest.raises(
        Rejected, match=r"2030-01-01T00:00:00 has no time zone.*datetime.now\(UTC\)"
    ):
        jobs.unix_seconds(datetime(2030, 1, 1))  # noqa: DTZ001 - that is what is refused


@pytest.mark.parametrize(
    "moment",
    [math.nan, math.inf, -math.inf, 10**400, "5", "tomorrow", True, None, timedelta(1), 5j],
    ids=lambda each: f"{each!r:.20}",
)
def test_what_is_no_moment_is_refused(moment: Any) -> None:
    """Numbers that no clock ever shows, and what is no number."""
    with pytest.raises(Rejected, match="a moment is an aware datetime or Unix seconds"):
        jobs.unix_seconds(moment)


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [(None, None), (math.inf, None), (0, 0.0), (-5, 0.0), (-math.inf, 0.0), (2.5, 2.5)],
    ids=str,
)
def test_a_timeout_is_seconds(timeout: Any, seconds: float | None) -> None:
    """None and infinity are for ever, what is past is now."""
    assert jobs.seconds_to_wait(timeout) == seconds


@pytest.mark.parametrize("timeout", [math.nan, "5", True, 10**400], ids=lambda each: f"{each!r:.9}")
def test_a_timeout_that_is_no_number_is_refused(timeout: Any) -> None:
    """It would be found out only as the system waits."""
    with pytest.raises(Rejected, match="timeout is a number of seconds"):
        jobs.seconds_to_wait(timeout)


def test_no_two_jobs_have_one_id() -> None:
    """However quickly they are made."""
    assert len({jobs.new_id() for _ in range(10_000)}) == 10_000
