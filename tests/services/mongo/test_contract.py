"""What every mongo service promises: one suite for the embedded twin and for a server."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import gridfs
import pymongo
import pytest
from bson import (
    Binary,
    Code,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.errors import InvalidDocument
from pymongo import (
    DeleteMany,
    DeleteOne,
    IndexModel,
    InsertOne,
    MongoClient,
    ReplaceOne,
    ReturnDocument,
    UpdateMany,
    UpdateOne,
)
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    CollectionInvalid,
    ConfigurationError,
    DocumentTooLarge,
    DuplicateKeyError,
    InvalidName,
    InvalidOperation,
    OperationFailure,
    WriteError,
)

from quorum.errors import Rejected, Unavailable
from tests.waiting import wait_until

NOON = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)


def put(collection: Any, *values: Any) -> None:
    """Insert documents whose ids are 1, 2, 3, …, each with a value `n`."""
    collection.insert_many([{"_id": number, "n": n} for number, n in enumerate(values, 1)])


def ns(found: Any) -> list[Any]:
    return [document["n"] for document in found]


# What is handed out


def test_it_hands_out_the_drivers_own_objects(mongo: Any) -> None:
    """Client, database and collection are pymongo's, whichever driver serves."""
    assert isinstance(mongo.client, MongoClient)
    assert isinstance(mongo.database, Database)
    assert isinstance(mongo.collection("entries"), Collection)


def test_a_collection_is_one_of_the_database(mongo: Any) -> None:
    """`collection` is short for the database's own."""
    mongo.collection("entries").insert_one({"_id": 1})
    assert mongo.database["entries"].find_one() == {"_id": 1}
    assert mongo.client[mongo.database.name].entries.count_documents({}) == 1
    assert mongo.collection("entries").full_name == f"{mongo.database.name}.entries"


def test_the_database_is_the_one_named(mongo: Any) -> None:
    """A document is in that database, and only there."""
    mongo.collection("entries").insert_one({"_id": 1})
    assert mongo.database.name in mongo.client.list_database_names()
    assert mongo.client["another-one"].entries.find_one() is None


def test_a_verb_of_the_client_is_pointed_to(mongo: Any) -> None:
    """Asking the service itself for what is pymongo's says where it is."""
    with pytest.raises(AttributeError, match=r"container\.mongo\(\)\.client"):
        mongo.find_one({})


def test_ping_returns(mongo: Any) -> None:
    """A server that answers, and a twin, answer a ping."""
    assert mongo.ping() is None


def test_calls_are_counted(mongo: Any) -> None:
    """Each command is a call, with its seconds."""
    before = mongo.counts.calls
    mongo.collection("entries").insert_one({})
    mongo.collection("entries").find_one()
    assert mongo.counts.calls - before == 2
    assert mongo.counts.seconds > 0


def test_a_failed_call_is_counted_as_one(mongo: Any) -> None:
    """What the server refuses is a failure."""
    mongo.collection("entries").insert_one({})
    assert mongo.counts.failures == 0
    with pytest.raises(OperationFailure):
        mongo.collection("entries").drop_index("missing")
    assert mongo.counts.failures == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a$b",
        "$cmd",
        ".a",
        "a.",
        "a..b",
        "a\0b",
        "\0",
        ".",
        "..",
        "a" * 256,
        "é" * 128,
        "\ud800",
    ],
    ids=ascii,
)
def test_a_bad_name_of_a_collection_is_refused(mongo: Any, name: str) -> None:
    """A name that MongoDB does not allow is an error of ours, before anything is sent."""
    calls = mongo.counts.calls
    with pytest.raises(Rejected, match="mongo: "):
        mongo.collection(name)
    assert mongo.counts.calls == calls


@pytest.mark.parametrize("name", [None, 5, b"entries", ["entries"]], ids=str)
def test_what_is_no_name_of_a_collection_is_refused(mongo: Any, name: Any) -> None:
    """A collection is named by text."""
    with pytest.raises(Rejected, match="a collection is named by text"):
        mongo.collection(name)


@pytest.mark.parametrize("name", ["a", "a.b", "a-b", "ação", "a b", "_a", "A" * 200])
def test_a_good_name_of_a_collection_is_taken(mongo: Any, name: str) -> None:
    """Whatever MongoDB allows is a collection."""
    mongo.collection(name).insert_one({"_id": 1})
    assert mongo.database.list_collection_names() == [name]


def test_close_is_final(mongo: Any) -> None:
    """A closed service refuses all there is, however often it was closed."""
    mongo.collection("entries").insert_one({})
    mongo.client.drop_database(mongo.database.name)
    mongo.close()
    mongo.close()
    for ask in (
        lambda: mongo.client,
        lambda: mongo.database,
        lambda: mongo.collection("entries"),
        mongo.ping,
    ):
        with pytest.raises(Unavailable, match="closed"):
            ask()


def test_what_was_handed_out_before_the_close_is_closed_too(mongo: Any) -> None:
    """A collection that was kept raises what pymongo does after a close."""
    entries = mongo.collection("entries")
    entries.insert_one({"_id": 1})
    mongo.client.drop_database(mongo.database.name)
    mongo.close()
    with pytest.raises(InvalidOperation, match="after close"):
        entries.insert_one({"_id": 2})
    with pytest.raises(InvalidOperation, match="after close"):
        entries.find_one()


def test_a_service_that_was_never_used_can_be_closed(mongo: Any) -> None:
    """There is nothing to let go of."""
    mongo.close()
    with pytest.raises(Unavailable):
        mongo.ping()


# Values


class Colour(StrEnum):
    """A choice of the application."""

    RED = "red"


