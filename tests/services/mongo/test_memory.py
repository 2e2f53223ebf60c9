"""The embedded twin: what it refuses, what it keeps, and what it does in a fork."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bson import DBRef, Decimal128, Int64
from bson.json_util import CANONICAL_JSON_OPTIONS, loads
from pymongo import IndexModel, InsertOne, UpdateOne
from pymongo.cursor import CursorType
from pymongo.errors import DuplicateKeyError, OperationFailure, WriteError

from quorum.errors import Rejected, Unavailable, Unsupported
from quorum.services.mongo.memory import MemoryMongo
from quorum.settings import MongoSettings
from tests.services.mongo.servers import in_child
from tests.services.mongo.test_contract import VALUES
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

# What it cannot do

ENGLISH = {"locale": "en", "strength": 2}


def with_session(mongo: MemoryMongo, work: Callable[[Any], object]) -> object:
    with mongo.client.start_session() as session, session.start_transaction():
        return work(session)


UNSUPPORTED: dict[str, Callable[[MemoryMongo], object]] = {
    "a change stream": lambda m: m.collection("entries").watch().next(),
    "a change stream of the database": lambda m: m.database.watch().next(),
    "a change stream of the client": lambda m: m.client.watch().next(),
    "$text": lambda m: m.collection("entries").find_one({"$text": {"$search": "a"}}),
    "$where": lambda m: m.collection("entries").find_one({"$where": "1"}),
    "$where after what fails": lambda m: list(
        m.collection("entries").find({"n": 9, "$or": [{"n": 9}, {"$where": "1"}]})
    ),
    "$where in a delete": lambda m: m.collection("entries").delete_many({"$where": "1"}),
    "$where in a filter of arrays": lambda m: m.collection("entries").update_one(
        {}, {"$set": {"tags.$[e]": 0}}, array_filters=[{"e.$where": "1"}]
    ),
    "$where in a $pull": lambda m: m.collection("entries").update_one(
        {}, {"$pull": {"tags": {"$where": "1"}}}
    ),
    "$where in a projection": lambda m: m.collection("entries").find_one(
        {}, {"tags": {"$elemMatch": {"$where": "1"}}}
    ),
    "$where in a bulk": lambda m: m.collection("entries").bulk_write(
        [UpdateOne({"$where": "1"}, {"$set": {"n": 1}})]
    ),
    "$where in a validator": lambda m: m.database.create_collection(
        "other", validator={"$where": "1"}
    ),
    "$where in an index": lambda m: m.collection("entries").create_index(
        "n", unique=True, partialFilterExpression={"$where": "1"}
    ),
    "$jsonSchema": lambda m: m.collection("entries").count_documents({"$jsonSchema": {}}),
    "$mod": lambda m: m.collection("entries").find_one({"n": {"$mod": [2, 0]}}),
    "$bitsAllSet": lambda m: m.collection("entries").find_one({"n": {"$bitsAllSet": 1}}),
    "$text in a $match": lambda m: m.collection("entries").aggregate(
        [{"$facet": {"a": [{"$match": {"$text": {"$search": "a"}}}]}}]
    ),
    "an unknown stage": lambda m: m.collection("entries").aggregate([{"$collStats": {}}]),
    "let": lambda m: m.collection("entries").aggregate([], let={"a": 1}),
    "a collation in find": lambda m: list(m.collection("entries").find().collation(ENGLISH)),
    "a collation in aggregate": lambda m: m.collection("entries").aggregate([], collation=ENGLISH),
    "a collation in update": lambda m: m.collection("entries").update_one(
        {}, {"$set": {"n": 1}}, collation=ENGLISH
    ),
    "a collation in count": lambda m: m.collection("entries").count_documents(
        {}, collation=ENGLISH
    ),
    "a collation in distinct": lambda m: m.collection("entries").distinct("n", collation=ENGLISH),
    "a collation in a bulk": lambda m: m.collection("entries").bulk_write(
        [UpdateOne({}, {"$set": {"n": 1}}, collation=ENGLISH)]
    ),
    "a collation of an index": lambda m: m.collection("entries").create_index(
        "n", unique=True, collation=ENGLISH
    ),
    "a wildcard of an index": lambda m: m.collection("entries").create_indexes(
        [IndexModel([("$**", 1)], wildcardProjection={"n": 1})]
    ),
    "a tailable cursor": lambda m: list(
        m.collection("entries").find(cursor_type=CursorType.TAILABLE_AWAIT)
    ),
    "min and max": lambda m: list(
        m.collection("entries").find().min([("_id", 1)]).max([("_id", 2)]).hint("_id_")
    ),
    "show_record_id": lambda m: list(m.collection("entries").find(show_record_id=True)),
    "explain": lambda m: m.collection("entries").find().explain(),
    "raw batches": lambda m: m.collection("entries").find_raw_batches({}),
    "raw batches of an aggregation": lambda m: m.collection("entries").aggregate_raw_batches([]),
    "a search index": lambda m: m.collection("entries").create_search_index({"definition": {}}),
    "a capped collection": lambda m: m.database.create_collection("log", capped=True, size=1000),
    "a time series": lambda m: m.database.create_collection("log", timeseries={"timeField": "at"}),
    "an aggregation of the database": lambda m: m.database.aggregate([{"$currentOp": {}}]),
    "validate": lambda m: m.database.validate_collection("entries"),
    "a command of the server": lambda m: m.client.admin.command("replSetGetStatus"),
    "a bulk of the client": lambda m: m.client.bulk_write([InsertOne({}, namespace="a.b")]),
    "a snapshot session": lambda m: m.client.start_session(snapshot=True),
    "the address": lambda m: m.client.address,
    "$mul inside an array": lambda m: m.collection("entries").update_one(
        {"tags": 1}, {"$mul": {"tags.$": 2}}
    ),
    "what the engine stumbles over": lambda m: m.collection("entries").aggregate(
        [{"$project": {"n": {"$divide": ["$n", 0]}}}]
    ),
}


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_what_only_a_server_can_do_is_refused(twin: MemoryMongo, what: str) -> None:
    """It raises Unsupported, and says what to set; it never quietly does less."""
    twin.collection("entries").insert_one({"_id": 1, "n": 1, "tags": [1, 2]})
    with pytest.raises(Unsupported, match="set MONGO_URL to use a server"):
        UNSUPPORTED[what](twin)
    assert list(twin.collection("entries").find()) == [{"_id": 1, "n": 1, "tags": [1, 2]}]


@pytest.mark.parametrize(
    "work",
    [
        lambda m, s: m.collection("entries").create_index("n", session=s),
        lambda m, s: m.collection("entries").drop(session=s),
        lambda m, s: m.collection("entries").rename("other", session=s),
        lambda m, s: m.database.create_collection("other", session=s),
        lambda m, s: m.client.drop_database("shop", session=s),
    ],
)
def test_what_a_transaction_cannot_hold_is_refused(twin: MemoryMongo, work: Any) -> None:
    """Indexes and collections are made and dropped outside of one, as on a server."""
    twin.collection("entries").insert_one({"_id": 1})
    with pytest.raises(OperationFailure, match="transaction"):
        with_session(twin, lambda session: work(twin, session))
    assert twin.database.list_collection_names() == ["entries"]


def test_a_transaction_sees_one_moment(twin: MemoryMongo) -> None:
    """A collection that changed since it began is refused to it, and it may try again."""
    with twin.client.start_session() as session:
        session.start_transaction()
        twin.collection("one").count_documents({}, session=session)
        twin.collection("other").insert_one({"_id": 1})
        with pytest.raises(OperationFailure) as caught:
            twin.collection("other").find_one({}, session=session)
        assert caught.value.has_error_label("TransientTransactionError")


def test_two_transactions_cannot_take_one_unique_value(twin: MemoryMongo) -> None:
    """The second is told at its commit."""
    twin.collection("entries").create_index("name", unique=True)
    with twin.client.start_session() as one, twin.client.start_session() as other:
        for session in (one, other):
            session.start_transaction()
            twin.collection("entries").insert_one({"name": "Ana"}, session=session)
        one.commit_transaction()
        with pytest.raises(OperationFailure, match="conflict"):
            other.commit_transaction()
    assert twin.collection("entries").count_documents({}) == 1


def test_unique_values_may_change_hands_in_a_transaction(twin: MemoryMongo) -> None:
    """What counts is the end."""
    entries = twin.collection("entries")
    entries.create_index("name", unique=True)
    entries.insert_many([{"_id": 1, "name": "a"}, {"_id": 2, "name": "b"}])
    with twin.client.start_session() as session, session.start_transaction():
        entries.update_one({"_id": 1}, {"$set": {"name": "x"}}, session=session)
        entries.update_one({"_id": 2}, {"$set": {"name": "a"}}, session=session)
    assert sorted(each["name"] for each in entries.find()) == ["a", "x"]


def test_a_session_of_another_twin_is_refused(keep: Any) -> None:
    """As pymongo refuses that of another client."""
    with keep().client.start_session() as session, pytest.raises(Exception, match="MongoClient"):
        keep().collection("entries").insert_one({}, session=session)


def test_two_twins_share_nothing(keep: Any) -> None:
    """Each has its own documents, and they are not equal."""
    one, other = keep(), keep()
    assert one.client != other.client
    assert one.database != other.database
    assert one.database == one.database
    one.collection("entries").insert_one({})
    assert other.collection("entries").count_documents({}) == 0


def test_no_thread_is_started_and_no_socket_opened(
    twin: MemoryMongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is in the thread that asks."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("not here")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    twin.collection("entries").insert_one({"_id": 1})
    assert list(twin.collection("entries").find()) == [{"_id": 1}]
    with twin.client.start_session() as session, session.start_transaction():
        twin.collection("entries").delete_one({"_id": 1}, session=session)
    twin.close()


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a" * 64, "a\0b", "a$b"], ids=ascii)
def test_a_bad_name_of_the_database_is_refused(name: str) -> None:
    """When the service is built, before anything is kept under it."""
    with pytest.raises(Rejected, match="is no name of a database"):
        MemoryMongo(MongoSettings(), database=name)


def test_ten_thousand_documents_are_no_burden(twin: MemoryMongo) -> None:
    """A unique index and the ids are looked up, and not searched."""
    entries = twin.collection("entries")
    entries.create_index("name", unique=True)
    entries.insert_many([{"_id": n, "name": f"n{n}"} for n in range(10_000)])
    for number in range(0, 10_000, 100):
        entries.update_one({"_id": number}, {"$set": {"name": f"m{number}"}})
    with pytest.raises(DuplicateKeyError):
        entries.insert_one({"name": "m100"})


# What it keeps


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "data"


def test_what_was_kept_is_there_again(keep: Any, folder: Path) -> None:
    """Documents of every type, in their order, with their indexes; empty collections too."""
    first = keep(folder)
    entries = first.collection("entries")
    entries.insert_many([{"_id": name, "n": value} for name, value in VALUES.items()])
    entries.insert_one({"_id": {"a": 1, "b": [2]}})
    first.collection("people").create_indexes(
        [
            IndexModel(
                [("a", 1), ("b", -1)], unique=True, partialFilterExpression={"a": {"$gt": 0}}
            ),
            IndexModel("at", expireAfterSeconds=3600, sparse=True),
        ]
    )
    first.database.create_collection("empty")
    first.client["another"]["things"].insert_one({"_id": Int64(2**40)})
    kept = list(entries.find())
    indexes = first.collection("people").index_information()
    first.close()
    second = keep(folder)
    assert list(second.collection("entries").find()) == kept
    assert second.collection("people").index_information() == indexes
    assert sorted(second.database.list_collection_names()) == ["empty", "entries", "people"]
    assert second.client["another"]["things"].find_one() == {"_id": 2**40}
    second.collection("people").insert_one({"a": 1, "b": 1})
    with pytest.raises(DuplicateKeyError):
        second.collection("people").insert_one({"a": 1, "b": 1})


def test_the_rules_of_a_collection_are_kept(keep: Any, folder: Path) -> None:
    """A validator refuses after a restart too."""
    first = keep(folder)
    first.database.create_collection("entries", validator={"n": {"$gt": 0}})
    first.close()
    with pytest.raises(WriteError):
        keep(folder).collection("entries").insert_one({"n": 0})


def test_fields_that_look_like_types_are_kept_as_they_are(keep: Any, folder: Path) -> None:
    """`$date` inside a document is a field like any other."""
    document = {"_id": 1, "n": {"$date": "x"}, "m": [{"$oid": 5}], "ref": DBRef("a", 1)}
    first = keep(folder)
    first.collection("entries").insert_one(document)
    first.close()
    assert keep(folder).collection("entries").find_one() == document


def test_the_file_is_extended_json(keep: Any, folder: Path) -> None:
    """Any reader of MongoDB's extended JSON can read it; only its owner may."""
    first = keep(folder)
    first.collection("entries").insert_one({"_id": 1, "price": Decimal128("1.10")})
    first.close()
    path = folder / "mongo.json"
    read = loads(path.read_text(), json_options=CANONICAL_JSON_OPTIONS)
    assert read["databases"]["shop"]["entries"]["documents"] == [
        {"_id": 1, "price": Decimal128("1.10")}
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_flush_saves_while_it_serves(keep: Any, folder: Path) -> None:
    """And what came after is saved at the close."""
    first = keep(folder)
    first.collection("entries").insert_one({"_id": 1})
    first.flush()
    assert "entries" in (folder / "mongo.json").read_text()
    first.collection("entries").insert_one({"_id": 2})
    first.close()
    assert keep(folder).collection("entries").count_documents({}) == 2


def test_the_file_is_opened_when_it_is_first_used(keep: Any, folder: Path) -> None:
    """A service that nobody asks writes nothing."""
    keep(folder).close()
    keep(folder).flush()
    assert not folder.exists()


def test_a_flush_without_a_folder_is_a_no_op(twin: MemoryMongo) -> None:
    """There is nowhere to save to; a closed service is refused all the same."""
    twin.flush()
    twin.close()
    with pytest.raises(Unavailable, match="closed"):
        twin.flush()


def test_the_client_being_closed_loses_nothing(keep: Any, folder: Path) -> None:
    """An application that closes the client itself still has its data saved."""
    first = keep(folder)
    first.collection("entries").insert_one({"_id": 1})
    first.client.close()
    first.close()
    assert keep(folder).collection("entries").find_one() == {"_id": 1}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version": 2, "databases": {}}', '{"databases": {"a": 1}}', "\0", "null",
     '{"version": 1, "databases": {"shop": {"entries": {"documents": [{"_id": {"$oid": "x"}}]}}}}'],
    ids=ascii,
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_told_and_left(keep: Any, folder: Path, text: str) -> None:
    """The service is refused, and nothing is ever written over the file."""
    folder.mkdir()
    path = folder / "mongo.json"
    path.write_text(text)
    broken = keep(folder)
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be read") as caught:
            broken.collection("entries")
        assert str(path) in str(caught.value)
    with pytest.raises(Unavailable):
        broken.ping()
    broken.close()
    assert path.read_text() == text


