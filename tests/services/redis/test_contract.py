"""What every Redis promises: one suite for the embedded twin and for a server."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import redis as redis_py
from redis.exceptions import NoScriptError, ResponseError, WatchError

from quorum.errors import Rejected, Unavailable
from tests.waiting import at_most, wait_until

# The service


def test_the_client_is_redis_pys(redis: Any) -> None:
    """Whoever knows redis-py knows it."""
    assert isinstance(redis.client, redis_py.Redis)


def test_the_client_is_one_object(redis: Any) -> None:
    """It is built once, however often it is asked for."""
    assert redis.client is redis.client


def test_a_ping_returns(redis: Any) -> None:
    """A server that answers is there."""
    redis.ping()


def test_a_verb_asked_of_the_service_says_where_it_is(redis: Any) -> None:
    """The vendor's calls are on the client."""
    with pytest.raises(AttributeError, match=r"no 'get'.*container\.redis\(\)\.client"):
        redis.get("key")


def test_calls_are_counted(redis: Any) -> None:
    """Each command and each pipeline is one call, and takes time."""
    before = redis.counts.calls
    redis.client.set("a", 1)
    redis.client.pipeline().set("b", 1).get("b").execute()
    assert redis.counts.calls == before + 2
    assert redis.counts.failures == 0
    assert redis.counts.seconds > 0


def test_failures_are_counted(redis: Any) -> None:
    """A command that raises is a failure, and its error is redis-py's own."""
    redis.client.set("text", "a")
    with pytest.raises(ResponseError):
        redis.client.incr("text")
    assert redis.counts.failures == 1


def test_a_closed_service_says_so(redis: Any) -> None:
    """Its client, a ping and a lock are refused."""
    redis.close()
    for ask in (lambda: redis.client, redis.ping, lambda: redis.lock("a")):
        with pytest.raises(Unavailable, match="closed"):
            ask()


def test_a_client_that_was_kept_says_so_too(redis: Any) -> None:
    """No connection is opened behind a closed service."""
    client = redis.client
    client.set("a", 1)
    redis.close()
    with pytest.raises(Unavailable, match="closed"):
        client.get("a")
    with pytest.raises(Unavailable, match="closed"):
        client.pipeline().get("a").execute()


def test_closing_twice_does_nothing(redis: Any) -> None:
    """Nor does closing what was never used."""
    redis.close()
    redis.close()


def test_leaving_the_client_as_a_context_closes_nothing(redis: Any) -> None:
    """The pool is the service's, for all threads."""
    with redis.client as client:
        client.set("a", 1)
    assert redis.client.get("a") == b"1"


# Strings and expiry


def test_bytes_come_back_as_they_were(redis: Any) -> None:
    """Any byte, and nothing is decoded."""
    value = bytes(range(256))
    redis.client.set("key", value)
    assert redis.client.get("key") == value
    assert redis.client.get("none") is None


def test_text_and_numbers_come_back_as_bytes(redis: Any) -> None:
    """Text is UTF-8."""
    redis.client.mset({"text": "Olá", "number": 3, "real": 0.5})
    assert redis.client.mget("text", "number", "real") == ["Olá".encode(), b"3", b"0.5"]


def test_a_large_value_comes_back(redis: Any) -> None:
    """Sixteen megabytes, in one command."""
    value = b"0123456789abcdef" * 2**20
    redis.client.set("large", value)
    assert redis.client.get("large") == value


def test_a_key_expires(redis: Any) -> None:
    """After its time it is gone, and not before."""
    redis.client.set("key", "a", px=100)
    assert 0 < redis.client.pttl("key") <= 100
    wait_until(lambda: redis.client.get("key") is None)
    assert redis.client.exists("key") == 0


def test_a_key_is_set_only_if_it_is_not_there(redis: Any) -> None:
    """SET NX says whether it did."""
    assert redis.client.set("key", 1, nx=True) is True
    assert redis.client.set("key", 2, nx=True) is None
    assert redis.client.set("key", 3, get=True) == b"1"


def test_counters_count(redis: Any) -> None:
    """INCR, INCRBY, INCRBYFLOAT and DECR."""
    assert redis.client.incr("n") == 1
    assert redis.client.incrby("n", 9) == 10
    assert redis.client.decr("n") == 9
    assert redis.client.incrbyfloat("n", 0.5) == 9.5


