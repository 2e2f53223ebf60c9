"""Faults of the broker, each really happening: what a call costs, and that it heals."""

from __future__ import annotations

import os
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import ServiceError, TimedOut, Unavailable
from tests.proxy import Proxy
from tests.servers import LOCAL, AmqpServer, RedisServer
from tests.services.amqp.children import fork, forks, status_of
from tests.services.tasks.dramatiq import work
from tests.waiting import BUDGET, RECOVERY, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quorum.services.tasks.dramatiq import DramatiqTasks

LOST = (Unavailable, TimedOut)
PASSWORD = "marker-secret"


class OwnRedis(RedisServer):
    """Redis with a password, to be stopped and started."""

    password = PASSWORD


class OwnAmqp(AmqpServer):
    """RabbitMQ with a password, to be stopped and started."""

    def __init__(self, folder: Any) -> None:
        super().__init__(folder)
        with self.configuration.open("a") as file:
            file.write(f"default_user = shop\ndefault_pass = {PASSWORD}\n")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("amqp", marks=pytest.mark.live("amqp")),
        pytest.param("redis", marks=pytest.mark.live("redis")),
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AmqpServer | RedisServer]:
    """Start each broker in turn, for the tests of this file alone."""
    kind = {"amqp": OwnAmqp, "redis": OwnRedis}[request.param]
    with kind(tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def proxy(server: AmqpServer | RedisServer) -> Iterator[Proxy]:
    """A proxy before it."""
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def shop(
    server: AmqpServer | RedisServer, connect: Callable[..., DramatiqTasks]
) -> Callable[..., DramatiqTasks]:
    """Build tasks on the broker, or on a proxy before it."""

    def build(port: int = server.port, **options: Any) -> DramatiqTasks:
        if isinstance(server, AmqpServer):
            return connect(amqp=f"amqp://shop:{PASSWORD}@{LOCAL}:{port}/", **options)
        return connect(redis=f"redis://:{PASSWORD}@{LOCAL}:{port}/0", **options)

    return build


def submitted(tasks: DramatiqTasks, *args: Any) -> bool:
    """Tell whether a job was accepted; it takes at most the time limit, and tells no secret."""
    start = time.monotonic()
    failure: ServiceError | None = None
    try:
        tasks.submit(work.note, *args)
    except LOST as error:
        failure = error
    assert time.monotonic() - start <= BUDGET
    if failure is not None:
        assert failure.service == "tasks"
        assert PASSWORD not in "".join(traceback.format_exception(failure))
    return failure is None


def numbers() -> set[int]:
    """Return which jobs ran."""
    return {args[0] for args, _ in work.calls}


def at_once(tasks: DramatiqTasks, threads: int = 8) -> list[bool]:
    """Submit from many threads at once."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda each: submitted(tasks, each), range(threads)))


def test_eight_threads_submit_over_one_broker(shop: Callable[..., DramatiqTasks], proxy: Proxy):
    """800 jobs: none is lost, none is run twice."""
    tasks = shop(proxy.port)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda each: submitted(tasks, each), range(800)))
    workers = shop().work()
    wait_until(lambda: workers.performer.done == 800, 60)
    assert sorted(args[0] for args, _ in work.calls) == list(range(800))


@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
@pytest.mark.parametrize("fault", ["stalled", "swallowing", "refused"])
def test_submitting_is_bounded_and_heals(
    shop: Callable[..., DramatiqTasks], proxy: Proxy, fault: str, known: bool
):
    """For 8 threads at once; afterwards the same object works, and nothing accepted is lost."""
    tasks = shop(proxy.port)
    if known:
        assert submitted(tasks, -1)
    setattr(proxy, fault, True)
    assert not any(at_once(tasks))
    proxy.heal()
    wait_until(lambda: submitted(tasks, 100), RECOVERY)
    shop().work()
    wait_until(lambda: 100 in numbers())
    assert -1 in numbers() or not known


def test_ping_tells_within_a_second(shop: Callable[..., DramatiqTasks], proxy: Proxy):
    """Whether jobs can be handed over."""
    tasks = shop(proxy.port)
    tasks.ping()
    proxy.stalled = True
    start = time.monotonic()
    with pytest.raises(LOST):
        tasks.ping()
    assert time.monotonic() - start < 3
    proxy.heal()
    wait_until(lambda: pings(tasks), RECOVERY)


def pings(tasks: DramatiqTasks) -> bool:
    """Tell whether it answers."""
    try:
        tasks.ping()
    except ServiceError:
        return False
    return True


def test_workers_and_submitters_outlive_a_restart(
    server: AmqpServer | RedisServer, shop: Callable[..., DramatiqTasks]
):
    """What was submitted before is kept; within 15 seconds of its end the same objects work."""
    tasks, worker = shop(), shop()
    worker.work()
    assert submitted(tasks, 0)
    wait_until(lambda: 0 in numbers())
    server.stop()
    assert not submitted(tasks, 1)
    server.start()
    start = time.monotonic()
    wait_until(lambda: submitted(tasks, 2), RECOVERY)
    wait_until(lambda: 2 in numbers(), start + RECOVERY - time.monotonic())


def test_jobs_that_wait_for_their_moment_outlive_a_restart(
    server: AmqpServer | RedisServer, shop: Callable[..., DramatiqTasks]
):
    """Also those that a worker holds already."""
    worker = shop()
    worker.work()
    worker.at(time.time() + 4, work.note, 7)
    time.sleep(1)
    server.restart()
    wait_until(lambda: 7 in numbers(), 20)


def test_workers_outlive_resets(shop: Callable[..., DramatiqTasks], proxy: Proxy):
    """Five times, while they work: each job runs."""
    workers = shop(proxy.port).work()
    tasks = shop()
    for each in range(5):
        for number in range(20):
            assert submitted(tasks, each * 20 + number)
        wait_until(lambda each=each: len(numbers()) > each * 20)
        proxy.reset()
    wait_until(lambda: numbers() == set(range(100)), 60)
    assert workers.performer.failed == 0


@pytest.mark.parametrize("fault", ["stalled", "refused"])
def test_workers_end_in_time_whatever_the_broker_does(
    shop: Callable[..., DramatiqTasks], proxy: Proxy, fault: str
):
    """Closing takes no longer than its limit and the time to say good-bye."""
    tasks = shop(proxy.port)
    tasks.work()
    assert submitted(tasks, 1)
    wait_until(lambda: 1 in numbers())
    setattr(proxy, fault, True)
    start = time.monotonic()
    assert tasks.close(1) == []
    assert time.monotonic() - start <= BUDGET + 4
    proxy.heal()


def test_a_job_that_fails_while_nothing_can_be_sent_is_not_lost(
    shop: Callable[..., DramatiqTasks], proxy: Proxy
):
    """It is tried again once the broker takes messages again."""
    tasks = shop(proxy.port, retries=3)
    tasks.work()
    tasks.submit(work.fail_twice, "one")
    wait_until(lambda: work.tries["one"] == 1)
    proxy.refused = True
    time.sleep(1)
    proxy.heal()
    wait_until(lambda: work.tries["one"] >= 3, 60)


@forks
def test_children_of_a_process_that_submitted_submit(shop: Callable[..., DramatiqTasks]):
    """3 children of 20 jobs beside one of the parent, before and after."""
    tasks = shop()
    assert submitted(tasks, -1)

    def submit() -> None:
        for number in range(20):
            tasks.submit(work.note, os.getpid(), number)
        tasks.close()

    children = [fork(submit) for _ in range(3)]
    assert [status_of(child) for child in children] == [0, 0, 0]
    assert submitted(tasks, -2)
    shop().work()
    wait_until(lambda: len(work.calls) == 62)


@forks
def test_a_child_of_a_worker_leaves_its_connections_alone(shop: Callable[..., DramatiqTasks]):
    """It closes what it inherited, and submits; the parent's workers go on."""
    tasks = shop()
    workers = tasks.work()
    assert submitted(tasks, 1)
    wait_until(lambda: 1 in numbers())

    def use_and_close() -> None:
        tasks.submit(work.note, 2)
        assert tasks.counts.done == 0
        assert tasks.close() == []

    assert status_of(fork(use_and_close)) == 0
    assert submitted(tasks, 3)
    wait_until(lambda: numbers() == {1, 2, 3})
    assert workers.performer.done == 3


def test_nothing_is_left_after_the_end(shop: Callable[..., DramatiqTasks]):
    """No thread of ours or of dramatiq's."""
    before = set(threading.enumerate())
    tasks = shop()
    tasks.work()
    assert submitted(tasks, 1)
    wait_until(lambda: 1 in numbers())
    tasks.close(5)
    wait_until(lambda: set(threading.enumerate()) <= before)


def test_a_schedule_that_is_due_while_the_broker_is_away_is_run_afterwards(
    shop: Callable[..., DramatiqTasks], proxy: Proxy
):
    """Once, however long that took."""
    tasks = shop(proxy.port, timeout=1)
    assert submitted(tasks, 1)
    schedule = tasks.every(2, work.note, 2)
    wait_until(lambda: tasks._timer.get().leader.leads)
    proxy.refused = True
    time.sleep(3)
    proxy.heal()
    tasks.work()
    wait_until(lambda: 2 in numbers(), 30)
    tasks.cancel(schedule)
