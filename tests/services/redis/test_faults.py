"""The Redis rows of the fault table, R1 to R10, each against a server that really fails."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import MaxConnectionsError, RedisError, WatchError
from redis.exceptions import TimeoutError as Late

from quorum.errors import Rejected, ServiceError, TimedOut, Unavailable
from quorum.services.redis import pool as pools
from tests.servers import RedisServer
from tests.waiting import BUDGET, RECOVERY, at_most, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.proxy import Proxy

pytestmark = pytest.mark.live("redis")
forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

FAULTS = (Lost, Late)


@pytest.fixture
def bare(connect: Any, redis_server: RedisServer) -> Any:
    """A client that sees the server without the faults, and starts with nothing in it."""
    client = connect(redis_server).client
    client.flushall()
    return client


def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every connection that is not in use count as idle for long."""
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)


# R1 · half-open


def test_r1_a_half_open_connection_costs_six_seconds_by_default(proxy: Proxy, connect: Any) -> None:
    """With the default of REDIS_TIMEOUT a command ends, and says that it was too late."""
    client = connect(proxy).client
    client.set("a", 1)
    proxy.stalled = True
    with at_most(BUDGET), pytest.raises(Late):
        client.get("a")


def test_r1_a_fresh_connection_that_is_half_open_is_timed_out(proxy: Proxy, connect: Any) -> None:
    """Accepted, and then silent: the handshake is part of the call."""
    proxy.stalled = True
    with at_most(1.4), pytest.raises(Late):
        connect(proxy, timeout=1).client.get("a")


def test_r1_an_idle_connection_that_is_half_open_is_replaced(
    proxy: Proxy, connect: Any, monkeypatch: pytest.MonkeyPatch, bare: Any
) -> None:
    """It is asked first and does not answer; the command is sent once, over a new one."""
    client = connect(proxy, timeout=3).client
    client.set("n", 0)
    proxy.swallowing = True
    idle(monkeypatch)
    healing = threading.Timer(0.3, proxy.heal)
    healing.start()
    with at_most(4):
        assert client.incr("n") == 1
    healing.join()
    assert bare.get("n") == b"1"