def test_a_wrong_type_is_redis_pys_error(redis: Any) -> None:
    """What is called on the client raises the vendor's errors."""
    redis.client.rpush("list", 1)
    with pytest.raises(ResponseError, match=r"WRONGTYPE|wrong kind"):
        redis.client.get("list")


def test_an_argument_that_cannot_be_sent_is_redis_pys_error(redis: Any) -> None:
    """And the connection is as good as before."""
    with pytest.raises(redis_py.DataError):
        redis.client.set("key", None)
    assert redis.client.set("key", 1) is True


# Collections


def test_hashes(redis: Any) -> None:
    """Fields are set, read, counted and deleted."""
    redis.client.hset("user", mapping={"name": "Ana", "age": 30})
    redis.client.hincrby("user", "age", 1)
    assert redis.client.hgetall("user") == {b"name": b"Ana", b"age": b"31"}
    assert redis.client.hmget("user", "name", "none") == [b"Ana", None]
    assert redis.client.hdel("user", "age") == 1
    assert redis.client.hlen("user") == 1


def test_lists(redis: Any) -> None:
    """Both ends, ranges and trimming."""
    redis.client.rpush("list", 1, 2, 3)
    redis.client.lpush("list", 0)
    assert redis.client.lrange("list", 0, -1) == [b"0", b"1", b"2", b"3"]
    assert redis.client.rpop("list") == b"3"
    redis.client.ltrim("list", 1, -1)
    assert redis.client.lrange("list", 0, -1) == [b"1", b"2"]
    assert redis.client.lmove("list", "done", "LEFT", "RIGHT") == b"1"


def test_sets(redis: Any) -> None:
    """Members, and what sets share."""
    redis.client.sadd("a", 1, 2, 3)
    redis.client.sadd("b", 2, 3, 4)
    assert redis.client.sinter("a", "b") == {b"2", b"3"}
    assert redis.client.sismember("a", 1)
    assert redis.client.srem("a", 1) == 1
    assert redis.client.smembers("a") == {b"2", b"3"}


def test_sorted_sets(redis: Any) -> None:
    """Scores order them, and ranges are read by rank and by score."""
    redis.client.zadd("scores", {"ana": 3, "rui": 1.5, "eva": 2})
    assert redis.client.zrange("scores", 0, -1) == [b"rui", b"eva", b"ana"]
    assert redis.client.zrange("scores", 0, 0, desc=True, withscores=True) == [(b"ana", 3.0)]
    assert redis.client.zrangebyscore("scores", 2, "+inf") == [b"eva", b"ana"]
    assert redis.client.zincrby("scores", 5, "rui") == 6.5
    assert redis.client.zrevrank("scores", "rui") == 0
    assert redis.client.zpopmin("scores") == [(b"eva", 2.0)]


def test_all_keys_are_scanned(redis: Any) -> None:
    """Each of 2,000 once, over many commands."""
    with redis.client.pipeline(transaction=False) as pipe:
        for number in range(2000):
            pipe.set(f"key:{number}", number)
        pipe.set("other", 1)
        pipe.execute()
    found = list(redis.client.scan_iter("key:*", count=100))
    assert sorted(found) == sorted(f"key:{number}".encode() for number in range(2000))


# Pipelines and transactions


def test_a_pipeline_answers_in_order(redis: Any) -> None:
    """With and without MULTI."""
    for transaction in (True, False):
        with redis.client.pipeline(transaction=transaction) as pipe:
            pipe.set("a", 1).incr("a").get("a").lrange("none", 0, -1)
            assert pipe.execute() == [True, 2, b"2", []]


def test_a_pipeline_of_many_commands_is_executed(redis: Any) -> None:
    """Ten thousand, in one call."""
    with redis.client.pipeline(transaction=False) as pipe:
        for number in range(10_000):
            pipe.set(f"key:{number}", "x" * 50)
        assert all(pipe.execute())
    assert redis.client.dbsize() == 10_000


def test_an_error_in_a_pipeline_does_not_stop_the_rest(redis: Any) -> None:
    """It is raised, or given among the answers."""
    redis.client.set("text", "a")
    with redis.client.pipeline() as pipe:
        pipe.incr("text").incr("n")
        answers = pipe.execute(raise_on_error=False)
    assert isinstance(answers[0], ResponseError)
    assert answers[1] == 1
    with redis.client.pipeline() as pipe, pytest.raises(ResponseError):
        pipe.incr("text").execute()
    assert redis.client.get("n") == b"1"