def test_a_file_that_was_mended_is_read(keep: Any, folder: Path) -> None:
    """The same service works once the file does."""
    folder.mkdir()
    (folder / "mongo.json").write_text("{")
    broken = keep(folder)
    with pytest.raises(Unavailable):
        broken.ping()
    (folder / "mongo.json").unlink()
    broken.collection("entries").insert_one({})


def test_a_file_that_cannot_be_written_is_told(keep: Any, folder: Path) -> None:
    """A flush says so, and the service goes on."""
    first = keep(folder)
    first.collection("entries").insert_one({"_id": 1})
    (folder / "mongo.json").mkdir()
    with pytest.raises(Unavailable, match="could not be saved"):
        first.flush()
    (folder / "mongo.json").rmdir()
    first.close()
    assert keep(folder).collection("entries").find_one() == {"_id": 1}


def test_one_service_at_a_time_keeps_the_file(keep: Any, folder: Path) -> None:
    """The other is told who does; when that one is closed, it works."""
    first, second = keep(folder), keep(folder)
    first.collection("entries").insert_one({"_id": 1})
    with pytest.raises(Unavailable, match=r"is kept by .* set MONGO_URL"):
        second.collection("entries")
    first.close()
    assert second.collection("entries").find_one() == {"_id": 1}


