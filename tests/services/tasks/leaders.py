"""Leaders of this process, without Redis."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from quorum.services.tasks.leading.leader import Leader
from quorum.settings import RedisSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOON = 6.0


def check_that_it_stays(condition: Callable[[], object]) -> None:
    """Fail if a condition ends to hold before all have asked once more who leads."""
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert condition()
        time.sleep(0.02)


class Leaders:
    """Leaders of this process, stopped at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.begun: list[Leader] = []

    def __call__(self, name: str = "shop", changed: Callable[[], None] = bool) -> Leader:
        leader = Leader(name, RedisSettings(), no_redis, folder=self.folder)
        leader.start(changed)
        self.begun.append(leader)
        return leader


def no_redis() -> None:
    raise AssertionError("Redis is not configured")


@contextmanager
def leading(folder: Path) -> Iterator[Leaders]:
    """Stop, at the end of the block, the leaders that were begun in it."""
    leaders = Leaders(folder)
    try:
        yield leaders
    finally:
        for leader in leaders.begun:
            leader.stop()
