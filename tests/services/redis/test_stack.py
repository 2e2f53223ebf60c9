"""The queue of a pool: last in, first out, and in turn to those who wait."""

from __future__ import annotations

import threading
from queue import Empty, Full

import pytest

from quorum.services.redis.stack import FairStack
from tests.waiting import at_most, wait_until


def test_what_was_put_last_comes_first() -> None:
    """So that few connections are used, and those often."""
    stack = FairStack(3)
    for item in "abc":
        stack.put_nowait(item)
    assert [stack.get(0), stack.get(0), stack.get_nowait()] == ["c", "b", "a"]


def test_nothing_to_be_had_is_empty() -> None:
    """At once, or after the time that was given."""
    stack = FairStack(3)
    with pytest.raises(Empty):
        stack.get_nowait()
    with at_most(1), pytest.raises(Empty):
        stack.get(0.05)


def test_one_too_many_is_full() -> None:
    """It keeps as many as it was made for."""
    stack = FairStack(1)
    stack.put_nowait("a")
    with pytest.raises(Full):
        stack.put_nowait("b")


def test_who_waits_longest_is_given_first() -> None:
    """Though another that comes by asks in that moment."""
    stack = FairStack(3)
    order: list[tuple[int, str]] = []

    def wait(own: int) -> None:
        order.append((own, stack.get(5)))

    threads = []
    for own in range(3):
        threads.append(threading.Thread(target=wait, args=(own,)))
        threads[-1].start()
        wait_until(lambda: len(stack._waiters) == len(threads))
    for own, item in enumerate("abc"):
        stack.put_nowait(item)
        with pytest.raises(Empty):
            stack.get_nowait()
        wait_until(lambda own=own: len(order) == own + 1)
    for thread in threads:
        thread.join()
    assert order == [(0, "a"), (1, "b"), (2, "c")]


def test_who_gave_up_is_given_nothing() -> None:
    """What comes later is kept for others."""
    stack = FairStack(3)
    with pytest.raises(Empty):
        stack.get(0.01)
    stack.put_nowait("a")
    assert stack.get_nowait() == "a"


@pytest.mark.parametrize("given", [False, True])
def test_an_interrupted_wait_loses_nothing(monkeypatch: pytest.MonkeyPatch, given: bool) -> None:
    """Also if it was given something in that moment."""
    stack = FairStack(3)

    def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
        if given:
            stack.put_nowait("a")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Event, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stack.get(5)
    if not given:
        stack.put_nowait("a")
    assert stack.get_nowait() == "a"