def test_a_watched_key_that_was_changed_ends_the_transaction(redis: Any) -> None:
    """Nothing of it is done."""
    redis.client.set("n", 1)
    with redis.client.pipeline() as pipe:
        pipe.watch("n")
        value = int(pipe.get("n"))
        redis.client.set("n", 100)
        pipe.multi()
        pipe.set("n", value + 1)
        with pytest.raises(WatchError):
            pipe.execute()
    assert redis.client.get("n") == b"100"


def test_a_transaction_is_repeated_until_nobody_interferes(redis: Any) -> None:
    """`transaction` runs the function again, and loses no change of others."""

    def double(pipe: Any) -> None:
        value = int(pipe.get("n"))
        if value == 1:
            redis.client.set("n", 10)
        pipe.multi()
        pipe.set("n", value * 2)

    redis.client.set("n", 1)
    assert redis.client.transaction(double, "n") == [True]
    assert redis.client.get("n") == b"20"


def test_a_pipeline_that_is_left_gives_its_watch_back(redis: Any) -> None:
    """The next user of its connection watches nothing."""
    with redis.client.pipeline() as pipe:
        pipe.watch("n")
        pipe.get("n")
    redis.client.set("n", 1)
    with redis.client.pipeline() as pipe:
        assert pipe.incr("n").execute() == [2]


# Scripts


def test_a_script_runs(redis: Any) -> None:
    """With its keys and arguments."""
    code = "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}"
    assert redis.client.eval(code, 1, "n", "a") == [b"n", b"a", 1]


def test_a_registered_script_is_loaded_when_it_is_not_there(redis: Any) -> None:
    """Also after the server forgot it, and in a pipeline."""
    double = redis.client.register_script("return redis.call('GET', KEYS[1]) * ARGV[1]")
    redis.client.set("n", 4)
    assert double(keys=["n"], args=[2]) == 8
    redis.client.script_flush()
    assert double(keys=["n"], args=[3]) == 12
    redis.client.script_flush()
    with redis.client.pipeline() as pipe:
        double(keys=["n"], args=[4], client=pipe)
        assert pipe.execute() == [16]


def test_an_unknown_script_is_redis_pys_error(redis: Any) -> None:
    """NOSCRIPT is raised as the vendor does."""
    with pytest.raises(NoScriptError):
        redis.client.evalsha("0" * 40, 0)


def test_an_error_in_a_script_is_redis_pys_error(redis: Any) -> None:
    """It says what the script said."""
    with pytest.raises(ResponseError, match="my own"):
        redis.client.eval("return redis.error_reply('my own')", 0)


# Publish and subscribe


def next_message(pubsub: Any, seconds: float = 5) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1)
        if message is not None:
            return message
    raise AssertionError("no message came")


def subscribed(pubsub: Any, *channels: str) -> None:
    """Subscribe, and wait until the server knows."""
    pubsub.subscribe(*channels)
    for _ in channels:
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"


def test_a_subscriber_gets_what_is_published(redis: Any) -> None:
    """By channel and by pattern."""
    with redis.client.pubsub() as pubsub:
        subscribed(pubsub, "news")
        pubsub.psubscribe("sport.*")
        assert pubsub.get_message(timeout=5)["type"] == "psubscribe"
        assert redis.client.publish("news", "one") == 1
        assert redis.client.publish("sport.surf", "two") == 1
        assert redis.client.publish("other", "three") == 0
        first, second = next_message(pubsub), next_message(pubsub)
    assert (first["channel"], first["data"]) == (b"news", b"one")
    assert (second["pattern"], second["data"]) == (b"sport.*", b"two")


def test_a_message_that_does_not_come_is_none(redis: Any) -> None:
    """After the time that was given."""
    with redis.client.pubsub() as pubsub, at_most(2):
        subscribed(pubsub, "news")
        assert pubsub.get_message(timeout=0.1) is None