VALUES = {
    "text": "José",
    "whole": 7,
    "long": Int64(7),
    "longer": 2**40,
    "float": 1.5,
    "infinite": float("inf"),
    "true": True,
    "none": None,
    "moment": NOON,
    "id": ObjectId("5f43a1b2c3d4e5f6a7b8c9d0"),
    "money": Decimal128("12.30"),
    "bytes": b"\x00\xff",
    "binary": Binary(b"abc", 128),
    "regex": Regex("^a", "i"),
    "code": Code("f()"),
    "stamp": Timestamp(5, 6),
    "least": MinKey(),
    "most": MaxKey(),
    "list": [1, "a", [2], {"b": 3}],
    "nested": {"b": {"c": [1, 2]}, "a": 1},
    "empty": {},
    "reference": DBRef("people", 5),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_as_it_was(mongo: Any, name: str) -> None:
    """Every type of BSON makes the way there and back."""
    mongo.collection("entries").insert_one({"_id": 1, "n": VALUES[name]})
    found = mongo.collection("entries").find_one()["n"]
    assert found == VALUES[name]
    assert type(found) in {type(VALUES[name]), Int64}


def test_an_inserted_document_is_given_its_id(mongo: Any) -> None:
    """The id is in the caller's own document too, as pymongo has it."""
    document: dict[str, Any] = {"n": 1}
    result = mongo.collection("entries").insert_one(document)
    assert isinstance(result.inserted_id, ObjectId)
    assert document["_id"] == result.inserted_id
    assert result.acknowledged


def test_a_moment_is_aware_and_in_utc(mongo: Any) -> None:
    """A datetime of any zone comes back in UTC, with milliseconds."""
    zone = NOON.astimezone().tzinfo
    mongo.collection("entries").insert_one(
        {"at": NOON.astimezone(zone) + timedelta(microseconds=456)}
    )
    found = mongo.collection("entries").find_one()["at"]
    assert found == NOON
    assert found.utcoffset() == timedelta(0)


def test_moments_are_found_by_range(mongo: Any) -> None:
    """Aware moments compare, in a query and in an aggregation."""
    days = [NOON + timedelta(days=day) for day in range(5)]
    mongo.collection("entries").insert_many([{"at": day} for day in days])
    wanted = {"at": {"$gte": days[1], "$lt": days[3]}}
    assert [each["at"] for each in mongo.collection("entries").find(wanted)] == days[1:3]
    found = mongo.collection("entries").aggregate([{"$match": wanted}, {"$sort": {"at": -1}}])
    assert [each["at"] for each in found] == [days[2], days[1]]


def test_money_is_compared_and_added_without_loss(mongo: Any) -> None:
    """Decimal128 is a number to a query, and to $inc and $mul."""
    entries = mongo.collection("entries")
    put(entries, Decimal128("1.10"), Decimal128("2.20"), Decimal128("10"))
    assert [each["_id"] for each in entries.find({"n": {"$gt": Decimal128("2")}})] == [2, 3]
    entries.update_one({"_id": 1}, {"$inc": {"n": Decimal128("0.20")}})
    entries.update_one({"_id": 2}, {"$mul": {"n": Decimal128("2")}})
    assert [each["n"].to_decimal() for each in entries.find({"_id": {"$lt": 3}})] == [
        Decimal("1.30"),
        Decimal("4.40"),
    ]


def test_what_bson_cannot_hold_is_refused(mongo: Any) -> None:
    """A set is no value, in a document as in a query."""
    with pytest.raises(InvalidDocument):
        mongo.collection("entries").insert_one({"n": {1, 2}})
    with pytest.raises(InvalidDocument):
        mongo.collection("entries").find_one({"n": {1, 2}})
    assert mongo.collection("entries").count_documents({}) == 0


def test_a_uuid_needs_to_be_told_its_form(mongo: Any) -> None:
    """As with pymongo: refused by default, native with codec options."""
    with pytest.raises(ValueError, match="UuidRepresentation"):
        mongo.collection("entries").insert_one({"n": uuid4()})
    standard = mongo.collection("entries").with_options(
        codec_options=CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
    )
    value = uuid4()
    standard.insert_one({"n": value})
    assert standard.find_one({"n": value})["n"] == value
    assert isinstance(standard.find_one()["n"], UUID)
    assert isinstance(mongo.collection("entries").find_one()["n"], Binary)


def test_what_comes_back_is_no_part_of_what_is_kept(mongo: Any) -> None:
    """Changing a document that was inserted or found changes nothing there."""
    document = {"_id": 1, "tags": ["a"]}
    mongo.collection("entries").insert_one(document)
    document["tags"].append("b")  # type: ignore[attr-defined]
    mongo.collection("entries").find_one()["tags"].append("c")
    assert mongo.collection("entries").find_one() == {"_id": 1, "tags": ["a"]}


def test_a_tuple_comes_back_as_a_list_and_an_enumeration_as_text(mongo: Any) -> None:
    """What is kept is BSON, not Python."""
    mongo.collection("entries").insert_one({"_id": 1, "n": (1, 2), "colour": Colour.RED})
    mongo.collection("entries").update_one({}, {"$set": {"m": (3,), "other": Colour.RED}})
    found = mongo.collection("entries").find_one()
    assert found == {"_id": 1, "n": [1, 2], "colour": "red", "m": [3], "other": "red"}
    assert type(found["colour"]) is type(found["other"]) is str


def test_a_document_above_16_mib_is_refused(mongo: Any) -> None:
    """And one below is taken."""
    mongo.collection("entries").insert_one({"_id": 1, "n": "x" * 8_000_000})
    with pytest.raises(DocumentTooLarge):
        mongo.collection("entries").insert_one({"n": "x" * 17_000_000})
    assert len(mongo.collection("entries").find_one()["n"]) == 8_000_000


@pytest.mark.parametrize("key", [1, "a", ObjectId(), 1.5, {"a": 1, "b": [2]}, NOON, True, None])
def test_an_id_may_be_of_many_types(mongo: Any, key: Any) -> None:
    """A document is found, changed and deleted by it."""
    entries = mongo.collection("entries")
    entries.insert_one({"_id": key, "n": 1})
    assert entries.update_one({"_id": key}, {"$set": {"n": 2}}).modified_count == 1
    assert entries.find_one({"_id": key}) == {"_id": key, "n": 2}
    with pytest.raises(DuplicateKeyError):
        entries.insert_one({"_id": key})
    assert entries.delete_one({"_id": key}).deleted_count == 1


# Queries

PEOPLE = [
    {"_id": 1, "name": "Ana", "age": 30, "tags": ["a", "b"], "home": {"city": "Porto"}},
    {"_id": 2, "name": "Rui", "age": 25, "tags": ["b"], "home": {"city": "Lisboa"}},
    {"_id": 3, "name": "Eva", "age": 35, "tags": [], "home": {"city": "Porto"}},
    {"_id": 4, "name": "Zé", "tags": ["c", "a"], "marks": [{"s": "x", "n": 5}, {"s": "y", "n": 9}]},
]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, [1, 2, 3, 4]),
        ({"name": "Ana"}, [1]),
        ({"age": {"$gt": 25}}, [1, 3]),
        ({"age": {"$gte": 25, "$lte": 30}}, [1, 2]),
        ({"age": {"$ne": 30}}, [2, 3, 4]),
        ({"age": {"$in": [25, 35]}}, [2, 3]),
        ({"age": {"$nin": [25, 35]}}, [1, 4]),
        ({"age": {"$exists": False}}, [4]),
        ({"age": None}, [4]),
        ({"name": {"$regex": "^a", "$options": "i"}}, [1]),
        ({"name": re.compile("^[ER]")}, [2, 3]),
        ({"$or": [{"name": "Ana"}, {"age": 25}]}, [1, 2]),
        ({"$and": [{"age": {"$gt": 20}}, {"home.city": "Porto"}]}, [1, 3]),
        ({"$nor": [{"name": "Ana"}, {"age": 25}]}, [3, 4]),
        ({"age": {"$not": {"$gt": 25}}}, [2, 4]),
        ({"tags": "a"}, [1, 4]),
        ({"tags": ["b"]}, [2]),
        ({"tags": {"$all": ["a", "b"]}}, [1]),
        ({"tags": {"$size": 0}}, [3]),
        ({"tags.0": "c"}, [4]),
        ({"home.city": "Lisboa"}, [2]),
        ({"marks": {"$elemMatch": {"s": "y", "n": {"$gt": 8}}}}, [4]),
        ({"marks.n": 5}, [4]),
        ({"$expr": {"$gt": ["$age", 30]}}, [3]),
        ({"age": {"$type": "int"}}, [1, 2, 3]),
        ({"_id": {"$in": [1, 4]}, "tags": "b"}, [1]),
        ({"_id": 1, "name": "Rui"}, []),
    ],
    ids=str,
)
def test_a_query_finds(mongo: Any, query: Any, ids: list[int]) -> None:
    """Each operator finds the documents that it should."""
    mongo.collection("people").insert_many(PEOPLE)
    assert [each["_id"] for each in mongo.collection("people").find(query).sort("_id")] == ids
    assert mongo.collection("people").count_documents(query) == len(ids)