PROGRAM = """if True:
    import sys
    from pathlib import Path
    from quorum.services.mongo.memory import MemoryMongo
    from quorum.settings import MongoSettings
    mongo = MemoryMongo(MongoSettings(), database="shop", data_path=Path(sys.argv[1]))
    mongo.collection("entries").insert_one({"_id": 1})
    print("ready", flush=True)
"""


def run(folder: Path, code: str = "", **options: Any) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", PROGRAM + code, str(folder)]
    return subprocess.Popen(program, stdin=-1, stdout=-1, text=True, **options)


def test_it_is_saved_when_the_interpreter_ends(keep: Any, folder: Path) -> None:
    """Also where nobody unloads the application."""
    with run(folder) as process:
        assert process.communicate(timeout=30)[0] == "ready\n"
    assert process.returncode == 0
    assert keep(folder).collection("entries").find_one() == {"_id": 1}


def test_another_process_is_told_who_keeps_the_file(keep: Any, folder: Path) -> None:
    """By its process id; a kill lets go of it, with what was flushed."""
    with run(folder, "    mongo.flush()\n    print(flush=True)\n    input()") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "\n"]
        waiting = keep(folder)
        with pytest.raises(Unavailable, match=f"process {process.pid}"):
            waiting.ping()
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert waiting.collection("entries").find_one() == {"_id": 1}


