"""Who leads, of the processes on machines that share a Redis."""

from __future__ import annotations

import logging
import shutil
import signal
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from quorum.errors import Unavailable
from quorum.services.redis.server import ServerRedis
from quorum.services.tasks.leading.leader import Leader
from quorum.settings import RedisSettings
from tests.servers import RedisServer
from tests.services.tasks.standing import DEADLINE, Standing, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.live("redis")

SOON = 6.0
LEASE = 3.0


@pytest.fixture(scope="module")
def old_server(redis_server: RedisServer) -> RedisServer:
    """A Redis that many tests share, and that has been up for longer than a lease lasts."""
    with ExitStack() as stack:
        service = ServerRedis(RedisSettings(url=redis_server.url), prefix="shop")
        stack.callback(service.close)
        while service.client.info("server")["uptime_in_seconds"] < 9:
            time.sleep(0.1)
    return redis_server


@pytest.fixture
def processes(tmp_path: Path, old_server: RedisServer) -> Iterator[Standing]:
    """Processes that share the Redis that many tests share, and whose lease is short."""
    forget_who_led(old_server)
    with standing(tmp_path, old_server.url, expires_in=LEASE) as processes:
        yield processes


def forget_who_led(server: RedisServer) -> None:
    """Remove the lease of processes that an earlier test killed."""
    service = ServerRedis(RedisSettings(url=server.url), prefix="shop")
    service.client.delete("shop:lock:tasks-leader")
    service.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def own_processes(tmp_path: Path, own_server: RedisServer) -> Iterator[Standing]:
    """Processes that share the Redis of the test's own, and whose lease is short."""
    with standing(tmp_path, own_server.url, expires_in=LEASE) as processes:
        yield processes


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[Callable[[RedisServer], Leader]]:
    """Build a leader of this process."""
    with ExitStack() as stack:

        def build(server: RedisServer, timeout: float = 2.0) -> Leader:
            settings = RedisSettings(url=server.url, timeout=timeout)
            service = ServerRedis(settings, prefix="here")
            stack.callback(service.close)
            leader = Leader(
                "here", settings, lambda: service, folder=tmp_path / "locks", expires_in=LEASE
            )
            stack.callback(leader.stop)
            return leader

        yield build


class TestMachines:
    def test_one_of_many_leads(self, processes):
        """Of two processes on each of two machines."""
        for machine in ("one", "one", "two", "two"):
            processes.begin(machine=machine)
        leader = processes.wait()
        assert processes.watch(4) == [leader]

    def test_another_leads_when_it_is_killed(self, tmp_path, old_server):
        """Its lease, which is as long as it is by default, ends within 9 seconds."""
        forget_who_led(old_server)
        with standing(tmp_path, old_server.url) as processes:
            for machine in ("one", "two", "three"):
                processes.begin(machine=machine)
            leader = processes.wait()
            killed = processes.signal(leader, signal.SIGKILL)
            assert processes.wait(since=killed, within=DEADLINE) != leader
            assert len(processes.leaders()) == 2

    def test_another_leads_at_once_when_it_is_stopped(self, processes):
        """It gives its lease back."""
        for machine in ("one", "two"):
            processes.begin(machine=machine)
        leader = processes.wait()
        stopped = processes.signal(leader, signal.SIGTERM)
        assert processes.wait(since=stopped, within=SOON) != leader

    @pytest.mark.parametrize("machine", ["one", "two"])
    def test_one_that_wakes_knows_at_once_that_it_does_not_lead(self, processes, machine):
        """Paused until another leads, on its machine or on another, it never says that it does."""
        paused = processes.begin(machine="one")
        assert processes.wait() == paused
        processes.begin(machine=machine)
        at = processes.signal(paused, signal.SIGSTOP)
        other = processes.wait(since=at, but=paused, within=DEADLINE)
        processes.signal(paused, signal.SIGCONT)
        processes.watch(4)
        assert processes.leaders() == [paused, other]

    def test_a_child_goes_before_its_parent(self, processes):
        """It is so in the cluster as on one machine."""
        parent = processes.begin(
            "if os.fork() == 0:\n    leader = stand()\nwhile True:\n"
            "    tell(leader)\n    time.sleep(0.02)\n"
        )
        child = processes.wait(but=parent)
        processes.watch(1)
        assert processes.watch(3) == [child]