MIXED = [1, True, 1.0, Decimal128("1"), "1", None, [1, 2], {"a": 1, "b": 2}, {"b": 2, "a": 1}, NOON,
         [], 0, False, b"x", "", Int64(1)]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (1, [1, 3, 4, 7, 16]),
        (True, [2]),
        (False, [13]),
        (0, [12]),
        (Decimal128("1"), [1, 3, 4, 7, 16]),
        ({"$in": [True, "1"]}, [2, 5]),
        ({"$gt": 0}, [1, 3, 4, 7, 16]),
        ({"$gte": Decimal128("0.5"), "$lt": 2}, [1, 3, 4, 7, 16]),
        ({"a": 1, "b": 2}, [8]),
        ({"$size": 2}, [7]),
        ({"$size": 0}, [11]),
        ({"$lt": "a"}, [5, 15]),
        (b"x", [14]),
        ([1, 2], [7]),
        ({"$gt": NOON - timedelta(days=1)}, [10]),
        ({"$type": "number"}, [1, 3, 4, 7, 12, 16]),
        ({"$type": "decimal"}, [4]),
        ({"$type": "bool"}, [2, 13]),
        ({"$type": "long"}, [16]),
    ],
    ids=str,
)
def test_values_of_several_types_are_told_apart(mongo: Any, query: Any, ids: list[int]) -> None:
    """Numbers are equal whatever their type, and nothing else is equal to one."""
    put(mongo.collection("entries"), *MIXED)
    assert [each["_id"] for each in mongo.collection("entries").find({"n": query})] == ids


@pytest.mark.parametrize(
    ("wanted", "ids"), [(1, [1, 3, 4, 16]), (True, [2]), (False, [13]), (0, [12])]
)
def test_expressions_tell_types_apart_too(mongo: Any, wanted: Any, ids: list[int]) -> None:
    """As queries do."""
    put(mongo.collection("entries"), *MIXED)
    query = {"$expr": {"$eq": ["$n", wanted]}}
    assert [each["_id"] for each in mongo.collection("entries").find(query)] == ids
    others = mongo.collection("entries").count_documents({"$expr": {"$ne": ["$n", wanted]}})
    assert others == len(MIXED) - len(ids)


def test_numbers_of_several_types_are_summed_and_sorted(mongo: Any) -> None:
    """Money too."""
    put(mongo.collection("entries"), Decimal128("2.10"), 1, Decimal128("0.90"))
    assert [each["_id"] for each in mongo.collection("entries").find().sort("n")] == [3, 2, 1]
    stage = {"$group": {"_id": None, "sum": {"$sum": "$n"}, "most": {"$max": "$n"}}}
    (found,) = mongo.collection("entries").aggregate([stage])
    assert (found["sum"], found["most"]) == (Decimal128("4.00"), Decimal128("2.10"))


def test_a_cursor_sorts_skips_limits_and_projects(mongo: Any) -> None:
    """As chained calls and as arguments."""
    people = mongo.collection("people")
    people.insert_many(PEOPLE)
    found = people.find({}, {"name": 1, "_id": 0}).sort([("age", -1), ("name", 1)]).skip(1).limit(2)
    assert list(found) == [{"name": "Ana"}, {"name": "Rui"}]
    found = people.find({}, ["name"], sort=[("age", 1)], skip=1, limit=1, batch_size=2)
    assert list(found) == [{"_id": 2, "name": "Rui"}]
    assert people.find_one(sort=[("age", -1)])["name"] == "Eva"
    assert people.find_one(3)["name"] == "Eva"
    assert people.find_one({"name": "Nobody"}) is None


def test_a_projection_leaves_out_and_slices(mongo: Any) -> None:
    """Exclusion, $slice and $elemMatch."""
    people = mongo.collection("people")
    people.insert_many(PEOPLE)
    assert people.find_one({"_id": 1}, {"home": 0, "tags": 0, "age": 0}) == {
        "_id": 1,
        "name": "Ana",
    }
    found = people.find_one({"_id": 4}, {"tags": {"$slice": 1}, "marks": {"$elemMatch": {"n": 9}}})
    assert (found["tags"], found["marks"]) == (["c"], [{"s": "y", "n": 9}])


def test_a_cursor_gives_more_than_a_batch(mongo: Any) -> None:
    """Each document once, however many batches it takes."""
    put(mongo.collection("entries"), *range(3000))
    found = mongo.collection("entries").find(batch_size=100).sort("_id")
    assert ns(found) == list(range(3000))


def test_a_cursor_may_be_rewound_indexed_cloned_and_listed(mongo: Any) -> None:
    """The rest of what pymongo's cursor does."""
    put(mongo.collection("entries"), 1, 2, 3)
    cursor = mongo.collection("entries").find().sort("_id")
    assert ns(cursor) == [1, 2, 3]
    assert ns(cursor.rewind()) == [1, 2, 3]
    assert ns(cursor.clone()[1:3]) == [2, 3]
    assert mongo.collection("entries").find().sort("_id")[0]["n"] == 1
    assert ns(mongo.collection("entries").find().sort("_id").to_list()) == [1, 2, 3]
    assert sorted(mongo.collection("entries").find().distinct("n")) == [1, 2, 3]
    with mongo.collection("entries").find() as open_cursor:
        assert open_cursor.alive


def test_distinct_gives_each_value_once(mongo: Any) -> None:
    """The elements of arrays are values."""
    mongo.collection("people").insert_many(PEOPLE)
    assert sorted(mongo.collection("people").distinct("tags")) == ["a", "b", "c"]
    assert mongo.collection("people").distinct("home.city", {"age": 25}) == ["Lisboa"]


