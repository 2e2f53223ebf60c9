"""The MongoDB rows of the fault table, M1 to M7, each against a server that really fails."""

from __future__ import annotations

import threading
import time
import warnings
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pymongo
import pytest
from pymongo.errors import (
    AutoReconnect,
    NetworkTimeout,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.monitoring import CommandListener

from quorum.errors import ServiceError, Unavailable
from quorum.services.mongo.options import client_options
from quorum.settings import MongoSettings
from tests.proxy import Proxy
from tests.servers import LOCAL, MongoServer, free_port
from tests.services.mongo.servers import QUIET, direct, in_child
from tests.waiting import BUDGET, RECOVERY, at_most, wait_until

if TYPE_CHECKING:
    from contextlib import ExitStack

    from quorum.services.mongo.server import ServerMongo

pytestmark = pytest.mark.live("mongo")


forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def own_proxy(stack: ExitStack, retrying_server: MongoServer) -> Proxy:
    """A proxy before a server that recognises repeated writes."""
    return stack.enter_context(Proxy(retrying_server.port))


@pytest.fixture
def behind(own_proxy: Proxy, connect: Any) -> Any:
    """A service behind that proxy, with a database of its own."""

    def build(query: str = "", **settings: Any) -> ServerMongo:
        name = f"test-{uuid4().hex[:12]}"
        mongo: ServerMongo = connect(f"{direct(own_proxy.port)}{QUIET}{query}", name, **settings)
        mongo.ping()
        return mongo

    return build


def works(mongo: ServerMongo) -> bool:
    """Tell whether the service answers now."""
    try:
        mongo.ping()
        mongo.collection("entries").insert_one({})
    except (ServiceError, PyMongoError):
        return False
    return True


# M1 · down


def test_m1_down_ends_within_the_time_limit(connect: Any) -> None:
    """Nobody listens: the first operation raises the driver's error."""
    mongo = connect(f"mongodb://{LOCAL}:{free_port()}", timeout=1)
    with at_most(2), pytest.raises(ServerSelectionTimeoutError):
        mongo.collection("entries").find_one()


def test_m1_a_ping_of_what_is_down_is_over_within_a_second(connect: Any) -> None:
    """And is an error of ours."""
    mongo = connect(f"mongodb://{LOCAL}:{free_port()}")
    with at_most(1), pytest.raises(Unavailable, match="Connection refused"):
        mongo.ping()


def test_m1_the_same_object_works_when_the_server_is_there(
    connect: Any, own_server: MongoServer
) -> None:
    """A service that was built while nobody listened needs nobody to build it again."""
    own_server.kill()
    mongo = connect(own_server.url, timeout=1)
    with pytest.raises(ServerSelectionTimeoutError):
        mongo.collection("entries").find_one()
    own_server.start()
    with at_most(RECOVERY):
        wait_until(lambda: works(mongo), RECOVERY)


def test_m1_a_restart_costs_the_calls_in_flight_at_most(
    connect: Any, own_server: MongoServer
) -> None:
    """After it the same object works, and what was kept is there."""
    mongo = connect(own_server.url)
    mongo.collection("entries").insert_one({"_id": 1})
    own_server.restart()
    with at_most(RECOVERY):
        wait_until(lambda: works(mongo), RECOVERY)
    assert mongo.collection("entries").find_one({"_id": 1}) == {"_id": 1}


def test_m1_a_reset_of_every_connection_is_not_noticed(behind: Any, own_proxy: Proxy) -> None:
    """The driver repeats what is safe to repeat."""
    mongo = behind()
    mongo.collection("entries").insert_one({"_id": 1})
    own_proxy.reset()
    assert mongo.collection("entries").find_one() == {"_id": 1}
    own_proxy.reset()
    mongo.collection("entries").insert_one({"_id": 2})
    assert mongo.collection("entries").count_documents({}) == 2


# M2 · half-open


def test_m2_half_open_ends_within_six_seconds_by_default(connect: Any, proxy: Proxy) -> None:
    """A server that takes and never answers costs at most 6 s with the default limit."""
    mongo = connect(direct(proxy.port))
    mongo.collection("entries").find_one()
    proxy.stalled = True
    with at_most(BUDGET), pytest.raises(PyMongoError) as caught:
        mongo.collection("entries").find_one()
    assert caught.value.timeout


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "pooled"])
@pytest.mark.parametrize(
    "operation",
    [
        lambda entries: entries.find_one(),
        lambda entries: list(entries.find()),
        lambda entries: entries.insert_one({}),
        lambda entries: entries.update_many({}, {"$inc": {"n": 1}}),
        lambda entries: list(entries.aggregate([{"$match": {}}])),
        lambda entries: entries.create_index("n"),
    ],
    ids=["find_one", "find", "insert_one", "update_many", "aggregate", "create_index"],
)
def test_m2_no_operation_outlives_its_deadline(
    connect: Any, proxy: Proxy, operation: Any, used: bool
) -> None:
    """Repetitions and all, over an idle connection as over a new one."""
    mongo = connect(direct(proxy.port), timeout=1)
    if used:
        mongo.collection("entries").find_one()
    proxy.stalled = True
    # Server selection looks at the time every half second (pymongo's MIN_HEARTBEAT_INTERVAL).
    with at_most(1.5), pytest.raises(PyMongoError):
        operation(mongo.collection("entries"))