def test_a_listener_hears_until_it_unsubscribes(redis: Any) -> None:
    """`listen` blocks between messages, and ends with the subscription."""
    heard = []

    def listen(pubsub: Any) -> None:
        for message in pubsub.listen():
            if message["type"] == "message":
                heard.append(message["data"])
                if message["data"] == b"end":
                    pubsub.unsubscribe()

    with redis.client.pubsub() as pubsub:
        subscribed(pubsub, "news")
        thread = threading.Thread(target=listen, args=(pubsub,))
        thread.start()
        for data in ("a", "b", "end"):
            redis.client.publish("news", data)
        thread.join(5)
        assert not thread.is_alive()
    assert heard == [b"a", b"b", b"end"]


def test_a_handler_runs_in_its_thread(redis: Any) -> None:
    """`run_in_thread` calls what was given for the channel."""
    heard: list[bytes] = []
    pubsub = redis.client.pubsub()
    pubsub.subscribe(news=lambda message: heard.append(message["data"]))
    thread = pubsub.run_in_thread(sleep_time=0.01)
    wait_until(lambda: redis.client.publish("news", "x") == 1)
    wait_until(lambda: heard)
    thread.stop()
    thread.join(5)
    assert heard[0] == b"x"


# Streams


def test_a_consumer_group_gives_each_entry_to_one(redis: Any) -> None:
    """What is not acknowledged is pending, and another can claim it."""
    client = redis.client
    client.xgroup_create("jobs", "workers", id="0", mkstream=True)
    first, second = (client.xadd("jobs", {"n": n}) for n in (1, 2))
    read = {"streams": {"jobs": ">"}, "count": 1}
    assert client.xreadgroup("workers", "ana", **read) == [[b"jobs", [(first, {b"n": b"1"})]]]
    assert client.xreadgroup("workers", "rui", **read) == [[b"jobs", [(second, {b"n": b"2"})]]]
    assert client.xack("jobs", "workers", first) == 1
    assert client.xpending("jobs", "workers")["pending"] == 1
    claimed = client.xautoclaim("jobs", "workers", "ana", min_idle_time=0)
    assert claimed[1] == [(second, {b"n": b"2"})]
    assert client.xlen("jobs") == 2


def test_a_stream_is_read_from_where_one_was(redis: Any) -> None:
    """XREAD gives what came after an id, and XRANGE all."""
    client = redis.client
    first = client.xadd("events", {"n": 1})
    second = client.xadd("events", {"n": 2})
    assert client.xread({"events": first}) == [[b"events", [(second, {b"n": b"2"})]]]
    assert [number for number, _ in client.xrange("events")] == [first, second]


def test_a_read_that_blocks_returns_what_comes(redis: Any) -> None:
    """XREAD BLOCK, within the time of a command."""
    wake = threading.Timer(0.1, lambda: redis.client.xadd("events", {"n": 1}))
    wake.start()
    answer = redis.client.xread({"events": "$"}, block=3000)
    wake.join()
    assert answer[0][1][0][1] == {b"n": b"1"}


# Blocking


def test_a_blocking_pop_returns_what_comes(redis: Any) -> None:
    """As soon as another pushes it."""
    wake = threading.Timer(0.1, lambda: redis.client.rpush("queue", "job"))
    wake.start()
    assert redis.client.blpop("queue", timeout=3) == (b"queue", b"job")
    wake.join()


def test_a_blocking_pop_of_nothing_returns_none(redis: Any) -> None:
    """After its time."""
    with at_most(2):
        assert redis.client.blpop("queue", timeout=0.2) is None
        assert redis.client.bzpopmin("scores", timeout=0.1) is None
        assert redis.client.blmove("a", "b", timeout=0.1) is None