def test_a_kill_while_it_saves_leaves_a_whole_file(keep: Any, folder: Path) -> None:
    """Either the old state or the new."""
    code = """
    while True:
        mongo.collection("entries").insert_many([{"n": "x" * 1000} for _ in range(50)])
        mongo.flush()
"""
    with run(folder, code) as process:
        wait_until((folder / "mongo.json").exists, 30)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert (keep(folder).collection("entries").count_documents({}) - 1) % 50 == 0


def test_nothing_is_left_beside_the_file(keep: Any, folder: Path) -> None:
    """No temporary file stays."""
    first = keep(folder)
    first.collection("entries").insert_one({})
    for _ in range(3):
        first.flush()
    first.close()
    assert {path.name for path in folder.iterdir()} <= {"mongo.json", "mongo.json.lock"}


# Forks


@forks
def test_a_child_goes_on_with_its_own_copy(twin: MemoryMongo) -> None:
    """What it writes is its own, and it never hangs."""
    entries = twin.collection("entries")
    entries.insert_one({"_id": 1, "n": 1})

    def work() -> None:
        assert twin.collection("entries").find_one() == {"_id": 1, "n": 1}
        twin.collection("entries").insert_one({"_id": 2})
        entries.update_one({"_id": 1}, {"$set": {"n": 2}})
        assert entries.count_documents({}) == 2

    assert in_child(work) == 0
    assert list(entries.find()) == [{"_id": 1, "n": 1}]