def test_counts_skip_and_limit(mongo: Any) -> None:
    """And an estimate is the number of all."""
    put(mongo.collection("entries"), *range(10))
    assert mongo.collection("entries").count_documents({"n": {"$gt": 2}}, skip=1, limit=3) == 3
    assert mongo.collection("entries").estimated_document_count() == 10


# Updates


@pytest.mark.parametrize(
    ("before", "update", "after"),
    [
        ({"n": 1}, {"$set": {"n": 2, "m.o": 3}}, {"n": 2, "m": {"o": 3}}),
        ({"n": 1, "m": 2}, {"$unset": {"m": ""}}, {"n": 1}),
        ({"n": 1}, {"$inc": {"n": 2, "k": -1, "deep.er": 1}}, {"n": 3, "k": -1, "deep": {"er": 1}}),
        ({"n": 3}, {"$mul": {"n": 2, "k": 5}}, {"n": 6, "k": 0}),
        ({"n": 5}, {"$min": {"n": 3}, "$max": {"m": 4}}, {"n": 3, "m": 4}),
        ({"n": 1}, {"$rename": {"n": "m"}}, {"m": 1}),
        ({"n": [1]}, {"$push": {"n": 2}}, {"n": [1, 2]}),
        ({"n": [1]}, {"$push": {"n": {"$each": [3, 2], "$slice": -2, "$sort": 1}}}, {"n": [2, 3]}),
        ({"n": [1, 2]}, {"$addToSet": {"n": {"$each": [2, 3]}}}, {"n": [1, 2, 3]}),
        ({"n": [1, 2, 1]}, {"$pull": {"n": 1}}, {"n": [2]}),
        ({"n": [1, 5, 9]}, {"$pull": {"n": {"$gt": 4}}}, {"n": [1]}),
        ({"n": [1, 2, 3]}, {"$pullAll": {"n": [1, 3]}}, {"n": [2]}),
        ({"n": [1, 2]}, {"$pop": {"n": -1}}, {"n": [2]}),
        ({"n": 5}, {"$bit": {"n": {"and": 4}}}, {"n": 4}),
        ({"n": 1}, {"$setOnInsert": {"m": 1}, "$set": {"n": 2}}, {"n": 2}),
        ({"n": 1}, [{"$set": {"m": {"$add": ["$n", 1]}}}], {"n": 1, "m": 2}),
    ],
    ids=str,
)
def test_an_update_changes(mongo: Any, before: Any, update: Any, after: Any) -> None:
    """Each operator does what it should."""
    mongo.collection("entries").insert_one({"_id": 1, **before})
    result = mongo.collection("entries").update_one({"_id": 1}, update)
    assert (result.matched_count, result.modified_count) == (1, 1)
    assert mongo.collection("entries").find_one() == {"_id": 1, **after}


def test_an_update_inside_an_array(mongo: Any) -> None:
    """The element that matched, all of them, and those of a filter."""
    entries = mongo.collection("entries")
    entries.insert_one({"_id": 1, "a": [{"k": "x", "v": 1}, {"k": "y", "v": 2}]})
    entries.update_one({"a.k": "y"}, {"$set": {"a.$.v": 20}})
    entries.update_one({}, {"$inc": {"a.$[].v": 1}})
    entries.update_one({}, {"$set": {"a.$[e].v": 0}}, array_filters=[{"e.k": "x"}])
    assert entries.find_one()["a"] == [{"k": "x", "v": 0}, {"k": "y", "v": 21}]
    entries.find_one_and_update({}, {"$set": {"a.$[e].v": 7}}, array_filters=[{"e.k": "y"}])
    entries.bulk_write([UpdateOne({}, {"$set": {"a.$[e].v": 8}}, array_filters=[{"e.k": "x"}])])
    assert [each["v"] for each in entries.find_one()["a"]] == [8, 7]


def test_the_current_date_is_set(mongo: Any) -> None:
    """By the server's clock, aware."""
    mongo.collection("entries").insert_one({"_id": 1})
    mongo.collection("entries").update_one({}, {"$currentDate": {"at": True}})
    assert abs(mongo.collection("entries").find_one()["at"] - datetime.now(UTC)) < timedelta(
        minutes=1
    )


def test_updates_tell_what_they_did(mongo: Any) -> None:
    """Matched, modified, upserted."""
    entries = mongo.collection("entries")
    put(entries, 1, 1, 2)
    result = entries.update_many({"n": 1}, {"$set": {"n": 1, "m": 1}})
    assert (result.matched_count, result.modified_count, result.upserted_id) == (2, 2, None)
    result = entries.update_one({"n": 2}, {"$set": {"n": 2}})
    assert (result.matched_count, result.modified_count) == (1, 0)
    result = entries.update_one({"n": 9}, {"$set": {"n": 9}})
    assert (result.matched_count, result.modified_count) == (0, 0)
    result = entries.update_one({"n": 9}, {"$setOnInsert": {"m": 3}}, upsert=True)
    assert (result.matched_count, result.modified_count) == (0, 0)
    assert entries.find_one({"_id": result.upserted_id}) == {
        "_id": result.upserted_id,
        "n": 9,
        "m": 3,
    }
    result = entries.update_one({"_id": "own"}, {"$inc": {"n": 1}}, upsert=True)
    assert result.upserted_id == "own"
    assert entries.find_one({"_id": "own"}) == {"_id": "own", "n": 1}


def test_a_replacement_keeps_the_id(mongo: Any) -> None:
    """By whatever query, and upserted where there is none."""
    entries = mongo.collection("entries")
    put(entries, 1, 2)
    assert entries.replace_one({"_id": {"$in": [2]}}, {"m": 5}).modified_count == 1
    assert entries.find_one({"_id": 2}) == {"_id": 2, "m": 5}
    entries.replace_one({"_id": 3}, {"m": 6}, upsert=True)
    assert entries.find_one({"_id": 3}) == {"_id": 3, "m": 6}
    with pytest.raises(ValueError, match="operators"):
        entries.replace_one({"_id": 1}, {"$set": {"n": 3}})
    with pytest.raises(ValueError, match="operators"):
        entries.update_one({"_id": 1}, {"n": 3})


@pytest.mark.parametrize(
    "update",
    [
        {"$inc": {"name": 1}},
        {"$inc": {"n": "1"}},
        {"$set": {"_id": 2}},
        {"$set": {"n": 1}, "$inc": {"n": 1}},
        {"$nonsense": {"n": 1}},
        {"$push": {"name": 1}},
    ],
    ids=str,
)
def test_an_update_that_is_refused_changes_nothing(mongo: Any, update: Any) -> None:
    """The document is as it was, also where a part of the update was right."""
    document = {"_id": 1, "n": 1, "name": "Ana"}
    mongo.collection("entries").insert_one(document)
    with pytest.raises(WriteError):
        mongo.collection("entries").update_one({"_id": 1}, update)
    assert mongo.collection("entries").find_one() == document


