"""A lock has one holder, is renewed while it is held, and is never lost in silence."""

from __future__ import annotations

import gc
import os
import threading
import time
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Rejected, ServiceError, TimedOut, Unavailable
from tests.waiting import at_most, wait_until

if TYPE_CHECKING:
    from tests.proxy import Proxy
    from tests.servers import RedisServer

forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
live = pytest.mark.live("redis")

KEY = "shop:lock:job"


def renewing() -> int:
    """Count the threads that renew."""
    return sum(each.name == "quorum-redis-lock" for each in threading.enumerate())


def during(lock: Any, work: Any) -> None:
    """Do something while the lock is held."""
    with lock:
        work()


# One at a time


def test_a_lock_is_held_in_its_block(redis: Any) -> None:
    """And neither before nor after."""
    lock = redis.lock("job")
    assert not lock.held
    with lock as held:
        assert held is lock
        assert lock.held
        lock.check()
    assert not lock.held


def test_its_key_is_that_of_the_application(redis: Any) -> None:
    """So that applications and instances on one server do not meet; it is gone afterwards."""
    with redis.lock("job", expires_in=10):
        assert 0 < redis.client.pttl(KEY) <= 10_000
    assert redis.client.exists(KEY) == 0


def test_another_that_gives_up_at_once_does_not_get_it(redis: Any) -> None:
    """`wait=0` asks once."""
    with redis.lock("job"), at_most(1), pytest.raises(TimedOut, match="held by others"):
        redis.lock("job", wait=0).__enter__()


def test_another_waits_for_it(redis: Any) -> None:
    """For as long as it was told to, and gets it when it is free."""
    with redis.lock("job"), at_most(2), pytest.raises(TimedOut, match=r"for all of 0\.3 s"):
        redis.lock("job", wait=0.3).__enter__()
    entered = threading.Event()

    def wait() -> None:
        with redis.lock("job"):
            entered.set()

    thread = threading.Thread(target=wait)
    with redis.lock("job"):
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(2)
    thread.join(5)


def test_locks_of_other_names_are_free(redis: Any) -> None:
    """A lock is by name."""
    with redis.lock("job"), redis.lock("other", wait=0):
        pass


def test_threads_take_turns(redis: Any) -> None:
    """Eight threads add 10 each by reading and writing; nothing is lost."""
    redis.client.set("n", 0)

    def add() -> None:
        for _ in range(10):
            with redis.lock("job", wait=30):
                redis.client.set("n", int(redis.client.get("n")) + 1)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert redis.client.get("n") == b"80"