def test_r1_half_open_idle_connections_cost_no_caller_more(
    proxy: Proxy, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight idle connections, all dead, and no new one to be had: each caller waits once."""
    client = connect(proxy, timeout=1).client
    run_in_threads(8, lambda _: client.blpop("none", timeout=0.3))
    proxy.stalled = True
    idle(monkeypatch)
    for _ in range(3):
        with at_most(1.5), pytest.raises(Late):
            client.get("a")


def test_r1_after_a_timeout_the_others_are_asked_before_they_are_used(
    proxy: Proxy, connect: Any
) -> None:
    """One that was lost casts doubt on all that are idle; none of them loses a command."""
    client = connect(proxy, timeout=1).client
    run_in_threads(4, lambda _: client.blpop("none", timeout=0.3))
    proxy.swallowing = True
    with pytest.raises(Late):
        client.get("a")
    proxy.heal()
    for _ in range(8):
        with at_most(2):
            assert client.set("a", 1) is True


def test_r1_the_same_client_works_after_a_stall(proxy: Proxy, connect: Any) -> None:
    """At once, when the server answers again."""
    client = connect(proxy, timeout=1).client
    proxy.stalled = True
    with pytest.raises(Late):
        client.get("a")
    proxy.heal()
    with at_most(RECOVERY):
        assert client.set("a", 1) is True


@pytest.mark.parametrize("work", ["command", "pipeline", "transaction", "script", "large"])
def test_r1_a_trickled_answer_does_not_lengthen_the_deadline(
    trickling: Any, connect: Any, work: str
) -> None:
    """20 bytes a second are no progress: the whole call has one deadline."""
    client = connect(trickling, timeout=1, query="?protocol=2").client
    calls = {
        "command": lambda: client.get("a"),
        "pipeline": lambda: client.pipeline(transaction=False).get("a").get("b").execute(),
        "transaction": lambda: client.pipeline().get("a").get("b").execute(),
        "script": lambda: client.eval("return 1", 0),
        "large": lambda: client.set("a", b"x" * 2**22),
    }
    with at_most(1.4), pytest.raises(Late):
        calls[work]()


def test_r1_a_trickled_handshake_does_not_lengthen_the_deadline(
    trickling: Any, connect: Any
) -> None:
    """The connection, the handshake and the command share one deadline."""
    with at_most(1.4), pytest.raises(Late):
        connect(trickling, timeout=1).client.get("a")


def test_r1_a_stalled_large_value_is_timed_out(proxy: Proxy, connect: Any) -> None:
    """What the server does not take ends one time limit after the last of it that went out."""
    client = connect(proxy, timeout=1).client
    client.ping()
    proxy.stalled = True
    with at_most(5), pytest.raises(Late):
        client.set("a", b"x" * 2**26)


def test_r1_a_large_value_on_a_slow_line_arrives(proxy: Proxy, connect: Any, bare: Any) -> None:
    """More than the time limit in all, and never that long without 64 KiB: it is not cut."""
    value = b"x" * 2**20
    bare.set("large", value)
    proxy.latency = 0.05
    start = time.monotonic()
    assert connect(proxy, timeout=1).client.get("large") == value
    assert time.monotonic() - start > 0.6


def test_r1_a_name_that_is_not_resolved_in_time_is_timed_out(
    connect: Any, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> None:
    """The look-up of the name is part of the call, though the system sets it no limit."""
    import socket  # noqa: PLC0415 - to be replaced

    found, ended = socket.getaddrinfo, threading.Event()

    def slow(host: Any, *args: Any, **options: Any) -> Any:
        if host == "redis.example" and not options.get("flags"):
            ended.wait(10)
        return found(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    service = connect(redis_server, url="redis://redis.example:6379", timeout=1)
    with at_most(1.5), pytest.raises(Late):
        service.client.get("a")
    ended.set()


# R2 · the answer is lost


@pytest.mark.parametrize("lost", [1, 3])
def test_r2_a_lost_answer_is_an_error_and_the_command_ran_once(
    proxy: Proxy, connect: Any, bare: Any, lost: int
) -> None:
    """INCR is done, its answer is lost: nothing is sent again."""
    client = connect(proxy).client
    client.set("n", 0)
    proxy.lost = lost
    with pytest.raises(Lost):
        client.incr("n")
    assert bare.get("n") == b"1"


def test_r2_an_answer_that_never_comes_is_an_error_and_the_command_ran_once(
    proxy: Proxy, connect: Any, bare: Any
) -> None:
    """The same for a time-out."""
    client = connect(proxy, timeout=1).client
    client.set("n", 0)
    proxy.swallowing = True
    with pytest.raises(Late):
        client.incr("n")
    assert bare.get("n") == b"1"


@pytest.mark.parametrize("transaction", [True, False])
def test_r2_a_pipeline_whose_answer_is_lost_ran_once(
    proxy: Proxy, connect: Any, bare: Any, transaction: bool
) -> None:
    """With and without MULTI."""
    client = connect(proxy).client
    client.set("n", 0)
    proxy.lost = 1
    with client.pipeline(transaction=transaction) as pipe, pytest.raises(Lost):
        pipe.incr("n").rpush("list", 1).execute()
    assert bare.get("n") == b"1"
    assert bare.llen("list") == 1


def test_r2_a_transaction_whose_answer_is_lost_is_not_run_again(
    proxy: Proxy, connect: Any, bare: Any
) -> None:
    """redis-py would call it a WatchError, and `transaction()` would do it twice."""
    client = connect(proxy).client
    client.set("n", 0)
    runs = []

    def add(pipe: Any) -> None:
        runs.append(int(pipe.get("n")))
        pipe.multi()
        pipe.incr("n")
        proxy.lost = 1

    with pytest.raises(Lost):
        client.transaction(add, "n")
    assert (bare.get("n"), runs) == (b"1", [0])


def test_r2_a_command_of_a_watching_pipeline_is_not_run_again(
    proxy: Proxy, connect: Any, bare: Any
) -> None:
    """What is sent before MULTI is done at once, and an error is no WatchError."""
    client = connect(proxy).client
    bare.set("n", 0)
    with client.pipeline() as pipe:
        pipe.watch("n")
        proxy.lost = 1
        with pytest.raises(Lost):
            pipe.incr("n")
    assert bare.get("n") == b"1"


@pytest.mark.parametrize("option", ["retry_on_timeout=true", "retry_on_error=x", "timeout=60"])
def test_r2_no_option_of_the_url_makes_it_repeat(
    proxy: Proxy, connect: Any, bare: Any, option: str
) -> None:
    """Options that would lengthen or repeat a call are not taken."""
    client = connect(proxy, f"?{option}&socket_timeout=60", timeout=1).client
    client.set("n", 0)
    proxy.swallowing = True
    with at_most(1.5), pytest.raises(Late):
        client.incr("n")
    assert bare.get("n") == b"1"


def test_r2_an_interrupted_command_leaves_no_answer_to_the_next(
    connect: Any, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal between question and answer does not give the answer to somebody else."""
    client = connect(redis_server, "?max_connections=1").client
    client.mset({"a": "of a", "b": "of b"})
    (connection,) = client.connection_pool._connections

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connection, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.get("a")
    with monkeypatch.context() as patch:
        patch.setattr(connection, "read_response", interrupted)
        with client.pipeline() as pipe, pytest.raises(KeyboardInterrupt):
            pipe.get("a").get("a").execute()
    assert client.get("b") == b"of b"


def test_r2_an_interrupted_handshake_leaves_no_answer_to_the_next(
    connect: Any, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one while the connection is made, however late its answer comes."""
    client = connect(proxy, "?max_connections=1").client
    client.set("b", "of b")
    (connection,) = client.connection_pool._connections
    connection.disconnect()
    proxy.latency = 0.2

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connection, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.get("a")
    assert client.get("b") == b"of b"


# R3 · down and restarted


def test_r3_a_server_that_is_down_is_told_at_once(own_server: RedisServer, connect: Any) -> None:
    """Refused is refused: no command waits for what cannot come."""
    service = connect(own_server)
    own_server.stop()
    with at_most(BUDGET), pytest.raises(Lost, match=f"127.0.0.1:{own_server.port}"):
        service.client.get("a")
    with at_most(1.5), pytest.raises(Unavailable, match="cannot be reached"):
        service.ping()


def test_r3_the_same_client_works_after_a_restart(own_server: RedisServer, connect: Any) -> None:
    """Its idle connections are dead, and nobody notices."""
    service = connect(own_server)
    run_in_threads(4, lambda _: service.client.blpop("none", timeout=0.2))
    service.client.set("a", 1)
    own_server.restart()
    with at_most(RECOVERY):
        for _ in range(5):
            assert service.client.get("a") == b"1"


def test_r3_the_same_client_works_after_a_kill(own_server: RedisServer, connect: Any) -> None:
    """Also when the server had no time to close its connections, and was away meanwhile."""
    service = connect(own_server)
    service.client.set("a", 1)
    own_server.kill()
    with pytest.raises(Lost):
        service.client.get("a")
    own_server.start()
    with at_most(RECOVERY):
        assert service.client.set("a", 2) is True


def test_r3_a_restart_under_load_costs_the_calls_in_flight(
    own_server: RedisServer, connect: Any
) -> None:
    """Eight threads: errors of redis-py while it is away, no wrong answer, and all go on."""
    client = connect(own_server, timeout=2).client
    ended = threading.Event()
    odd: list[object] = []
    last: dict[int, float] = {}

    def work(own: int) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            try:
                client.set(f"own:{own}", number)
                answer = client.get(f"own:{own}")
            except FAULTS:
                continue
            except Exception as error:  # noqa: BLE001 - the very thing that is looked for
                odd.append(error)
                continue
            last[own] = time.monotonic()
            if answer != str(number).encode():
                odd.append((number, answer))

    threads = [threading.Thread(target=work, args=(own,)) for own in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    own_server.kill()
    own_server.start()
    restarted = time.monotonic()
    time.sleep(1)
    ended.set()
    for thread in threads:
        thread.join(BUDGET)
    assert odd == []
    assert all(last[own] > restarted for own in range(8))


def test_r3_a_paused_server_is_timed_out_and_used_again(
    own_server: RedisServer, connect: Any
) -> None:
    """It accepts connections and answers nothing, then goes on."""
    service = connect(own_server, timeout=1)
    service.client.set("a", 1)
    own_server.pause()
    try:
        with at_most(1.5), pytest.raises(Late):
            service.client.get("a")
        with at_most(1.5), pytest.raises(TimedOut):
            service.ping()
    finally:
        own_server.resume()
    with at_most(RECOVERY):
        assert service.client.get("a") == b"1"
        service.ping()


def test_r3_a_ping_of_a_stalled_server_takes_a_second(proxy: Proxy, connect: Any) -> None:
    """Whatever REDIS_TIMEOUT is."""
    service = connect(proxy)
    proxy.stalled = True
    with at_most(1.5), pytest.raises(TimedOut, match="did not answer in time"):
        service.ping()


def test_r3_a_server_that_loads_its_data_is_unavailable(talking: Any, connect: Any) -> None:
    """It says LOADING, which is no fault of the question."""
    with pytest.raises(Unavailable, match="loading"):
        connect(talking(b"-LOADING Redis is loading the dataset in memory\r\n")).ping()


# R4 · fork


@forks
def test_r4_forked_children_get_their_own_answers(
    connect: Any, redis_server: RedisServer, in_child: Any
) -> None:
    """Three children and the parent, 2,000 commands each on one service: 0 wrong answers."""
    service = connect(redis_server)
    held = service.client
    run_in_threads(4, lambda _: held.blpop("none", timeout=0.1))
    statuses: list[int] = []

    def ask(own: str, client: Any) -> None:
        for number in range(1000):
            client.set(own, number)
            assert client.get(own) == str(number).encode()

    def child(own: int) -> None:
        # One client is asked for anew, one is that of the parent.
        ask(f"child:{own}", service.client if own else held)

    threads = [
        threading.Thread(target=lambda own=own: statuses.append(in_child(lambda: child(own))))
        for own in range(3)
    ]
    for thread in threads:
        thread.start()
    ask("parent", held)
    for thread in threads:
        thread.join()
    assert statuses == [0, 0, 0]


@forks
def test_r4_forks_while_threads_ask_leave_children_that_ask(
    connect: Any, redis_server: RedisServer, in_child: Any
) -> None:
    """Whatever the threads of the parent held, no child hangs, and no answer is mixed up."""
    service = connect(redis_server)
    client = service.client
    ended = threading.Event()
    wrong: list[object] = []

    def work(own: int) -> None:
        while not ended.is_set():
            client.set(f"own:{own}", own)
            if client.get(f"own:{own}") != str(own).encode():
                wrong.append(own)

    def child() -> None:
        for each in (client, service.client):
            each.set("child", "c")
            assert each.get("child") == b"c"

    threads = [threading.Thread(target=work, args=(own,)) for own in range(4)]
    for thread in threads:
        thread.start()
    statuses = [in_child(child) for _ in range(5)]
    ended.set()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 5
    assert wrong == []


@forks
def test_r4_a_child_that_closes_does_not_close_the_parents(
    connect: Any, redis_server: RedisServer, in_child: Any
) -> None:
    """The parent's connections are open, and none is opened anew."""
    service = connect(redis_server)
    service.client.set("a", 1)
    number = service.client.client_id()
    assert in_child(service.close) == 0
    assert service.client.client_id() == number


# R5 · a connection that is held across a fork


@forks
def test_r5_a_subscription_of_the_parent_opens_its_own_connection_in_a_child(
    connect: Any, redis_server: RedisServer, in_child: Any
) -> None:
    """Both hear everything, and neither takes the other's messages."""
    service = connect(redis_server)
    pubsub = service.client.pubsub()
    pubsub.subscribe("news")
    assert pubsub.get_message(timeout=5)["type"] == "subscribe"

    def hear() -> list[bytes]:
        heard: list[bytes] = []
        end = time.monotonic() + 5
        while b"end" not in heard and time.monotonic() < end:
            message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2)
            heard += [message["data"]] if message else []
        return heard

    def child() -> None:
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
        for data in ("one", "end"):
            service.client.publish("news", data)
        assert hear() == [b"one", b"end"]

    assert in_child(child) == 0
    assert hear() == [b"one", b"end"]
    pubsub.close()


@forks
def test_r5_a_watch_of_the_parent_is_not_one_of_the_child(
    connect: Any, redis_server: RedisServer, in_child: Any
) -> None:
    """In the child it is over, and says so; the parent's goes on."""
    service = connect(redis_server)
    service.client.set("n", 1)
    with service.client.pipeline() as pipe:
        pipe.watch("n")
        value = int(pipe.get("n"))

        def child() -> None:
            pipe.multi()
            pipe.set("n", 99)
            with pytest.raises(WatchError):
                pipe.execute()

        assert in_child(child) == 0
        pipe.multi()
        pipe.set("n", value + 1)
        assert pipe.execute() == [True]
    assert service.client.get("n") == b"2"


def test_r5_a_client_of_a_single_connection_cannot_be_made(
    connect: Any, redis_server: RedisServer
) -> None:
    """Neither by the client nor by the URL."""
    with pytest.raises(Rejected, match="single connection"):
        connect(redis_server).client.client()


# R6 · more threads than connections


def run_in_threads(count: int, work: Any) -> list[Any]:
    """Run something in threads at once, and return what each returned or raised."""
    results: list[Any] = [None] * count

    def run(own: int) -> None:
        try:
            results[own] = work(own)
        except (RedisError, ServiceError) as error:
            results[own] = error

    threads = [threading.Thread(target=run, args=(own,)) for own in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_r6_threads_wait_for_a_connection(connect: Any, redis_server: RedisServer) -> None:
    """Twelve on a pool of five, 5 commands each: every one is served, and in its turn."""
    client = connect(redis_server, "?max_connections=5").client

    def work(own: int) -> int:
        for _ in range(5):
            client.blpop(f"none:{own}", timeout=0.01)
        return own

    assert run_in_threads(12, work) == list(range(12))
    assert len(client.connection_pool._connections) == 5


def test_r6_a_wait_that_is_too_long_ends_in_a_clear_error(
    connect: Any, redis_server: RedisServer
) -> None:
    """It is over before the deadline, and says what to set."""
    service = connect(redis_server, "?max_connections=5", timeout=1)
    client = service.client
    with ExitStack() as holding:
        for _ in range(5):
            holding.enter_context(client.pipeline()).watch("a")
        with at_most(1.5):
            results = run_in_threads(7, lambda _: client.get("a"))
        for error in results:
            assert isinstance(error, MaxConnectionsError)
            assert "all 5 connections were in use for 0.8 s; set max_connections" in str(error)
        with pytest.raises(TimedOut, match="did not answer in time"):
            service.ping()
    client.get("a")


def test_r6_a_call_that_waited_has_no_time_of_its_own_left_to_block(
    connect: Any, redis_server: RedisServer
) -> None:
    """The wait and the block share one deadline; what has no room for both is not sent."""
    client = connect(redis_server, "?max_connections=1", timeout=1).client
    client.rpush("queue", "job")
    holding = threading.Thread(target=lambda: client.blpop("none", timeout=0.6))
    holding.start()
    time.sleep(0.1)
    with at_most(1.5), pytest.raises(Late, match="nothing was sent"):
        client.blpop("queue", timeout=0.7)
    holding.join()
    assert client.lrange("queue", 0, -1) == [b"job"]


def test_r6_a_failure_gives_its_connection_back(proxy: Proxy, connect: Any) -> None:
    """A pool of two survives any number of them."""
    client = connect(proxy, "?max_connections=2", timeout=1).client
    for _ in range(5):
        proxy.lost = 1
        with pytest.raises(Lost):
            client.get("a")
        with client.pipeline() as pipe:
            pipe.watch("a")
            proxy.lost = 1
            with pytest.raises(Lost):
                pipe.get("a")
    proxy.refused = True
    for _ in range(5):
        with pytest.raises(Lost):
            client.get("a")
    proxy.heal()
    with client.pipeline() as first, client.pipeline() as second:
        first.watch("a")
        second.watch("a")


# R7 · the connection of a subscription is cut


def test_r7_a_subscriber_that_was_cut_hears_again(
    proxy: Proxy, connect: Any, bare: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It subscribes again by itself; the log says that messages may be missing."""
    heard: list[bytes] = []
    pubsub = connect(proxy, timeout=1).client.pubsub()
    pubsub.subscribe(news=lambda message: heard.append(message["data"]))
    thread = pubsub.run_in_thread(sleep_time=0.05)
    wait_until(lambda: bare.publish("news", "before") and heard)
    with caplog.at_level(logging.WARNING, "quorum.redis"):
        proxy.reset()
        wait_until(lambda: bare.publish("news", "after") and b"after" in heard)
    thread.stop()
    thread.join(5)
    assert "what is published until it is back is lost" in caplog.text


def test_r7_a_listener_outlives_a_restart(own_server: RedisServer, connect: Any) -> None:
    """`listen` goes on where the server is back within REDIS_TIMEOUT."""
    service = connect(own_server)
    heard: list[bytes] = []
    pubsub = service.client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("news")

    def listen() -> None:
        for message in pubsub.listen():
            heard.append(message["data"])
            if message["data"] == b"end":
                return

    thread = threading.Thread(target=listen)
    thread.start()
    wait_until(lambda: service.client.publish("news", "before") and heard)
    own_server.restart()
    wait_until(lambda: service.client.publish("news", "end") and heard[-1] == b"end")
    thread.join(5)
    assert not thread.is_alive()
    pubsub.close()


def test_r7_a_half_open_subscription_is_found_and_replaced(
    proxy: Proxy, connect: Any, bare: Any
) -> None:
    """A listener that hears nothing asks whether the server is there."""
    heard: list[bytes] = []
    pubsub = connect(proxy, timeout=1).client.pubsub()
    pubsub.subscribe("news")

    def listen() -> None:
        for message in pubsub.listen():
            heard.append(message["data"])
            if message["data"] == b"after":
                return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    wait_until(lambda: bare.publish("news", "before") and len(heard) > 1)
    connections = proxy.connections
    # This connection is dead for good: what it asks is answered to nobody.
    proxy.swallowing = True
    wait_until(lambda: proxy.connections > connections)
    proxy.heal()
    wait_until(lambda: bare.publish("news", "after") and b"after" in heard, RECOVERY)
    thread.join(5)
    pubsub.close()


def test_r7_a_subscriber_says_that_the_server_stays_away(
    own_server: RedisServer, connect: Any
) -> None:
    """After REDIS_TIMEOUT it raises, and works again when asked later."""
    pubsub = connect(own_server, timeout=1).client.pubsub()
    pubsub.subscribe("news")
    assert pubsub.get_message(timeout=5)["type"] == "subscribe"
    own_server.stop()
    with at_most(2), pytest.raises(Lost):
        pubsub.get_message(timeout=0.1)
    own_server.start()
    with at_most(RECOVERY):
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
    pubsub.close()


def test_r7_a_listener_ends_with_its_service(connect: Any, redis_server: RedisServer) -> None:
    """`close` does not leave a thread waiting for ever."""
    service = connect(redis_server)
    pubsub = service.client.pubsub()
    pubsub.subscribe("news")
    ended: list[Exception] = []

    def listen() -> None:
        try:
            for _ in pubsub.listen():
                pass
        except (Unavailable, Lost) as error:
            ended.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    wait_until(lambda: service.client.pubsub_numsub("news")[0][1] == 1)
    service.close()
    thread.join(5)
    assert not thread.is_alive()
    assert ended


def test_r7_a_listener_and_a_subscriber_of_another_thread_come_back_together(
    own_server: RedisServer, connect: Any
) -> None:
    """One connects, the other goes on with it; neither waits for ever, and both are subscribed."""
    service = connect(own_server)
    heard: list[bytes] = []
    pubsub = service.client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("first")

    def listen() -> None:
        for message in pubsub.listen():
            heard.append(message["data"])
            if message["data"] == b"end":
                return

    thread = threading.Thread(target=listen)
    thread.start()
    wait_until(lambda: service.client.publish("first", "before") and heard)
    own_server.restart()
    pubsub.subscribe("second")
    for channel in ("first", "second"):
        wait_until(lambda channel=channel: service.client.publish(channel, channel))
    wait_until(lambda: {b"first", b"second"} <= set(heard))
    service.client.publish("second", "end")
    thread.join(5)
    assert not thread.is_alive()
    pubsub.close()


def test_r7_a_stream_loses_nothing(proxy: Proxy, connect: Any, bare: Any) -> None:
    """What subscriptions cannot promise, a consumer group does: 50 of 50, with cuts in between."""
    client = connect(proxy, timeout=1).client
    client.xgroup_create("jobs", "workers", id="0", mkstream=True)
    for number in range(50):
        bare.xadd("jobs", {"n": number})
    done: set[bytes] = set()
    for turn in range(500):
        if len(done) == 50:
            break
        if turn % 5 == 2:
            proxy.lost = 1
        try:
            # What was given and not acknowledged comes first.
            for start in ("0", ">"):
                read = client.xreadgroup("workers", "ana", {"jobs": start}, count=3)
                for number, fields in read[0][1] if read else []:
                    client.xack("jobs", "workers", number)
                    done.add(fields[b"n"])
        except FAULTS:
            continue
    assert len(done) == 50


# R8 · blocking for longer than the connection waits


def test_r8_a_block_time_over_the_time_limit_is_refused(
    connect: Any, redis_server: RedisServer
) -> None:
    """By the setting, at once."""
    client = connect(redis_server, timeout=2).client
    with at_most(0.5), pytest.raises(Rejected, match=r"at most 1\.6 s"):
        client.blpop("queue", timeout=1.9)


def test_r8_a_block_time_inside_the_time_limit_returns(
    connect: Any, redis_server: RedisServer
) -> None:
    """The longest that is allowed ends by the server's answer, not by ours."""
    client = connect(redis_server, timeout=2).client
    with at_most(2.5):
        assert client.blpop("none", timeout=1.6) is None


# R9 · the answer of a blocking pop is lost


def test_r9_a_job_that_was_moved_survives_a_lost_answer(
    proxy: Proxy, connect: Any, bare: Any
) -> None:
    """BLMOVE leaves it in a list of work in progress, where it is found again."""
    client = connect(proxy, timeout=1).client
    bare.rpush("queue", "job")
    client.ping()
    proxy.lost = 1
    with pytest.raises(Lost):
        client.blmove("queue", "in progress", timeout=0.5)
    assert bare.lrange("in progress", 0, -1) == [b"job"]


def test_r9_a_blocking_pop_that_is_cut_off_is_told(proxy: Proxy, connect: Any) -> None:
    """The caller learns that the outcome is unknown, and never waits on."""
    client = connect(proxy, timeout=1).client
    client.ping()
    proxy.stalled = True
    with at_most(1.5), pytest.raises(Late):
        client.blpop("queue", timeout=0.3)


# R10 · locks: see also test_locks.py


def test_r10_a_lock_that_is_shorter_than_the_job_is_renewed(
    connect: Any, redis_server: RedisServer
) -> None:
    """Nobody else gets it while the job runs."""
    first, second = connect(redis_server), connect(redis_server)
    with first.lock("job", expires_in=1) as lock:
        with pytest.raises(TimedOut), second.lock("job", expires_in=1, wait=1.8):
            pass
        assert lock.held
        lock.check()


def test_r10_a_lock_that_was_lost_is_reported(connect: Any, redis_server: RedisServer) -> None:
    """`held` says so, `check` raises, and so does the end of the block."""
    service = connect(redis_server)
    lock = service.lock("job", expires_in=1)

    def work() -> None:
        with lock:
            service.client.delete("shop:lock:job")
            wait_until(lambda: not lock.held)
            with pytest.raises(Unavailable, match="was lost"):
                lock.check()

    with pytest.raises(Unavailable, match="was lost"):
        work()


# Passwords


@pytest.fixture
def guarded(stack: Any, tmp_path: Path) -> RedisServer:
    """Start a server that asks for a password."""
    server = RedisServer(tmp_path)
    server.password = "s3cret-Pass"
    return stack.enter_context(server)


def test_a_right_password_signs_in(guarded: RedisServer, connect: Any) -> None:
    """In both protocols."""
    for protocol in (2, 3):
        assert connect(guarded, f"?protocol={protocol}").client.set("a", 1) is True


@pytest.mark.parametrize("userinfo", ["", ":wr0ng-Pass@", "ana:wr0ng-Pass@"])
@pytest.mark.parametrize("protocol", [2, 3])
def test_a_wrong_password_is_refused_in_a_sentence_without_it(
    guarded: RedisServer, connect: Any, userinfo: str, protocol: int
) -> None:
    """The error names the place and the setting, and no password, whoever prints it."""
    url = f"redis://{userinfo}127.0.0.1:{guarded.port}/0?protocol={protocol}"
    service = connect(guarded, url=url)
    with pytest.raises(
        Rejected, match=r"refuses the user name or the password.*REDIS_URL"
    ) as caught:
        service.ping()
    printed = "".join(traceback.format_exception(caught.value))
    assert "wr0ng" not in printed
    assert "s3cret" not in printed


def test_nothing_that_is_printed_holds_the_password(
    guarded: RedisServer, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the service, the client, the pool, a connection nor an error."""
    with caplog.at_level(logging.DEBUG):
        service = connect(guarded)
        service.client.set("a", 1)
        pool = service.client.connection_pool
        printed = (
            f"{service!r} {service.client!r} {pool!r} {pool._connections!r} {service.counts!r}"
        )
        guarded.stop()
        with pytest.raises(Unavailable) as caught:
            service.ping()
    printed += "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "s3cret" not in printed


def test_a_server_that_repeats_the_handshake_does_not_make_us_tell_the_password(
    tmp_path: Path, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One without HELLO answers with all it was sent, the password too."""

    class Old(RedisServer):
        password = "hunter2sEcret"

        @property
        def command(self) -> Any:
            return [*super().command, "--rename-command", "HELLO", ""]

    with Old(tmp_path) as server:
        service = connect(server)
        for call in (service.ping, lambda: service.client.get("a"), service.lock("a").__enter__):
            with pytest.raises(Exception, match="unknown command 'HELLO'") as caught:
                call()
            told = "".join(traceback.format_exception(caught.value))
            assert "hunter2sEcret" not in told
        assert "hunter2sEcret" not in caplog.text
        assert connect(server, "?protocol=2").client.set("a", 1)