@pytest.mark.parametrize(
    "call",
    [
        lambda entries: entries.update_one("a", {"$set": {"n": 1}}),
        lambda entries: entries.update_one({}, 5),
        lambda entries: entries.update_one({}),
        lambda entries: entries.update_one({}, {"$set": {"n": 1}}, nonsense=1),
        lambda entries: entries.replace_one({}, 5),
        lambda entries: entries.delete_many(None),
        lambda entries: entries.find_one_and_delete([]),
        lambda entries: entries.insert_one(5),
        lambda entries: list(entries.find(["a"])),
        lambda entries: entries.create_index(5),
        lambda entries: entries.create_indexes(["n"]),
        lambda entries: entries.aggregate("a"),
        lambda entries: entries.drop_index(5),
        lambda entries: entries.rename(5),
        lambda entries: entries.distinct(5),
        lambda entries: entries.database.drop_collection(5),
        lambda entries: entries.database.client.drop_database(5),
    ],
)
def test_arguments_of_the_wrong_kind_are_told_as_pymongo_does(mongo: Any, call: Any) -> None:
    """A TypeError, before anything is done."""
    put(mongo.collection("entries"), 1)
    with pytest.raises(TypeError):
        call(mongo.collection("entries"))
    assert ns(mongo.collection("entries").find()) == [1]


@pytest.mark.parametrize(
    ("before", "operator", "value", "after"),
    [
        (5, "$min", "a", 5),
        (5, "$max", "a", "a"),
        (None, "$max", 1, 1),
        (Decimal128("2"), "$min", Decimal128("1.5"), Decimal128("1.5")),
        (NOON, "$max", NOON + timedelta(days=1), NOON + timedelta(days=1)),
    ],
    ids=str,
)
def test_the_least_and_the_most_of_any_type(
    mongo: Any, before: Any, operator: str, value: Any, after: Any
) -> None:
    """Values of other types compare as BSON orders them."""
    mongo.collection("entries").insert_one({"_id": 1, "n": before})
    mongo.collection("entries").update_one({}, {operator: {"n": value}})
    assert mongo.collection("entries").find_one()["n"] == after


def test_find_one_and_change(mongo: Any) -> None:
    """Before or after, the first by a sort, with a projection."""
    entries = mongo.collection("entries")
    put(entries, 3, 1, 2)
    assert entries.find_one_and_update({}, {"$inc": {"n": 10}}, sort=[("n", 1)]) == {
        "_id": 2,
        "n": 1,
    }
    found = entries.find_one_and_update(
        {"_id": 2}, {"$inc": {"n": 1}}, {"_id": 0}, return_document=ReturnDocument.AFTER
    )
    assert found == {"n": 12}
    assert entries.find_one_and_update({"_id": 9}, {"$set": {"n": 1}}) is None
    assert entries.find_one_and_update({"_id": 9}, {"$set": {"n": 1}}, upsert=True) is None
    after = entries.find_one_and_replace({"_id": 9}, {"m": 1}, return_document=ReturnDocument.AFTER)
    assert after == {"_id": 9, "m": 1}
    assert entries.find_one_and_delete({}, sort=[("_id", -1)]) == {"_id": 9, "m": 1}
    assert entries.find_one_and_delete({"_id": 9}) is None
    assert entries.count_documents({}) == 3


def test_deletes_tell_how_many(mongo: Any) -> None:
    """One, many, none."""
    put(mongo.collection("entries"), 1, 1, 2, 3)
    assert mongo.collection("entries").delete_one({"n": 1}).deleted_count == 1
    assert mongo.collection("entries").delete_many({"n": {"$lt": 3}}).deleted_count == 2
    assert mongo.collection("entries").delete_many({"n": 9}).deleted_count == 0


def test_writes_in_one_call(mongo: Any) -> None:
    """bulk_write does each kind, and counts them."""
    put(mongo.collection("entries"), 1, 2, 3, 4)
    result = mongo.collection("entries").bulk_write(
        [
            InsertOne({"_id": 5, "n": 5}),
            UpdateOne({"n": 1}, {"$set": {"n": 10}}),
            UpdateMany({"n": {"$gte": 4}}, {"$inc": {"n": 1}}),
            ReplaceOne({"n": 2}, {"n": 20}),
            UpdateOne({"_id": 9}, {"$set": {"n": 9}}, upsert=True),
            DeleteOne({"n": 3}),
            DeleteMany({"n": {"$gt": 19}}),
        ]
    )
    counts = (result.inserted_count, result.matched_count, result.modified_count)
    assert counts == (1, 5, 5)
    assert (result.deleted_count, result.upserted_count, result.upserted_ids) == (2, 1, {4: 9})
    assert sorted(ns(mongo.collection("entries").find())) == [5, 6, 9, 11]


@pytest.mark.parametrize(("ordered", "kept"), [(True, [1, 2]), (False, [1, 2, 3])])
def test_a_failed_write_among_others(mongo: Any, ordered: bool, kept: list[int]) -> None:
    """Ordered, those after it are not done; else they are; the error tells which failed."""
    documents = [{"_id": 1}, {"_id": 2}, {"_id": 1}, {"_id": 3}]
    with pytest.raises(BulkWriteError) as caught:
        mongo.collection("entries").insert_many(documents, ordered=ordered)
    (error,) = caught.value.details["writeErrors"]
    assert (error["index"], error["code"], error["op"]) == (2, 11000, {"_id": 1})
    assert caught.value.details["nInserted"] == len(kept)
    assert [each["_id"] for each in mongo.collection("entries").find().sort("_id")] == kept


@pytest.mark.parametrize("documents", [[], None, {"a": 1}, 5, [5]], ids=str)
def test_what_is_no_list_of_documents_is_refused(mongo: Any, documents: Any) -> None:
    """As pymongo does, before anything is written."""
    with pytest.raises((TypeError, InvalidOperation)):
        mongo.collection("entries").insert_many(documents)
    with pytest.raises((TypeError, InvalidOperation)):
        mongo.collection("entries").bulk_write(documents)
    assert mongo.database.list_collection_names() == []


def test_threads_add_up(mongo: Any) -> None:
    """$inc of eight threads at once loses none."""
    entries = mongo.collection("entries")
    entries.insert_one({"_id": 1, "n": 0})

    def add() -> None:
        for _ in range(25):
            entries.update_one({"_id": 1}, {"$inc": {"n": 1}})
            entries.insert_one({})

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert entries.find_one({"_id": 1})["n"] == 200
    assert entries.count_documents({}) == 201