class TestFaults:
    def test_who_leads_stops_while_redis_is_away(self, own_server, own_processes):
        """When its lease can no longer be sure; and one leads again when Redis is back."""
        processes = own_processes
        for machine in ("one", "two"):
            processes.begin(machine=machine)
        processes.wait()
        own_server.stop()
        down = time.monotonic()
        processes.wait_until(lambda: time.monotonic() > down + LEASE + 0.5)
        assert processes.watch(2) == []
        own_server.start()
        back = time.monotonic()
        processes.wait(since=back, within=DEADLINE)
        leaders = processes.leaders(back)
        assert len(leaders) == 1
        assert processes.watch(2) == leaders
        warned = [line for line in processes.log.read_text().split("\n") if "WARNING" in line]
        assert len([line for line in warned if "schedules of shop wait" in line]) == 2

    def test_it_leads_on_when_redis_is_restarted_with_its_data(self, own_server, own_processes):
        """Nobody else does meanwhile."""
        processes = own_processes
        for machine in ("one", "two"):
            processes.begin(machine=machine)
        leader = processes.wait()
        own_server.restart()
        assert processes.watch(6) == [leader]

    def test_nobody_leads_twice_when_redis_loses_its_data(self, own_server, own_processes):
        """The next waits until whoever led must know."""
        processes = own_processes
        for machine in ("one", "two", "three"):
            processes.begin(machine=machine)
        processes.wait()
        for _ in range(2):
            own_server.kill()
            shutil.rmtree(own_server.folder / "appendonlydir")
            own_server.start()
            back = time.monotonic()
            processes.wait_until(lambda since=back: time.monotonic() > since + LEASE)
            processes.wait(within=SOON)
        before = len(processes.leaders())
        assert before <= 3
        assert processes.watch(2) == processes.leaders()[-1:]

    def test_nobody_leads_twice_while_redis_hangs(self, own_server, own_processes):
        """Paused and resumed, it has one leader before and one after."""
        processes = own_processes
        for machine in ("one", "two"):
            processes.begin(machine=machine)
        processes.wait()
        own_server.pause()
        paused = time.monotonic()
        processes.wait_until(lambda: time.monotonic() > paused + LEASE + 0.5)
        assert processes.watch(1) == []
        own_server.resume()
        processes.wait(within=DEADLINE)
        assert len(processes.leaders()) <= 2

    def test_a_hanging_redis_does_not_keep_a_stop(self, own_server, leader):
        """The lease ends by itself."""
        led = threading.Event()
        found = leader(own_server)
        found.start(led.set)
        assert led.wait(DEADLINE)
        own_server.pause()
        start = time.monotonic()
        found.stop()
        assert time.monotonic() - start < 6
        assert not found.leads
        own_server.resume()

    def test_it_is_logged_once_that_redis_is_away(self, own_server, leader, caplog):
        """Not every second, and without the password."""
        own_server.stop()
        found = leader(own_server)
        found.start(bool)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert not found.leads
            assert not found.settled
            time.sleep(0.1)
        warned = [each for each in caplog.records if each.levelno >= logging.WARNING]
        assert len([each for each in warned if each.name == "quorum.tasks"]) == 1


class TestPolling:
    def test_it_asks_redis_at_most_once_a_second(self, old_server, leader):
        """Also while it waits for another, and as long as it leads."""
        first, second = leader(old_server), leader(old_server)
        first.start(bool)
        second.start(bool)
        end = time.monotonic() + SOON
        while not (first.leads != second.leads and first.settled and second.settled):
            assert time.monotonic() < end
            time.sleep(0.02)
        with ExitStack() as stack:
            service = ServerRedis(RedisSettings(url=old_server.url), prefix="shop")
            stack.callback(service.close)
            before = service.client.info("commandstats")["cmdstat_eval"]["calls"]
            start = time.monotonic()
            while time.monotonic() < start + 5:
                assert first.leads != second.leads
                time.sleep(0.02)
            asked = service.client.info("commandstats")["cmdstat_eval"]["calls"] - before
        # The one asks each second, the other renews its lease of three seconds each second.
        assert 0 < asked <= 2 * (time.monotonic() - start + 1)


class TestRuns:
    def test_the_last_run_is_told_to_the_others(self, old_server, leader):
        """What one noted, the other knows; what never ran is not known."""
        first, second = leader(old_server), leader(old_server)
        now = time.time()
        first.note_run("prune", now)
        first.note_run("mail", now - 60)
        assert second.last_run("prune") == now
        assert second.last_run("mail") == now - 60
        assert second.last_run("other") is None

    def test_a_redis_that_is_away_is_an_error(self, own_server, leader):
        """Ours, with Redis's as its cause."""
        found = leader(own_server)
        own_server.stop()
        with pytest.raises(Unavailable) as raised:
            found.note_run("prune", time.time())
        assert raised.value.__cause__ is not None
        with pytest.raises(Unavailable):
            found.last_run("prune")