BLOCKING = {
    "blpop": lambda client, wait: client.blpop("queue", timeout=wait),
    "brpop": lambda client, wait: client.brpop(["queue", "other"], timeout=wait),
    "blmove": lambda client, wait: client.blmove("queue", "work", timeout=wait),
    "brpoplpush": lambda client, wait: client.brpoplpush("queue", "work", timeout=wait),
    "blmpop": lambda client, wait: client.blmpop(wait, 1, "queue", direction="LEFT"),
    "bzpopmin": lambda client, wait: client.bzpopmin("scores", timeout=wait),
    "bzpopmax": lambda client, wait: client.bzpopmax("scores", timeout=wait),
    "bzmpop": lambda client, wait: client.bzmpop(wait, 1, ["scores"], min=True),
    "xread": lambda client, wait: client.xread({"s": "$"}, count=2, block=int(wait * 1000)),
    "xreadgroup": lambda client, wait: client.xreadgroup(
        "block", "BLOCK", {"s": ">"}, noack=True, block=int(wait * 1000)
    ),
    "wait": lambda client, wait: client.wait(1, int(wait * 1000)),
    "waitaof": lambda client, wait: client.waitaof(1, 0, int(wait * 1000)),
    "in lower case": lambda client, wait: client.execute_command("blpop", "queue", wait),
    "in bytes": lambda client, wait: client.execute_command(b"BLPOP", b"queue", b"%d" % wait),
    "in one string": lambda client, wait: client.execute_command(f"BLPOP queue {wait}"),
    "in half a string": lambda client, wait: client.execute_command(
        f"XREAD BLOCK {wait * 1000}", "STREAMS", "s", "$"
    ),
    "in a pipeline": lambda client, wait: client.pipeline(transaction=False).blpop(
        "queue", timeout=wait
    ),
}


@pytest.mark.parametrize("wait", [0, 7])
@pytest.mark.parametrize("command", BLOCKING)
def test_a_command_that_would_block_for_too_long_is_refused(
    redis: Any, command: str, wait: int
) -> None:
    """At once, by us, before anything is sent: for ever (0), or for longer than it may take."""
    calls = redis.counts.calls
    with at_most(1), pytest.raises(Rejected, match="would block for") as caught:
        BLOCKING[command](redis.client, wait)
    assert "REDIS_TIMEOUT" in str(caught.value)
    assert redis.counts.calls == calls


def test_the_blocks_of_a_pipeline_add_up(redis: Any) -> None:
    """They would come one after the other."""
    with redis.client.pipeline(transaction=False) as pipe:
        pipe.blpop("a", timeout=2)
        pipe.blpop("b", timeout=1.5)
        with pytest.raises(Rejected, match="in all"):
            pipe.blpop("c", timeout=1)


def test_the_blocks_of_an_executed_pipeline_are_forgotten(redis: Any) -> None:
    """The same object may be used again."""
    redis.client.rpush("a", 1, 2, 3)
    with redis.client.pipeline(transaction=False) as pipe:
        for _ in range(3):
            assert pipe.blpop("a", timeout=3).execute()[0][0] == b"a"


def test_nothing_blocks_in_a_transaction(redis: Any) -> None:
    """There a blocking pop is a pop, and is not refused."""
    with at_most(2), redis.client.pipeline() as pipe:
        assert pipe.blpop("queue", timeout=0).execute() == [None]


def test_a_blocking_command_on_a_watching_pipeline_is_refused(redis: Any) -> None:
    """Before MULTI it is sent at once, and would block."""
    with redis.client.pipeline() as pipe:
        pipe.watch("queue")
        with pytest.raises(Rejected, match="for ever"):
            pipe.blpop("queue", timeout=0)


def test_a_client_of_one_connection_is_refused(redis: Any) -> None:
    """It would mix the answers of threads and of forked processes."""
    with pytest.raises(Rejected, match="single connection"):
        redis.client.client()


@pytest.mark.parametrize("command", ["SUBSCRIBE", "PSUBSCRIBE", "MONITOR", "SYNC"])
def test_a_command_that_never_gives_its_connection_back_is_refused(
    redis: Any, command: str
) -> None:
    """Subscribing is done by `pubsub`."""
    with pytest.raises(Rejected, match="out of the pool"):
        redis.client.execute_command(command, "news")


def test_monitoring_is_refused(redis: Any) -> None:
    """It would wait for ever."""
    with pytest.raises(Rejected, match="redis-cli"):
        redis.client.monitor()


# Threads


def test_eight_threads_count_right(redis: Any) -> None:
    """1,600 increments, none lost, and no thread gets the answer of another."""
    wrong: list[object] = []

    def count(own: int) -> None:
        for number in range(200):
            redis.client.incr("n")
            redis.client.set(f"own:{own}", number)
            answer = redis.client.get(f"own:{own}")
            if answer != str(number).encode():
                wrong.append(answer)

    threads = [threading.Thread(target=count, args=(own,)) for own in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert redis.client.get("n") == b"1600"
    assert wrong == []