def test_one_thread_of_many_wins_a_unique_value(mongo: Any) -> None:
    """Eight threads insert the same name: one does, the others are told."""
    mongo.collection("entries").create_index("name", unique=True)
    outcomes: list[bool] = []

    def insert() -> None:
        try:
            mongo.collection("entries").insert_one({"name": "Ana"})
            outcomes.append(True)
        except DuplicateKeyError:
            outcomes.append(False)

    threads = [threading.Thread(target=insert) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 7 + [True]


# Indexes


def test_a_unique_index_refuses_a_second(mongo: Any) -> None:
    """On insert, update, replace and upsert, with the key in the error."""
    entries = mongo.collection("entries")
    assert entries.create_index("email", unique=True) == "email_1"
    entries.insert_many([{"_id": 1, "email": "a"}, {"_id": 2, "email": "b"}])
    with pytest.raises(DuplicateKeyError, match=r"E11000 duplicate key error.*email_1") as caught:
        entries.insert_one({"email": "a"})
    assert caught.value.code == 11000
    assert caught.value.details["keyPattern"] == {"email": 1}
    assert caught.value.details["keyValue"] == {"email": "a"}
    for change in (
        lambda: entries.update_one({"_id": 2}, {"$set": {"email": "a"}}),
        lambda: entries.replace_one({"_id": 2}, {"email": "a"}),
        lambda: entries.update_one({"_id": 3}, {"$set": {"email": "a"}}, upsert=True),
        lambda: entries.find_one_and_update({"_id": 2}, {"$set": {"email": "a"}}),
    ):
        with pytest.raises(DuplicateKeyError):
            change()
    assert list(entries.find()) == [{"_id": 1, "email": "a"}, {"_id": 2, "email": "b"}]
    entries.delete_one({"_id": 1})
    entries.update_one({"_id": 2}, {"$set": {"email": "a"}})


def test_a_missing_field_is_a_value_of_a_unique_index(mongo: Any) -> None:
    """Two documents without it meet, unless the index is sparse."""
    mongo.collection("strict").create_index("email", unique=True)
    mongo.collection("sparse").create_index("email", unique=True, sparse=True)
    mongo.collection("strict").insert_one({})
    with pytest.raises(DuplicateKeyError):
        mongo.collection("strict").insert_one({})
    mongo.collection("sparse").insert_many([{}, {}])


def test_a_partial_index_concerns_a_part(mongo: Any) -> None:
    """Only the documents that it is for must differ."""
    entries = mongo.collection("entries")
    entries.create_index("email", unique=True, partialFilterExpression={"active": True})
    entries.insert_many([{"email": "a", "active": True}, {"email": "a", "active": False}])
    entries.insert_one({"email": "a"})
    with pytest.raises(DuplicateKeyError):
        entries.insert_one({"email": "a", "active": True})


def test_a_unique_index_over_an_array_concerns_each_element(mongo: Any) -> None:
    """Also where the array is one of documents."""
    entries = mongo.collection("entries")
    entries.create_index("tags.name", unique=True)
    entries.insert_one({"tags": [{"name": "a"}, {"name": "b"}]})
    with pytest.raises(DuplicateKeyError):
        entries.insert_one({"tags": [{"name": "c"}, {"name": "b"}]})


def test_a_compound_unique_index_compares_all_fields(mongo: Any) -> None:
    """One that differs is enough."""
    entries = mongo.collection("entries")
    entries.create_index([("a", 1), ("b", -1)], unique=True)
    entries.insert_many([{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}])
    with pytest.raises(DuplicateKeyError):
        entries.insert_one({"a": 1, "b": 2})


def test_a_unique_index_over_documents_that_meet_is_refused(mongo: Any) -> None:
    """And is not there afterwards."""
    put(mongo.collection("entries"), 1, 1)
    with pytest.raises(OperationFailure):
        mongo.collection("entries").create_index("n", unique=True)
    assert list(mongo.collection("entries").index_information()) == ["_id_"]


def test_indexes_are_listed_and_dropped(mongo: Any) -> None:
    """By name, by keys, all."""
    entries = mongo.collection("entries")
    names = entries.create_indexes(
        [
            IndexModel([("a", 1), ("b", -1)], name="both"),
            IndexModel("at", expireAfterSeconds=60),
            IndexModel([("place", "2dsphere")]),
        ]
    )
    assert names == ["both", "at_1", "place_2dsphere"]
    information = entries.index_information()
    assert information["_id_"]["key"] == [("_id", 1)]
    assert information["both"]["key"] == [("a", 1), ("b", -1)]
    assert information["at_1"]["expireAfterSeconds"] == 60
    assert sorted(each["name"] for each in entries.list_indexes()) == sorted(["_id_", *names])
    entries.drop_index("both")
    entries.drop_index([("at", 1)])
    assert sorted(entries.index_information()) == ["_id_", "place_2dsphere"]
    entries.drop_indexes()
    assert list(entries.index_information()) == ["_id_"]
    with pytest.raises(OperationFailure):
        entries.drop_index("both")


def test_creating_an_index_twice_is_one(mongo: Any) -> None:
    """As an application does each time that it starts; with other options it is refused."""
    for _ in range(2):
        assert mongo.collection("entries").create_index("n", unique=True) == "n_1"
    with pytest.raises(OperationFailure):
        mongo.collection("entries").create_index("n", unique=False)


def test_a_hint_must_be_an_index(mongo: Any) -> None:
    """One that is there is taken, one that is not is refused."""
    put(mongo.collection("entries"), 1, 2)
    mongo.collection("entries").create_index("n")
    assert ns(mongo.collection("entries").find({"n": 1}).hint("n_1")) == [1]
    assert ns(mongo.collection("entries").find({"n": 1}).hint([("n", 1)])) == [1]
    with pytest.raises(OperationFailure):
        list(mongo.collection("entries").find({"n": 1}).hint("missing"))


@pytest.mark.parametrize(
    "mongo",
    [
        "memory",
        pytest.param(
            "server",
            marks=[
                pytest.mark.live("mongo"),
                pytest.mark.xfail(reason="SecantusDB has neither", strict=True),
            ],
        ),
    ],
    indirect=True,
)
@pytest.mark.parametrize("kind", ["hashed", "text"])
def test_hashed_and_text_indexes(mongo: Any, kind: str) -> None:
    """Both are created and listed."""
    name = mongo.collection("entries").create_index([("n", kind)])
    assert name in mongo.collection("entries").index_information()


def test_documents_expire(request: pytest.FixtureRequest, mongo: Any) -> None:
    """A document whose moment is past is gone after a while; others stay."""
    entries = mongo.collection("entries")
    entries.create_index("at", expireAfterSeconds=5)
    now = datetime.now(UTC)
    entries.insert_many(
        [{"_id": 1, "at": now - timedelta(hours=1)}, {"_id": 2, "at": now}, {"_id": 3}]
    )
    if "server" in request.node.name:
        assert entries.index_information()["at_1"]["expireAfterSeconds"] == 5
        return
    wait_until(lambda: entries.count_documents({}) == 2)
    assert [each["_id"] for each in entries.find().sort("_id")] == [2, 3]


# Aggregation


@pytest.mark.parametrize(
    ("pipeline", "found"),
    [
        ([{"$match": {"age": {"$gt": 26}}}, {"$count": "n"}], [{"n": 2}]),
        (
            [
                {"$match": {"home": {"$exists": True}}},
                {"$group": {"_id": "$home.city", "n": {"$sum": 1}, "oldest": {"$max": "$age"}}},
                {"$sort": {"_id": 1}},
            ],
            [{"_id": "Lisboa", "n": 1, "oldest": 25}, {"_id": "Porto", "n": 2, "oldest": 35}],
        ),
        (
            [{"$unwind": "$tags"}, {"$sortByCount": "$tags"}, {"$limit": 1}],
            [{"_id": "a", "count": 2}],
        ),
        (
            [
                {"$sort": {"age": -1}},
                {"$limit": 1},
                {
                    "$project": {
                        "_id": 0,
                        "who": {"$toUpper": "$name"},
                        "next": {"$add": ["$age", 1]},
                    }
                },
            ],
            [{"who": "EVA", "next": 36}],
        ),
        (
            [{"$sort": {"_id": 1}}, {"$skip": 3}, {"$project": {"name": 1}}],
            [{"_id": 4, "name": "Zé"}],
        ),
        (
            [{"$match": {"_id": 1}}, {"$set": {"x": 1}}, {"$unset": ["tags", "home"]}],
            [{"_id": 1, "name": "Ana", "age": 30, "x": 1}],
        ),
        (
            [
                {
                    "$facet": {
                        "all": [{"$count": "n"}],
                        "old": [{"$match": {"age": 35}}, {"$count": "n"}],
                    }
                }
            ],
            [{"all": [{"n": 4}], "old": [{"n": 1}]}],
        ),
    ],
    ids=str,
)
def test_an_aggregation_finds(mongo: Any, pipeline: Any, found: Any) -> None:
    """The stages that applications live on."""
    mongo.collection("people").insert_many([{**each} for each in PEOPLE])
    if "$sortByCount" in str(pipeline):
        mongo.collection("people").update_one({"_id": 2}, {"$set": {"tags": []}})
    assert list(mongo.collection("people").aggregate(pipeline)) == found


def test_a_lookup_joins(mongo: Any) -> None:
    """Another collection of the same database."""
    mongo.collection("people").insert_one({"_id": 1, "name": "Ana"})
    mongo.collection("orders").insert_many([{"_id": 7, "who": 1}, {"_id": 8, "who": 2}])
    found = mongo.collection("people").aggregate(
        [
            {
                "$lookup": {
                    "from": "orders",
                    "localField": "_id",
                    "foreignField": "who",
                    "as": "orders",
                }
            }
        ]
    )
    assert list(found) == [{"_id": 1, "name": "Ana", "orders": [{"_id": 7, "who": 1}]}]


def test_out_and_merge_store(mongo: Any) -> None:
    """What they store is there, and the cursor is empty."""
    put(mongo.collection("entries"), 1, 2)
    assert list(mongo.collection("entries").aggregate([{"$out": "copy"}])) == []
    assert ns(mongo.collection("copy").find().sort("_id")) == [1, 2]
    mongo.collection("entries").insert_one({"_id": 3, "n": 3})
    assert list(mongo.collection("entries").aggregate([{"$merge": {"into": "copy"}}])) == []
    assert ns(mongo.collection("copy").find().sort("_id")) == [1, 2, 3]


# Collections


def test_collections_are_created_listed_renamed_and_dropped(mongo: Any) -> None:
    """An empty one is there once it was created."""
    database = mongo.database
    database.create_collection("first")
    with pytest.raises(CollectionInvalid):
        database.create_collection("first")
    put(database["second"], 1)
    assert sorted(database.list_collection_names()) == ["first", "second"]
    assert [each["name"] for each in database.list_collections(filter={"name": "first"})] == [
        "first"
    ]
    assert database.list_collection_names(filter={"name": {"$regex": "^sec"}}) == ["second"]
    database["second"].rename("third")
    assert database["third"].count_documents({}) == 1
    with pytest.raises(OperationFailure):
        database["third"].rename("first")
    database.drop_collection("first")
    database["third"].drop()
    database["third"].drop()
    assert database.list_collection_names() == []


def test_a_dropped_collection_comes_back_bare(mongo: Any) -> None:
    """Its indexes and rules went with it."""
    entries = mongo.database.create_collection("entries", validator={"n": {"$gt": 0}})
    entries.create_index("n", unique=True)
    entries.drop()
    put(entries, -1, -1)
    assert list(entries.index_information()) == ["_id_"]


def test_a_validator_refuses(mongo: Any) -> None:
    """On insert and on update."""
    entries = mongo.database.create_collection("entries", validator={"n": {"$gt": 0}})
    entries.insert_one({"_id": 1, "n": 1})
    with pytest.raises(WriteError):
        entries.insert_one({"n": 0})
    with pytest.raises(WriteError):
        entries.update_one({"_id": 1}, {"$set": {"n": -1}})
    assert list(entries.find()) == [{"_id": 1, "n": 1}]


def test_a_dropped_database_is_gone(mongo: Any) -> None:
    """With all its collections."""
    put(mongo.collection("entries"), 1)
    mongo.client.drop_database(mongo.database)
    assert mongo.database.name not in mongo.client.list_database_names()
    assert mongo.collection("entries").find_one() is None


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a/b", "a$b", "a\0b"], ids=ascii)
def test_a_bad_name_of_another_database_is_pymongos_to_refuse(mongo: Any, name: str) -> None:
    """What is asked of the client itself raises the client's own errors."""
    with pytest.raises(InvalidName):
        mongo.client[name]


def test_databases_are_handed_out_by_name(mongo: Any) -> None:
    """Each way that pymongo has, with its options."""
    put(mongo.client["other"].entries, 1)
    naive = CodecOptions[Any](tz_aware=False)
    assert mongo.client.get_database("other", naive).codec_options == naive
    assert mongo.client.get_default_database("other").entries.count_documents({}) == 1
    assert mongo.client["other"].with_options(naive).entries.codec_options == naive
    assert ns(mongo.client.get_database("other").get_collection("entries", naive).find()) == [1]
    with pytest.raises(ConfigurationError):
        mongo.client.get_database()
    mongo.client.drop_database("other")


def test_a_block_may_have_another_time_limit(mongo: Any) -> None:
    """`pymongo.timeout` holds for what is in it."""
    with pymongo.timeout(60):
        put(mongo.collection("entries"), 1)
        assert ns(mongo.collection("entries").find()) == [1]


def test_commands(mongo: Any) -> None:
    """Those that say who is there."""
    assert mongo.client.admin.command("ping")["ok"] == 1.0
    assert mongo.database.command({"ping": 1})["ok"] == 1.0
    assert int(mongo.client.server_info()["version"].partition(".")[0]) >= 7


def test_a_reference_is_followed(mongo: Any) -> None:
    """A DBRef gives its document."""
    mongo.collection("people").insert_one({"_id": 1, "name": "Ana"})
    assert mongo.database.dereference(DBRef("people", 1)) == {"_id": 1, "name": "Ana"}
    assert mongo.database.dereference(DBRef("people", 2)) is None


def test_sub_collections_and_options(mongo: Any) -> None:
    """A dot makes a name, and options make another view of the same."""
    put(mongo.collection("a")["b"].c, 1)
    assert mongo.database.list_collection_names() == ["a.b.c"]
    naive = mongo.collection("a.b.c").with_options(CodecOptions(tz_aware=False))
    naive.update_one({}, {"$set": {"at": NOON}})
    assert naive.find_one()["at"] == NOON.replace(tzinfo=None)
    assert mongo.collection("a.b.c").find_one()["at"] == NOON


# Sessions and transactions


def test_a_transaction_is_committed_as_one(mongo: Any) -> None:
    """Nobody else sees a part of it before."""
    entries = mongo.collection("entries")
    put(entries, 1)
    with mongo.client.start_session() as session, session.start_transaction():
        entries.insert_one({"_id": 2, "n": 2}, session=session)
        entries.update_one({"_id": 1}, {"$set": {"n": 10}}, session=session)
        assert sorted(ns(entries.find(session=session))) == [2, 10]
        assert entries.count_documents({}, session=session) == 2
        assert ns(entries.find()) == [1]
    assert sorted(ns(entries.find())) == [2, 10]


def test_an_aborted_transaction_leaves_nothing(mongo: Any) -> None:
    """An exception in the block undoes all of it, and nothing of others."""
    entries = mongo.collection("entries")
    put(entries, 1)

    def work() -> None:
        with mongo.client.start_session() as session, session.start_transaction():
            entries.insert_one({"_id": 2, "n": 2}, session=session)
            entries.delete_one({"_id": 1}, session=session)
            mongo.collection("others").insert_one({"_id": 1})
            raise KeyError("undo")

    with pytest.raises(KeyError):
        work()
    assert ns(entries.find()) == [1]
    assert mongo.collection("others").count_documents({}) == 1


def test_with_transaction_returns_what_the_callback_does(mongo: Any) -> None:
    """And commits it."""
    put(mongo.collection("entries"), 1, 2)

    def move(session: Any) -> int:
        mongo.collection("entries").update_one({"_id": 1}, {"$inc": {"n": -1}}, session=session)
        mongo.collection("entries").update_one({"_id": 2}, {"$inc": {"n": 1}}, session=session)
        return 7

    with mongo.client.start_session() as session:
        assert session.with_transaction(move) == 7
    assert ns(mongo.collection("entries").find().sort("_id")) == [0, 3]


def test_a_conflict_is_transient(mongo: Any) -> None:
    """Of two that write the same document one is told to try again."""
    entries = mongo.collection("entries")
    put(entries, 1)

    def both() -> None:
        with mongo.client.start_session() as one, mongo.client.start_session() as other:
            one.start_transaction()
            other.start_transaction()
            entries.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=one)
            try:
                entries.update_one({"_id": 1}, {"$inc": {"n": 10}}, session=other)
            finally:
                one.commit_transaction()
            other.commit_transaction()

    with pytest.raises(OperationFailure) as caught:
        both()
    assert caught.value.has_error_label("TransientTransactionError")
    assert ns(entries.find()) == [2]


