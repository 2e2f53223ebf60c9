"""Measuring contenders side by side: shuffled rounds of short batches, in CPU time."""

from __future__ import annotations

import random
import time
from contextlib import nullcontext
from dataclasses import dataclass
from statistics import median
from timeit import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

_BATCH_SECONDS = 0.001


@dataclass(frozen=True)
class Contender:
    """Something to be timed: a call, and the context it is made in, which is not timed."""

    name: str
    call: Callable[[], object]
    context: Callable[[], AbstractContextManager[object]] = nullcontext


class Results:
    """The seconds of one call of each contender, a figure a round."""

    def __init__(self, seconds: dict[str, list[float]]) -> None:
        self._seconds = seconds

    def seconds(self, name: str) -> float:
        """Return the median of a contender's rounds."""
        return median(self._seconds[name])

    def ratio(self, name: str, to: str) -> float:
        """Return the median of the rounds' ratios: a slow moment of the machine slows both."""
        pairs = zip(self._seconds[name], self._seconds[to], strict=True)
        return median(one / other for one, other in pairs)


def measure(contenders: Sequence[Contender], rounds: int) -> Results:
    """Time every contender once a round, in another order each round."""
    # One call that is not timed starts each batch: few requests fit in one, and the first is cold.
    timers = {each.name: Timer(each.call, each.call, time.process_time) for each in contenders}
    numbers = {each.name: _calls_of_a_batch(each, timers[each.name]) for each in contenders}
    seconds: dict[str, list[float]] = {each.name: [] for each in contenders}
    for _ in range(rounds):
        for each in random.sample(contenders, len(contenders)):
            with each.context():
                batch = timers[each.name].timeit(numbers[each.name])
            seconds[each.name].append(batch / numbers[each.name])
    return Results(seconds)


def _calls_of_a_batch(contender: Contender, timer: Timer) -> int:
    with contender.context():
        timer.timeit(100)
        return max(1, round(_BATCH_SECONDS / (timer.timeit(100) / 100)))


def at_most(claim: str, value: float, target: float, unit: str = "") -> str:
    """Return the verdict on a figure that should be small."""
    return _verdict(claim, value, f"at most {target:g}{unit}", unit, met=value <= target)


def at_least(claim: str, value: float, target: float, unit: str = "") -> str:
    """Return the verdict on a figure that should be large."""
    return _verdict(claim, value, f"at least {target:g}{unit}", unit, met=value >= target)


def _verdict(claim: str, value: float, target: str, unit: str, *, met: bool) -> str:
    return f"{'MET   ' if met else 'MISSED'} {claim}: {value:.3g}{unit} (target: {target})"