def test_threads_may_share_one_object(redis: Any) -> None:
    """It is then a lock between them too."""
    redis.client.set("n", 0)
    lock = redis.lock("job", wait=30)

    def add() -> None:
        for _ in range(10):
            with lock:
                redis.client.set("n", int(redis.client.get("n")) + 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert redis.client.get("n") == b"40"


def test_it_is_not_taken_twice_by_one_thread(redis: Any) -> None:
    """It is not re-entrant, and says so by its time-out."""
    lock = redis.lock("job", wait=0.1)
    with lock, at_most(1), pytest.raises(TimedOut):
        lock.__enter__()


def test_it_may_be_taken_again(redis: Any) -> None:
    """One object, one block after the other."""
    lock = redis.lock("job", wait=0)
    for _ in range(3):
        with lock:
            assert lock.held


def test_a_block_that_raises_gives_it_back(redis: Any) -> None:
    """Its own error is the one that is seen."""
    lock = redis.lock("job")

    def fail() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        during(lock, fail)
    assert redis.client.exists(KEY) == 0


# Renewal


def test_it_is_renewed_while_it_is_held(redis: Any) -> None:
    """For longer than it would last by itself."""
    with redis.lock("job", expires_in=1) as lock:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert lock.held
            assert redis.client.exists(KEY)
            time.sleep(0.1)
        lock.check()


def test_nothing_is_renewed_after_the_block(redis: Any) -> None:
    """Its thread ends."""
    with redis.lock("job"):
        assert renewing()
    wait_until(lambda: not renewing())


def test_a_lock_that_was_dropped_is_not_renewed(redis: Any) -> None:
    """Nobody could give it back, so it ends by itself."""
    lock = redis.lock("job", expires_in=1)
    lock.__enter__()
    del lock
    gc.collect()
    wait_until(lambda: not redis.client.exists(KEY))
    wait_until(lambda: not renewing())


def test_the_lock_of_a_holder_that_died_is_free_after_its_time(redis: Any) -> None:
    """Its key expires."""
    redis.client.set(KEY, "somebody", px=300)
    with at_most(2), redis.lock("job"):
        pass


# Loss


@pytest.mark.parametrize("taken", [False, True])
def test_a_lock_that_was_lost_is_told_by_the_end_of_the_block(redis: Any, taken: bool) -> None:
    """Whether somebody else has it or nobody."""

    def lose() -> None:
        redis.client.delete(KEY)
        if taken:
            redis.client.set(KEY, "somebody")

    with pytest.raises(Unavailable, match="was lost before the end"):
        during(redis.lock("job"), lose)


def test_what_another_holds_is_not_given_back(redis: Any) -> None:
    """Losing it does not take it from its new holder."""
    with suppress(Unavailable):
        during(redis.lock("job"), lambda: redis.client.set(KEY, "somebody"))
    assert redis.client.get(KEY) == b"somebody"


def test_a_lock_that_was_lost_is_told_by_check(redis: Any) -> None:
    """It asks, and from then on `held` knows."""
    lock = redis.lock("job")

    def lose() -> None:
        redis.client.delete(KEY)
        assert lock.held
        with pytest.raises(Unavailable, match="was lost"):
            lock.check()
        assert not lock.held

    with pytest.raises(Unavailable, match="was lost"):
        during(lock, lose)


def test_a_lock_that_was_lost_is_told_by_held(redis: Any) -> None:
    """As soon as the renewal learns of it."""
    lock = redis.lock("job", expires_in=1)

    def lose() -> None:
        redis.client.delete(KEY)
        wait_until(lambda: not lock.held, 2)

    with pytest.raises(Unavailable, match="was lost"):
        during(lock, lose)


def test_the_error_of_a_block_wins_over_that_of_its_end(redis: Any) -> None:
    """The loss is not hidden from the reader of `held`, and the cause comes first."""

    def lose_and_fail() -> None:
        redis.client.delete(KEY)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        during(redis.lock("job"), lose_and_fail)


def test_a_lock_that_is_not_held_cannot_be_checked(redis: Any) -> None:
    """Before the block and after it."""
    lock = redis.lock("job")
    for _ in range(2):
        with pytest.raises(Unavailable, match="is not held"):
            lock.check()
        during(lock, lock.check)


def test_a_service_that_is_closed_in_the_block_is_told(redis: Any) -> None:
    """The lock could not be given back."""
    with pytest.raises(Unavailable, match="closed"):
        during(redis.lock("job"), redis.close)


# Forks


@forks
def test_a_forked_child_does_not_hold_it(redis: Any, in_child: Any) -> None:
    """It neither renews it nor gives it back, and the end of the block says so."""
    lock = redis.lock("job", expires_in=1)
    parent = os.getpid()

    def work() -> None:
        if os.getpid() == parent:
            assert in_child(child) == 0
            assert redis.client.exists(KEY)
            assert lock.held

    def child() -> None:
        assert not lock.held
        with pytest.raises(Unavailable, match="not held by this process"):
            lock.check()
        with pytest.raises(Unavailable, match="the process that took it"):
            lock.__exit__(None, None, None)
        assert not renewing()

    during(lock, work)


@forks
def test_a_forked_child_can_wait_for_it(redis: Any, in_child: Any) -> None:
    """Also with the object that the parent holds at that moment."""
    lock = redis.lock("job", wait=0.2)

    def child() -> None:
        with pytest.raises(TimedOut):
            lock.__enter__()

    during(lock, lambda: [0].index(in_child(child)))


# Servers that fail


@live
def test_a_server_that_lost_its_data_is_told(own_server: RedisServer, connect: Any) -> None:
    """It was restarted, and another could have been in the block."""
    service = connect(own_server)

    def lose() -> None:
        own_server.kill()
        for path in own_server.folder.rglob("*.aof"):
            path.unlink()
        for path in own_server.folder.rglob("*.rdb"):
            path.unlink()
        for path in own_server.folder.rglob("*.manifest"):
            path.unlink()
        own_server.start()

    with pytest.raises(Unavailable, match="was lost"):
        during(service.lock("job"), lose)


@live
def test_a_server_that_kept_its_data_kept_the_lock(own_server: RedisServer, connect: Any) -> None:
    """A restart within its time is no loss."""
    service = connect(own_server)
    with service.lock("job") as lock:
        own_server.restart()
        assert lock.held
        lock.check()


@live
def test_a_server_that_is_away_at_the_end_is_told(own_server: RedisServer, connect: Any) -> None:
    """Whether it was held to the end cannot be known then."""
    service = connect(own_server)
    with at_most(6), pytest.raises(Unavailable, match="could not be given back"):
        during(service.lock("job"), own_server.stop)


@live
def test_a_server_that_stood_still_for_too_long_is_told(
    own_server: RedisServer, connect: Any
) -> None:
    """By `held` while it does, and by the end of the block when it is back."""
    service = connect(own_server, timeout=0.5)
    lock = service.lock("job", expires_in=1)

    def stand_still() -> None:
        own_server.pause()
        try:
            wait_until(lambda: not lock.held, 3)
            # Its own clock began a moment later than ours.
            stood = time.monotonic() + 0.3
            wait_until(lambda: time.monotonic() > stood)
        finally:
            own_server.resume()

    with pytest.raises(Unavailable, match="was lost"):
        during(lock, stand_still)


@live
def test_a_lock_whose_taking_was_not_answered_is_asked_for_again(
    proxy: Proxy, connect: Any, redis_server: RedisServer
) -> None:
    """It was taken, the answer was lost: the holder is known by its token."""
    connect(redis_server).client.flushall()
    service = connect(proxy)
    service.ping()
    proxy.lost = 1
    with service.lock("job") as lock:
        assert lock.held


@live
def test_a_server_that_cannot_be_asked_is_not_waited_for_too_long(
    own_server: RedisServer, connect: Any
) -> None:
    """Taking it ends with its wait, in our own error."""
    service = connect(own_server, timeout=0.5)
    own_server.stop()
    with at_most(2), pytest.raises(Unavailable, match="cannot be reached"):
        service.lock("job").__enter__()
    own_server.start()
    own_server.pause()
    try:
        with at_most(2), pytest.raises(TimedOut, match="did not answer in time"):
            service.lock("job").__enter__()
    finally:
        own_server.resume()


@live
def test_a_pool_that_is_used_up_does_not_lose_the_lock(
    connect: Any, redis_server: RedisServer
) -> None:
    """It is renewed over a connection of its own."""
    service = connect(redis_server, "?max_connections=2", timeout=3)
    with service.lock("job", expires_in=1) as lock:
        threads = [
            threading.Thread(target=lambda: service.client.blpop("none", timeout=1.5))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                assert lock.held
                thread.join(0.1)


@live
def test_two_holders_never_both_end_in_silence(
    proxy: Proxy, connect: Any, redis_server: RedisServer
) -> None:
    """Holders behind a line that stalls at odd times: whoever was overtaken is told."""
    connect(redis_server).client.flushall()
    direct = connect(redis_server)
    ended = threading.Event()
    spans: list[tuple[float, float]] = []

    def hold(service: Any) -> None:
        while not ended.is_set():
            with suppress(ServiceError):
                with service.lock("job", expires_in=1, wait=5):
                    start = time.monotonic()
                    ended.wait(0.15)
                    end = time.monotonic()
                spans.append((start, end))

    def disturb() -> None:
        for _ in range(2):
            proxy.stalled = True
            ended.wait(1.3)
            proxy.heal()
            ended.wait(0.3)
        ended.set()

    behind = connect(proxy, timeout=0.4)
    threads = [threading.Thread(target=hold, args=(each,)) for each in (direct, behind, behind)]
    threads.append(threading.Thread(target=disturb))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    spans.sort()
    assert len(spans) > 5
    for (_, end), (start, _) in pairwise(spans):
        assert end <= start


# Bad input


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_lock_needs_a_name(redis: Any, name: Any) -> None:
    """Empty, or no text."""
    with pytest.raises(Rejected, match="needs a name"):
        redis.lock(name)


@pytest.mark.parametrize("expires_in", [0, -1, 0.5, float("inf"), float("nan")])
def test_a_lock_must_expire(redis: Any, expires_in: float) -> None:
    """After a second or more, or a short pause would lose it; and not never."""
    with pytest.raises(Rejected, match="must expire after a second or more"):
        redis.lock("job", expires_in=expires_in)


@pytest.mark.parametrize("wait", [-1, float("nan")])
def test_a_wait_cannot_be_negative(redis: Any, wait: float) -> None:
    """0 gives up at once."""
    with pytest.raises(Rejected, match="0 s or more"):
        redis.lock("job", wait=wait)


@pytest.mark.parametrize("times", [{"expires_in": "5"}, {"wait": "1"}, {"wait": True}])
def test_a_time_that_is_no_number_is_refused(redis: Any, times: Any) -> None:
    """Before anything is asked of the server."""
    with pytest.raises(Rejected, match="is a number of seconds"):
        redis.lock("job", **times)


def test_a_lock_that_cannot_be_renewed_is_given_back(
    redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the process may have no more threads; it can be taken again then."""
    lock = redis.lock("job")

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="thread"):
            lock.__enter__()
    with lock:
        assert lock.held