def test_transactions_that_conflict_are_tried_again(mongo: Any) -> None:
    """Threads that count in transactions lose nothing."""
    put(mongo.collection("entries"), 0)

    def add(session: Any) -> None:
        found = mongo.collection("entries").find_one({"_id": 1}, session=session)
        change = {"$set": {"n": found["n"] + 1}}
        mongo.collection("entries").update_one({"_id": 1}, change, session=session)

    def work() -> None:
        for _ in range(5):
            with mongo.client.start_session() as session:
                session.with_transaction(add)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ns(mongo.collection("entries").find()) == [15]


def test_a_failure_inside_a_transaction_ends_it(mongo: Any) -> None:
    """As on a server, nothing of it can be committed any more."""
    put(mongo.collection("entries"), 1)
    with mongo.client.start_session() as session:
        session.start_transaction()
        mongo.collection("entries").insert_one({"_id": 2}, session=session)
        with pytest.raises(DuplicateKeyError):
            mongo.collection("entries").insert_one({"_id": 1}, session=session)
        with pytest.raises(OperationFailure):
            session.commit_transaction()
    assert mongo.collection("entries").count_documents({}) == 1


def test_sessions_follow_their_rules(mongo: Any) -> None:
    """One that has ended is refused, and so is a commit of nothing begun."""
    with mongo.client.start_session() as session:
        with pytest.raises(InvalidOperation):
            session.commit_transaction()
        mongo.collection("entries").insert_one({"_id": 1}, session=session)
    with pytest.raises(InvalidOperation):
        mongo.collection("entries").find_one({}, session=session)