@forks
def test_forks_while_threads_work_leave_children_that_work(twin: MemoryMongo) -> None:
    """Whatever the threads of the parent were in the midst of."""
    entries = twin.collection("entries")
    entries.create_index("name", unique=True)
    entries.insert_one({"_id": 0, "n": 0})
    ended = threading.Event()

    def work(thread: int) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            entries.insert_one({"name": f"{thread}-{number}"})
            entries.update_one({"_id": 0}, {"$inc": {"n": 1}})
            entries.count_documents({"name": {"$regex": "^1"}})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()

    def child() -> None:
        entries.update_one({"_id": 0}, {"$inc": {"n": 1}})
        entries.insert_one({"name": "child"})
        assert entries.count_documents({"name": "child"}) == 1
        with twin.client.start_session() as session, session.start_transaction():
            entries.delete_many({}, session=session)
        assert entries.count_documents({}) == 0

    statuses = [in_child(child) for _ in range(15)]
    ended.set()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 15


@forks
def test_a_child_does_not_write_the_file_of_its_parent(keep: Any, folder: Path) -> None:
    """It is told that the parent keeps it, also by a collection that it inherited."""
    first = keep(folder)
    entries = first.collection("entries")
    entries.insert_one({"_id": 1})

    def work() -> None:
        with pytest.raises(Unavailable, match="set MONGO_URL"):
            first.collection("entries")
        with pytest.raises(Unavailable, match="forked from"):
            entries.insert_one({"_id": 2})
        first.close()

    assert in_child(work) == 0
    entries.insert_one({"_id": 3})
    first.close()
    assert [each["_id"] for each in keep(folder).collection("entries").find()] == [1, 3]


@forks
def test_a_child_keeps_the_file_where_the_parent_never_used_it(keep: Any, folder: Path) -> None:
    """As under a server that loads the application before it forks one worker."""
    first = keep(folder)

    def work() -> None:
        first.collection("entries").insert_one({"_id": 1})
        first.close()

    assert in_child(work) == 0
    assert first.collection("entries").find_one() == {"_id": 1}


def test_the_file_names_its_version(keep: Any, folder: Path) -> None:
    """So that a newer Quorum can tell."""
    first = keep(folder)
    first.collection("entries").insert_one({})
    first.close()
    assert json.loads((folder / "mongo.json").read_text())["version"] == 1
