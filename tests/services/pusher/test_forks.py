"""A pusher in a process that forks: the twin, and the row P3 of the driver."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from quorum.services.pusher.memory import MemoryPusher
from quorum.settings import PusherSettings

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def in_child(work: Callable[[], object]) -> int:
    """Begin something in a forked child, which ends with 0 if it is good; return its id."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            threading.Timer(20, os._exit, [2]).start()
            work()
            status = 0
        finally:
            os._exit(status)
    return process


def status(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_p3_a_child_opens_its_own_connection(connect, kept):
    """Parent and child do not speak on one connection, and neither loses its own."""
    pusher = connect(kept.port)
    pusher.ping()

    assert status(in_child(lambda: [pusher.ping(), pusher.close()])) == 0
    pusher.ping()

    assert kept.connections == 2


def test_p3_forks_while_threads_send(connect, kept):
    """Whatever the threads of the parent held, each child sends, and no answer is mixed up."""
    pusher, ended = connect(kept.port), threading.Event()

    def send_on() -> None:
        while not ended.is_set():
            pusher.trigger("a", "new", 1)

    def work() -> None:
        for _ in range(20):
            pusher.trigger("a", "new", 1)
            assert pusher.channels() == ()

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(send_on) for _ in range(3)]
        statuses = [status(each) for each in [in_child(work) for _ in range(4)]]
        ended.set()
        for each in running:
            each.result(10)

    assert statuses == [0] * 4


def test_a_child_works_whatever_the_parent_held(twin):
    """A fork while threads trigger and follow leaves a child that does both."""
    ended, follower = threading.Event(), twin.follow("a")

    def trigger() -> None:
        while not ended.is_set():
            twin.trigger("a", "new", 1)

    def work() -> None:
        assert follower.closed
        assert list(follower) == []
        with twin.follow("a", timeout=5) as own:
            twin.trigger("a", "of the child", 1)
            assert next(iter(own)).name == "of the child"
            assert twin.channels() == ("a",)
        twin.close()

    threads = [threading.Thread(target=trigger) for _ in range(3)]
    threads.append(threading.Thread(target=lambda: list(follower)))
    for thread in threads:
        thread.start()
    statuses = [status(in_child(work)) for _ in range(10)]
    ended.set()
    follower.close()
    for thread in threads:
        thread.join(5)

    assert statuses == [0] * 10


def test_children_have_the_keys_of_the_parent():
    """What one worker signs, another one checks."""
    twin = MemoryPusher(PusherSettings())
    headers, body = twin.webhook([])

    def check() -> None:
        twin.validate_webhook(headers["X-Pusher-Key"], headers["X-Pusher-Signature"], body)

    assert status(in_child(check)) == 0