# GridFS


def test_files_are_kept(mongo: Any) -> None:
    """GridFS puts, gets, finds, lists and deletes."""
    files = gridfs.GridFS(mongo.database)
    data = bytes(range(256)) * 3000
    key = files.put(data, filename="picture.png", owner="ana")
    assert files.get(key).read() == data
    assert files.get(key).owner == "ana"
    assert files.exists(filename="picture.png")
    assert files.list() == ["picture.png"]
    assert [each.filename for each in files.find({"owner": "ana"})] == ["picture.png"]
    assert files.find_one({"filename": "picture.png"}).length == len(data)
    assert files.get(key).upload_date.utcoffset() == timedelta(0)
    files.delete(key)
    assert not files.exists(key)
    assert mongo.database["fs.chunks"].count_documents({}) == 0


def test_files_have_versions_and_streams(mongo: Any) -> None:
    """The newest is what a name opens."""
    bucket = gridfs.GridFSBucket(mongo.database, bucket_name="files")
    for text in (b"one", b"two"):
        bucket.upload_from_stream("notes.txt", text, metadata={"n": 1})
    assert bucket.open_download_stream_by_name("notes.txt").read() == b"two"
    assert bucket.open_download_stream_by_name("notes.txt", revision=0).read() == b"one"
    assert len(list(bucket.find({"metadata.n": 1}))) == 2
