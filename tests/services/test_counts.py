"""What a service counts."""

from __future__ import annotations

import threading

import pytest

from quorum.services.counts import Counts


def test_a_call_is_counted_with_its_seconds() -> None:
    """A block that ends well is a call and no failure."""
    counts = Counts()
    with counts.call():
        threading.Event().wait(0.01)
    assert (counts.calls, counts.failures) == (1, 0)
    assert counts.seconds >= 0.01


def test_a_raising_call_is_a_failure() -> None:
    """What a block raises goes through, and counts."""
    counts = Counts()
    with pytest.raises(KeyboardInterrupt), counts.call():
        raise KeyboardInterrupt
    assert (counts.calls, counts.failures) == (1, 1)


def test_threads_lose_no_call() -> None:
    """Calls of several threads at once are all counted."""
    counts = Counts()

    def call() -> None:
        for _ in range(500):
            with counts.call():
                pass

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.calls == 4000


def test_the_counts_are_shown() -> None:
    """The repr is for people."""
    assert repr(Counts()) == "Counts(calls=0, failures=0, seconds=0.000)"