def test_m2_many_threads_wait_no_longer_than_one(connect: Any, proxy: Proxy) -> None:
    """The wait for a free connection is inside the deadline."""
    mongo = connect(f"{direct(proxy.port)}&maxPoolSize=2", timeout=1)
    mongo.collection("entries").find_one()
    proxy.stalled = True
    errors: list[type] = []

    def ask() -> None:
        try:
            mongo.collection("entries").find_one()
        except PyMongoError as error:
            errors.append(type(error))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    with at_most(2):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(errors) == 8


def test_m2_a_slow_cursor_is_bounded(connect: Any, proxy: Proxy) -> None:
    """A cursor whose next batch never comes raises."""
    mongo = connect(direct(proxy.port), "cursors", timeout=1)
    mongo.collection("entries").insert_many([{"n": n} for n in range(300)])
    cursor = mongo.collection("entries").find(batch_size=100)
    next(cursor)
    proxy.stalled = True
    with at_most(1.5), pytest.raises(PyMongoError):
        list(cursor)
    proxy.heal()
    wait_until(lambda: works(mongo), RECOVERY)
    mongo.client.drop_database("cursors")


@pytest.mark.parametrize("fault", ["stalled", "swallowing"])
def test_m2_the_same_object_works_afterwards(connect: Any, proxy: Proxy, fault: str) -> None:
    """When the fault ends, it heals by itself."""
    mongo = connect(direct(proxy.port), timeout=1)
    mongo.collection("entries").find_one()
    setattr(proxy, fault, True)
    with pytest.raises(PyMongoError):
        mongo.collection("entries").find_one()
    proxy.heal()
    with at_most(RECOVERY):
        wait_until(lambda: works(mongo), RECOVERY)


def test_m2_a_server_that_is_paused_and_goes_on(connect: Any, own_server: MongoServer) -> None:
    """Its port accepts, nothing answers; then it does."""
    mongo = connect(own_server.url, timeout=1)
    mongo.collection("entries").find_one()
    own_server.pause()
    with at_most(1.5), pytest.raises(PyMongoError):
        mongo.collection("entries").find_one()
    with at_most(1), pytest.raises(ServiceError):
        mongo.ping()
    own_server.resume()
    with at_most(RECOVERY):
        wait_until(lambda: works(mongo), RECOVERY)


# M3 · answer lost, a single write


@pytest.mark.parametrize("times", [1, 2, 3])
def test_m3_an_increment_whose_answer_is_lost_is_applied_once(
    behind: Any, own_proxy: Proxy, times: int
) -> None:
    """The driver asks again under the same number, and the server does not do it again."""
    mongo = behind()
    entries = mongo.collection("entries")
    entries.insert_one({"_id": 1, "n": 0})
    own_proxy.lost = times
    result = entries.update_one({"_id": 1}, {"$inc": {"n": 1}})
    assert result.modified_count == 1
    assert entries.find_one({"_id": 1})["n"] == 1


