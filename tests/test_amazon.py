"""The documented names of flask-quorum for S3, on the embedded twin and on S3."""

from __future__ import annotations

import io
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

import quorum
from quorum import amazon
from quorum.errors import NotFound, NotLoaded, Rejected, Unsupported
from quorum.settings import Settings, StorageSettings
from tests.services.storage.site import ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import S3Server


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.live("s3"))])
def app(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Load an application with each storage in turn."""
    group = StorageSettings()
    if request.param == "s3":
        group = fresh_bucket(request.getfixturevalue("s3_server"))
    app: Any = Flask("shop")
    quorum.load(app, settings=Settings(storage=group))
    yield app
    quorum.unload(app)


def fresh_bucket(server: S3Server) -> StorageSettings:
    import boto3  # noqa: PLC0415 - slow, and tests of the twin need none

    bucket = f"test-{uuid.uuid4()}"
    client = boto3.Session("id", "secret", region_name="us-east-1").client(
        "s3", endpoint_url=server.url
    )
    client.create_bucket(Bucket=bucket)
    client.close()
    return StorageSettings(
        id="id", secret="secret", bucket=bucket, region="us-east-1", endpoint=server.url
    )


def test_a_key_stores_and_gives_text(app: Any) -> None:
    """As the documentation of flask-quorum shows it."""
    key = amazon.get_amazon_key("notes/a.txt")
    key.set_contents_from_string("Olá")
    assert key.get_contents_as_string() == "Olá".encode()
    assert key.get_contents_as_string(encoding="utf-8") == "Olá"
    assert app.container.storage().get("notes/a.txt") == "Olá".encode()


def test_a_key_stores_bytes(app: Any) -> None:
    """They are not encoded."""
    key = amazon.get_amazon_key("a.bin")
    key.set_contents_from_string(b"\xff\0")
    assert key.get_contents_as_string() == b"\xff\0"


def test_a_key_stores_and_gives_files(app: Any, tmp_path: Path) -> None:
    """From a stream and by name."""
    key = amazon.get_amazon_key("a.txt")
    key.set_contents_from_file(io.BytesIO(b"from a stream"))
    key.get_contents_to_filename(tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"from a stream"
    (tmp_path / "source").write_bytes(b"from a file")
    key.set_contents_from_filename(tmp_path / "source")
    key.get_contents_to_filename(str(tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == b"from a file"


def test_headers_tell_type_and_metadata(app: Any) -> None:
    """In the names that boto 2 took them by."""
    key = amazon.get_amazon_key("a.txt")
    key.set_contents_from_string("x", {"Content-Type": "text/x-own", "X-Amz-Meta-By": "ana"})
    found = app.container.storage().stat("a.txt")
    assert (found.content_type, dict(found.metadata)) == ("text/x-own", {"by": "ana"})


def test_another_header_is_not_dropped_in_silence(app: Any) -> None:
    """It is Unsupported; nothing is stored."""
    key = amazon.get_amazon_key("a.txt")
    with pytest.raises(Unsupported, match=r"'Cache-Control' is not kept"):
        key.set_contents_from_string("x", {"Cache-Control": "no-store"})
    assert not key.exists()


def test_a_key_tells_what_it_is(app: Any) -> None:
    """Its name under both of boto's, and whether it is there."""
    key = amazon.get_amazon_key("a.txt")
    assert (key.name, key.key) == ("a.txt", "a.txt")
    assert not key.exists()
    key.set_contents_from_string("x")
    assert key.exists()
    key.delete()
    assert not key.exists()
    assert repr(key) == f"<Key: {amazon.get_amazon_bucket().name},a.txt>"


def test_a_key_of_nothing_gives_nothing(app: Any) -> None:
    """NotFound stands for boto's S3ResponseError."""
    with pytest.raises(NotFound):
        amazon.get_amazon_key("a.txt").get_contents_as_string()


@pytest.mark.live("s3")
def test_a_key_has_urls(s3_server: S3Server) -> None:
    """They are signed, for a time."""
    app = Flask("shop")
    quorum.load(app, settings=Settings(storage=fresh_bucket(s3_server)))
    key = amazon.get_amazon_key("a.txt")
    put = ask(key.generate_url(60, "PUT"), "PUT", b"figures", Content_Type="text/plain")
    assert put.status == 200
    assert ask(key.generate_url(60)).body == b"figures"
    quorum.unload(app)


def test_exists_and_delete_go_by_name(app: Any) -> None:
    """A no-op where there is nothing."""
    amazon.get_amazon_key("a.txt").set_contents_from_string("x")
    assert amazon.exists_amazon_key("a.txt")
    amazon.delete_amazon_key("a.txt")
    amazon.delete_amazon_key("a.txt")
    assert not amazon.exists_amazon_key("a.txt")


def test_clear_deletes_every_key(app: Any) -> None:
    """All of the bucket."""
    for name in ("a", "b/c"):
        amazon.get_amazon_key(name).set_contents_from_string("x")
    amazon.clear_amazon_bucket()
    assert list(amazon.get_amazon_bucket()) == []


def test_the_bucket_lists_its_keys(app: Any) -> None:
    """By a prefix too."""
    bucket = amazon.get_amazon_bucket()
    for name in ("b/c", "a", "b/d"):
        bucket.new_key(name).set_contents_from_string(name)
    assert [key.name for key in bucket] == ["a", "b/c", "b/d"]
    assert [key.get_contents_as_string() for key in bucket.list("b/")] == [b"b/c", b"b/d"]


def test_the_bucket_gives_keys_that_are_there(app: Any) -> None:
    """None for others."""
    bucket = amazon.get_amazon_bucket()
    assert bucket.get_key("a") is None
    bucket.new_key("a").set_contents_from_string("x")
    found = bucket.get_key("a")
    assert found is not None
    assert found.get_contents_as_string() == b"x"
    bucket.delete_key("a")
    assert bucket.get_key("a") is None


def test_the_bucket_is_named(app: Any) -> None:
    """As AMAZON_BUCKET says, else as the application; the connection gives it by that name."""
    bucket = amazon.get_amazon_bucket()
    assert bucket.name == (app.container.settings().storage.bucket or "shop")
    assert amazon.get_amazon().get_bucket().name == bucket.name
    assert amazon.get_amazon().get_bucket(bucket.name).name == bucket.name
    assert repr(bucket) == f"<Bucket: {bucket.name}>"


def test_there_is_one_bucket(app: Any) -> None:
    """Another is not given in its place."""
    with pytest.raises(Unsupported, match="'other'; set AMAZON_BUCKET"):
        amazon.get_amazon().get_bucket("other")


def test_a_hostile_name_is_refused(app: Any) -> None:
    """As by the storage itself."""
    with pytest.raises(Rejected):
        amazon.get_amazon_key("../a").set_contents_from_string("x")


@pytest.mark.parametrize(
    "call",
    [
        amazon.get_amazon,
        amazon.get_amazon_bucket,
        amazon.clear_amazon_bucket,
        lambda: amazon.get_amazon_key("a"),
        lambda: amazon.exists_amazon_key("a"),
        lambda: amazon.delete_amazon_key("a"),
    ],
)
def test_they_need_an_application(call: Any) -> None:
    """Without one, NotLoaded says how to repair it."""
    with pytest.raises(NotLoaded, match=r"quorum\.load\(\)"):
        call()