def test_m3_an_insert_whose_answer_is_lost_is_one_document(behind: Any, own_proxy: Proxy) -> None:
    """Neither two nor a DuplicateKeyError."""
    mongo = behind()
    mongo.collection("entries").find_one()
    own_proxy.lost = 1
    mongo.collection("entries").insert_one({"_id": 1})
    assert mongo.collection("entries").count_documents({}) == 1


class Sent(CommandListener):
    """Notes the session and number of each update."""

    def __init__(self) -> None:
        self.numbers: list[tuple[Any, Any]] = []

    def started(self, event: Any) -> None:
        if event.command_name == "update":
            self.numbers.append((event.command["lsid"], event.command["txnNumber"]))

    def succeeded(self, event: Any) -> None:
        """Wait for the next."""

    failed = succeeded


def test_m3_the_repetition_carries_the_number_of_the_first(own_proxy: Proxy) -> None:
    """By the session and its number any MongoDB knows it again, whatever else differs."""
    sent, url = Sent(), f"{direct(own_proxy.port)}{QUIET}"
    options = client_options(url, 5, "numbers")
    with pymongo.MongoClient[Any](url, event_listeners=[sent], **options) as client:
        client.numbers.entries.find_one()
        own_proxy.lost = 1
        client.numbers.entries.update_one({"_id": 1}, {"$inc": {"n": 1}}, upsert=True)
    first, second = sent.numbers
    assert first == second


def test_m3_without_repetition_the_caller_is_told(behind: Any, own_proxy: Proxy) -> None:
    """With retryWrites=false the error says that the answer is missing; it was applied once."""
    mongo = behind("&retryWrites=false")
    entries = mongo.collection("entries")
    entries.insert_one({"_id": 1, "n": 0})
    own_proxy.lost = 1
    with pytest.raises(AutoReconnect):
        entries.update_one({"_id": 1}, {"$inc": {"n": 1}})
    assert entries.find_one({"_id": 1})["n"] == 1


# M4 · answer lost, a write of several


@pytest.mark.parametrize(
    ("work", "left"),
    [
        (lambda entries: entries.update_many({}, {"$inc": {"n": 1}}), [1] * 5),
        (lambda entries: entries.delete_many({}), []),
    ],
    ids=["update_many", "delete_many"],
)
def test_m4_the_caller_is_told_that_the_outcome_is_unknown(
    behind: Any, own_proxy: Proxy, work: Any, left: list[int]
) -> None:
    """The driver's own error reaches it, and nothing was done twice."""
    entries = behind().collection("entries")
    entries.insert_many([{"n": 0} for _ in range(5)])
    own_proxy.lost = 1
    with pytest.raises(AutoReconnect):
        work(entries)
    assert [each["n"] for each in entries.find()] == left


def test_m4_a_late_answer_is_told_too(behind: Any, own_proxy: Proxy) -> None:
    """NetworkTimeout, within the deadline, and applied once."""
    mongo = behind(timeout=1)
    entries = mongo.collection("entries")
    entries.insert_many([{"n": 0} for _ in range(5)])
    own_proxy.swallowing = True
    with at_most(1.6), pytest.raises(NetworkTimeout):
        entries.update_many({}, {"$inc": {"n": 1}})
    own_proxy.heal()
    wait_until(lambda: works(mongo), RECOVERY)
    assert [each["n"] for each in entries.find({"n": {"$exists": True}})] == [1] * 5


# M5 · w=0


@pytest.mark.parametrize("query", ["w=0", "W=0", "w=%30", "retryWrites=true&w=0"])
def test_m5_an_unconfirmed_write_is_refused_by_the_settings(query: str) -> None:
    """So no write can be lost in silence."""
    with pytest.raises(ValueError, match="must not hold w=0"):
        MongoSettings(url=f"mongodb://{LOCAL}/?{query}")


def test_m5_a_write_that_returned_is_stored(behind: Any, own_proxy: Proxy) -> None:
    """Half-open in the midst of many: each that returned is there."""
    mongo = behind(timeout=1)
    stored = []
    for number in range(200):
        if number == 100:
            own_proxy.stalled = True
        try:
            mongo.collection("entries").insert_one({"_id": number})
            stored.append(number)
        except PyMongoError:
            break
    own_proxy.heal()
    wait_until(lambda: works(mongo), RECOVERY)
    found = {each["_id"] for each in mongo.collection("entries").find()}
    assert len(stored) == 100
    assert set(stored) <= found


# M6 · fork


@forks
def test_m6_children_have_clients_of_their_own(connect: Any, mongo_server: MongoServer) -> None:
    """No wrong answer and no warning, in three children and the parent at once."""
    mongo = connect(mongo_server.url, "forked")
    mongo.collection("entries").insert_many([{"_id": n, "n": n} for n in range(50)])
    client = mongo.client

    def work() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert mongo.client is not client
            for number in range(50):
                assert mongo.collection("entries").find_one({"_id": number})["n"] == number
            mongo.collection("counts").update_one({"_id": 1}, {"$inc": {"n": 1}}, upsert=True)
            mongo.close()

    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(in_child(work))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(50):
        assert mongo.collection("entries").find_one({"_id": number})["n"] == number
    for thread in threads:
        thread.join()
    assert statuses == [0] * 3
    assert mongo.client is client
    assert mongo.collection("counts").find_one()["n"] == 3
    mongo.client.drop_database("forked")


@forks
def test_m6_forks_while_threads_ask_leave_children_that_ask(
    connect: Any, mongo_server: MongoServer
) -> None:
    """Whatever locks the parent's threads held."""
    mongo = connect(mongo_server.url)
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            mongo.collection("entries").find_one({"_id": "missing"})

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    statuses = [in_child(mongo.ping) for _ in range(6)]
    ended.set()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 6


# M7 · killed


def test_m7_a_kill_under_three_writers(connect: Any, own_server: MongoServer) -> None:
    """No call is longer than 6 s, the same object works within 15 s, and what it said is stored."""
    mongo = connect(own_server.url)
    mongo.collection("entries").create_index("writer")
    ended = threading.Event()
    calls: list[tuple[float, float, bool]] = []
    stored: list[str] = []

    def write(writer: int) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            start = time.monotonic()
            try:
                mongo.collection("entries").insert_one({"_id": f"{writer}-{number}"})
                stored.append(f"{writer}-{number}")
                done = True
            except PyMongoError:
                done = False
            calls.append((start, time.monotonic(), done))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    wait_until(lambda: sum(done for _, _, done in calls) > 60)
    own_server.kill()
    own_server.start()
    back = time.monotonic()
    wait_until(lambda: sum(done and start > back for start, _, done in calls) > 60, RECOVERY)
    ended.set()
    for writer in writers:
        writer.join()
    assert max(end - start for start, end, _ in calls) <= BUDGET
    assert set(stored) <= {each["_id"] for each in mongo.collection("entries").find()}
    assert mongo.client.write_concern.document == {"w": "majority", "j": True}


def test_m2_a_transaction_that_is_repeated_ends_with_the_time_limit(
    behind: Any, own_proxy: Proxy
) -> None:
    """The driver would repeat it for 120 seconds."""
    mongo = behind(timeout=1)
    entries = mongo.collection("entries")
    entries.insert_one({"n": 0})
    own_proxy.stalled = True
    with at_most(3), pytest.raises(PyMongoError), mongo.client.start_session() as session:
        session.with_transaction(lambda own: entries.insert_one({"n": 1}, session=own))
    own_proxy.stalled = False
    with mongo.client.start_session() as session:
        session.with_transaction(lambda own: entries.insert_one({"n": 2}, session=own))
    assert entries.count_documents({"n": 2}) == 1
