"""What is the S3 driver's own."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

from quorum import Container, Settings
from quorum.errors import (
    ConfigurationError,
    NotFound,
    QuorumError,
    Rejected,
    Unavailable,
    Unsupported,
)
from quorum.services.storage.s3 import S3Storage, driver, reading, uploads
from quorum.settings import StorageSettings
from tests.servers import S3Server, free_port
from tests.services.storage.answers import AnsweringServer, answer, failure
from tests.services.storage.site import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
    from pathlib import Path

MEGABYTE = 1024 * 1024
VERBS: dict[str, Callable[[S3Storage], Any]] = {
    "put": lambda storage: storage.put("object", b"new"),
    "get": lambda storage: storage.get("object"),
    "open": lambda storage: storage.open("object"),
    "download": lambda storage: storage.download("object", "file"),
    "exists": lambda storage: storage.exists("object"),
    "stat": lambda storage: storage.stat("object"),
    "delete": lambda storage: storage.delete("object"),
    "clear": lambda storage: storage.clear(),
    "names": lambda storage: list(storage.names()),
    "copy": lambda storage: storage.copy("object", "copy"),
    "ping": lambda storage: storage.ping(),
}
verbs = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
some_verbs = pytest.mark.parametrize(
    "verb", [VERBS["put"], VERBS["open"], VERBS["stat"], VERBS["clear"]]
)


@pytest.fixture(autouse=True)
def no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let boto3 find nothing by itself."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture
def connect(stack: ExitStack) -> Callable[..., S3Storage]:
    """Build a storage; what is given are settings."""

    def build(**settings: Any) -> S3Storage:
        keys = {"id": "id", "secret": "secret", "region": "us-east-1", "bucket": "bucket"}
        given = {name: value for name, value in (keys | settings).items() if value is not None}
        storage = S3Storage(StorageSettings(**given))
        stack.callback(storage.close)
        return storage

    return build


@pytest.fixture
def respond(stack: ExitStack) -> Callable[..., AnsweringServer]:
    """Start a server that gives its answers in turn."""
    return lambda *answers: stack.enter_context(AnsweringServer(*answers))


# Building it


def test_the_container_builds_it_where_a_bucket_is_set() -> None:
    """AMAZON_BUCKET alone makes it S3, and nothing is sent."""
    container = Container(settings=Settings(storage={"bucket": "bucket"}))
    assert isinstance(container.storage(), S3Storage)
    container.ledger.close()


def test_no_client_is_built_before_it_is_needed(connect: Any) -> None:
    """Neither the constructor nor the end builds one."""
    storage = connect()
    assert storage._client.built is None
    storage.close()
    assert storage._client.built is None


def test_no_bucket_is_a_configuration_error() -> None:
    """It says what to set."""
    with pytest.raises(ConfigurationError, match="set AMAZON_BUCKET"):
        S3Storage(StorageSettings(id="id", secret="secret"))


def test_without_keys_botos_own_chain_is_asked(
    connect: Any, respond: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as the variables of AWS, a profile, or the role of the machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-chain")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    server = respond(answer("200 OK"))
    connect(id=None, secret=None, endpoint=server.url).ping()
    assert b"Credential=of-the-chain/" in server.requests[0]


def test_our_keys_win_over_botos_chain(
    connect: Any, respond: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What AMAZON_ID says is used, whatever AWS_ACCESS_KEY_ID is."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-chain")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    server = respond(answer("200 OK"))
    connect(id="ours", endpoint=server.url).ping()
    assert b"Credential=ours/" in server.requests[0]


@some_verbs
def test_no_keys_at_all_are_rejected(connect: Any, verb: Any) -> None:
    """The error says what to set."""
    storage = connect(id=None, secret=None, endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Rejected, match="check AMAZON_ID, AMAZON_SECRET"):
        verb(storage)


@pytest.mark.parametrize("wrong", [{"bucket": "not a bucket"}, {"region": "no region"}], ids=str)
def test_settings_that_boto3_refuses_are_rejected(connect: Any, wrong: dict[str, str]) -> None:
    """With the names of what to look at."""
    with pytest.raises(Rejected, match=r"check .*AMAZON_BUCKET, AMAZON_REGION"):
        connect(**wrong).ping()


# Addresses


@pytest.mark.parametrize(
    ("endpoint", "region", "url"),
    [
        (None, "us-east-1", "https://bucket.s3.amazonaws.com/a%20b"),
        (None, "eu-west-1", "https://bucket.s3.eu-west-1.amazonaws.com/a%20b"),
        (None, None, "https://bucket.s3.amazonaws.com/a%20b"),
        (
            "https://s3.eu-west-1.amazonaws.com",
            "eu-west-1",
            "https://bucket.s3.eu-west-1.amazonaws.com/a%20b",
        ),
        ("https://s3.example.com", "eu-west-1", "https://s3.example.com/bucket/a%20b"),
        ("http://minio:9000", None, "http://minio:9000/bucket/a%20b"),
        ("http://127.0.0.1:9000", None, "http://127.0.0.1:9000/bucket/a%20b"),
        ("https://[::1]:9000", None, "https://[::1]:9000/bucket/a%20b"),
    ],
)
def test_the_bucket_stands_in_the_host_only_on_amazon(
    connect: Any, endpoint: str | None, region: str | None, url: str
) -> None:
    """Other servers need no DNS record of each bucket."""
    signed = connect(endpoint=endpoint, region=region).url("a b")
    assert signed.partition("?")[0] == url


def test_a_bucket_with_dots_stands_in_the_path(connect: Any) -> None:
    """No certificate covers it in the host."""
    signed = connect(bucket="my.bucket", region="eu-west-1").url("object")
    assert signed.startswith("https://s3.eu-west-1.amazonaws.com/my.bucket/object?")


def test_a_url_is_signed_without_a_request(connect: Any) -> None:
    """With version 4 of the signature, for the seconds asked for and no less."""
    storage = connect(endpoint=f"http://127.0.0.1:{free_port()}")
    asked = parse_qs(urlsplit(storage.url("object", expires_in=59.5)).query)
    assert asked["X-Amz-Expires"] == ["60"]
    assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]


@pytest.mark.live("s3")
@pytest.mark.parametrize("content_type", ["text/plain", "image/png"])
def test_whoever_puts_by_url_chooses_the_type(s3: Any, content_type: str) -> None:
    """The URL is not bound to one."""
    url = s3.url("object", method="PUT")
    assert ask(url, "PUT", b"there", Content_Type=content_type).status == 200
    assert s3.stat("object").content_type == content_type


# Refusals


@pytest.mark.live("s3")
@verbs
def test_a_missing_bucket_is_rejected(connect: Any, s3_server: S3Server, verb: Any) -> None:
    """It is no missing object, also where the answer has no code, as that to HEAD."""
    with pytest.raises(Rejected, match="there is no bucket 'no-such-bucket'; create it"):
        verb(connect(bucket="no-such-bucket", endpoint=s3_server.url))


@some_verbs
def test_refused_keys_are_rejected(connect: Any, respond: Any, verb: Any) -> None:
    """At once, with the settings to look at."""
    server = respond(failure("403 Forbidden", "SignatureDoesNotMatch"))
    with pytest.raises(Rejected, match=r"refused the keys .*check AMAZON_ID, AMAZON_SECRET"):
        verb(connect(endpoint=server.url))
    assert len(server.requests) == 1


def test_a_request_that_is_refused_says_why(connect: Any, respond: Any) -> None:
    """What the server said is in the error."""
    server = respond(failure("400 Bad Request", "EntityTooLarge", "at most 5 GB"))
    with pytest.raises(Rejected, match=r"'object'.*400 EntityTooLarge: at most 5 GB"):
        connect(endpoint=server.url).put("object", b"there")
    assert len(server.requests) == 1


def test_what_the_server_does_not_know_is_unsupported(connect: Any, respond: Any) -> None:
    """Most often the checksums, which a setting turns off."""
    server = respond(failure("501 Not Implemented", "NotImplemented"))
    with pytest.raises(Unsupported, match="set AMAZON_CHECKSUMS=when_required"):
        connect(endpoint=server.url).put("object", b"there")
    assert len(server.requests) == 1


def test_deleting_what_is_not_there_is_a_no_op_on_servers_that_tell(
    connect: Any, respond: Any
) -> None:
    """Amazon does not; others answer 404."""
    server = respond(failure("404 Not Found", "NoSuchKey"))
    connect(endpoint=server.url).delete("object")
    assert len(server.requests) == 1


BEGUN = answer(
    "200 OK",
    b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>",
)
GONE = failure("404 Not Found", "NoSuchUpload")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send everything in parts of 3 bytes, one after the other."""
    monkeypatch.setattr(uploads, "WHOLE", 1)
    monkeypatch.setattr(uploads, "PART", 3)
    monkeypatch.setattr(uploads, "_AT_ONCE", 1)


def etag(*parts: bytes) -> str:
    """Return what S3 calls an object of parts."""
    digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    return f'"{digest}-{len(parts)}"'


@pytest.mark.usefixtures("small_parts")
def test_parts_that_were_put_together_before_are_seen_to_be(connect: Any, respond: Any) -> None:
    """As where an answer was lost, and the next attempt found no parts any more."""
    sent = [answer("200 OK", ETag=f'"{hashlib.md5(part).hexdigest()}"') for part in (b"the", b"re")]
    server = respond(BEGUN, *sent, GONE, answer("200 OK", ETag=etag(b"the", b"re")))
    connect(endpoint=server.url).put("object", b"there")
    assert server.requests[-1].startswith(b"HEAD ")


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("part", ['"no-digest"', f'"{"0" * 32}"'])
def test_parts_that_are_gone_are_told(connect: Any, respond: Any, part: str) -> None:
    """It is not known whether the object was stored, and putting it again does no harm."""
    sent = [answer("200 OK", ETag=part)] * 2
    server = respond(BEGUN, *sent, GONE, answer("200 OK", ETag=etag(b"an", b"other")), GONE)
    with pytest.raises(Unavailable, match=r"has no parts of it.*put it again"):
        connect(endpoint=server.url).put("object", b"there")


def test_a_host_that_boto3_refuses_is_rejected(connect: Any) -> None:
    """It knows no underscores, which names of containers may have."""
    with pytest.raises(Rejected, match=r"check .*AMAZON_ENDPOINT"):
        connect(endpoint="http://my_minio:9000").ping()


@pytest.mark.parametrize(
    ("code", "error"), [("AccessDenied", Rejected), ("InternalError", Unavailable)]
)
def test_what_clear_could_not_delete_is_told(
    connect: Any, respond: Any, code: str, error: type[QuorumError]
) -> None:
    """S3 reports it inside an answer of 200."""
    listing = b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>"
    failed = f"<DeleteResult><Error><Key>a</Key><Code>{code}</Code></Error></DeleteResult>"
    server = respond(answer("200 OK", listing), answer("200 OK", failed.encode()))
    with pytest.raises(error, match=code):
        connect(endpoint=server.url).clear()


def test_an_error_inside_an_answer_of_200_is_told(connect: Any, respond: Any) -> None:
    """S3 may begin to answer a copy before it fails."""
    head = answer("200 OK", ETag='"1"', Last_Modified="Sun, 22 Nov 2026 14:00:00 GMT")
    server = respond(head, answer("200 OK", b"<Error><Code>InternalError</Code></Error>"))
    with pytest.raises(Unavailable, match="InternalError"):
        connect(endpoint=server.url).copy("object", "copy")


@pytest.mark.parametrize("bucket", [answer("200 OK"), answer("403 Forbidden")])
def test_an_object_that_is_missing_is_not_found_after_a_look_at_the_bucket(
    connect: Any, respond: Any, bucket: bytes
) -> None:
    """The answer to HEAD has no code: the bucket is asked for, by those who may."""
    server = respond(answer("404 Not Found"), bucket)
    with pytest.raises(NotFound, match="'object'"):
        connect(endpoint=server.url).stat("object")
    assert len(server.requests) == 2


# Secrets


def chain(error: BaseException | None) -> str:
    """Return everything an error and what it came from has to say."""
    told = ""
    while error is not None:
        told += f"{error!s} {error!r} {error.args!r} {vars(error)!r}"
        told += "".join(traceback.format_exception(error))
        error = error.__cause__ or error.__context__
    return told


@pytest.mark.parametrize("verb", ["put", "get"])
@pytest.mark.parametrize(
    "given",
    [
        failure("403 no", "InvalidAccessKeyId", more="<AWSAccessKeyId>marker-id</AWSAccessKeyId>"),
        failure("403 no", "SignatureDoesNotMatch", more="<StringToSign>marker-id</StringToSign>"),
        failure("400 no", "Other"),
        failure("503 no", "SlowDown"),
        b"no HTTP",
        lambda connection: None,
    ],
    ids=["id", "signature", "400", "503", "no HTTP", "hang up"],
)
def test_no_error_output_or_log_holds_the_keys(
    connect: Any,
    respond: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    verb: str,
    given: Any,
) -> None:
    """However a call ends, id, secret and signatures appear nowhere."""
    storage = connect(id="marker-id", secret="marker-secret", endpoint=respond(given).url)
    with caplog.at_level(logging.DEBUG), pytest.raises(QuorumError) as caught:
        VERBS[verb](storage)
    told = chain(caught.value) + caplog.text + "".join(capfd.readouterr())
    told += repr(storage) + repr(vars(storage))
    for secret in ("marker-id", "marker-secret", "Signature="):
        assert secret not in told


def test_a_signed_url_is_not_logged(connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the log cannot use it."""
    storage = connect(endpoint="http://127.0.0.1:9000")
    with caplog.at_level(logging.DEBUG):
        storage.url("object", method="PUT")
    assert "Signature" not in caplog.text


# Large objects


_RSS = """
import io, resource, sys
from quorum.services.storage.s3 import S3Storage
from quorum.settings import StorageSettings

class Zeros(io.RawIOBase):
    left = 200 * 1024 * 1024
    def readable(self): return True
    def readinto(self, buffer):
        count = min(len(buffer), self.left)
        self.left -= count
        return count

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
keys = dict(id="id", secret="secret", region="us-east-1", bucket=sys.argv[2])
storage = S3Storage(StorageSettings(endpoint=sys.argv[1], **keys))
storage.put("small", b"there")
before = peak()
storage.put("large", Zeros())
put = peak()
storage.download("large", sys.argv[3])
print(put - before, peak() - put)
"""


@pytest.mark.live("s3")
def test_200_megabytes_take_some_tens_of_them_in_memory(
    s3: Any, s3_server: S3Server, tmp_path: Path
) -> None:
    """Up from a stream that cannot be rewound, and down to a file."""
    file = tmp_path / "large"
    words = [sys.executable, "-c", _RSS, s3_server.url, s3._settings.bucket, str(file)]
    ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    up, down = map(int, ran.stdout.split())
    assert up < 64
    assert down < 10
    assert file.stat().st_size == 200 * MEGABYTE


@pytest.mark.live("s3")
@pytest.mark.parametrize("above", [-1, 0, 1])
def test_bytes_above_the_limit_of_one_request_go_in_parts(
    s3: Any, monkeypatch: pytest.MonkeyPatch, above: int
) -> None:
    """At the limit and around it nothing is lost."""
    monkeypatch.setattr(uploads, "WHOLE", 11 * MEGABYTE)
    data = os.urandom(11 * MEGABYTE + above)
    s3.put("object", data)
    assert s3.get("object") == data
    assert ("-" in s3.stat("object").etag) == (above > 0)


def test_the_parts_hold_a_terabyte() -> None:
    """They grow, since there may be 10,000 at most; small ones never do."""
    sizes = [uploads.size_of(number) for number in range(uploads.MOST_PARTS)]
    assert sum(sizes) > 10**12
    assert set(sizes[:5000]) == {uploads.PART}
    assert max(sizes) < 500 * MEGABYTE


@pytest.mark.live("s3")
def test_a_large_object_is_copied_in_parts_with_all_that_is_beside_it(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As S3 demands above 5 GB; the headers come along."""
    monkeypatch.setattr(driver, "COPIED_PART", 5 * MEGABYTE)
    data = os.urandom(12 * MEGABYTE)
    s3.client.put_object(
        Bucket=s3._settings.bucket,
        Key="object",
        Body=data,
        ContentType="image/png",
        CacheControl="no-store",
        Metadata={"author": "Ana"},
    )
    s3.copy("object", "copy")
    assert s3.get("copy") == data
    found = s3.client.head_object(Bucket=s3._settings.bucket, Key="copy")
    assert (found["ContentType"], found["CacheControl"]) == ("image/png", "no-store")
    assert found["Metadata"] == {"author": "Ana"}
    assert found["ETag"].endswith('-3"')


def test_a_long_download_may_be_cut_now_and_then(
    connect: Any, respond: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as enough comes between two cuts, it goes on; here 5 of 20 bytes at a time."""
    monkeypatch.setattr(reading, "_ENOUGH", 5)
    whole = answer("200 OK", b"abcde", length=20, ETag='"1"')
    parts = [
        answer("206 Partial Content", part, length=length, ETag='"1"')
        for part, length in ((b"fghij", 15), (b"klmno", 10), (b"pqrst", 5))
    ]
    server = respond(whole, *parts)
    with connect(endpoint=server.url).open("object") as stream:
        assert b"".join(iter(lambda: stream.read(5), b"")) == b"abcdefghijklmnopqrst"
    assert b"Range: bytes=15-" in server.requests[-1]


@pytest.mark.live("s3")
def test_short_bodies_are_sent_at_once(s3: Any) -> None:
    """The server is not asked first whether it wants them; that costs a turn."""
    asked: dict[str, bool] = {}

    def look(request: Any, **_: Any) -> None:
        asked[request.url.rpartition("/")[2]] = "Expect" in request.headers

    s3.client.meta.events.register("before-send.s3.PutObject", look)
    s3.put("short", b"there")
    s3.put("long", bytes(MEGABYTE))
    assert asked == {"short": False, "long": True}


# TLS


class TlsS3Server(S3Server):
    """Moto under TLS."""

    @property
    def command(self) -> Sequence[str]:
        return [
            *super().command,
            "-c",
            str(self.folder / "server.pem"),
            "-k",
            str(self.folder / "key.pem"),
        ]

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Issue the certificate of the server."""
    return trustme.CA()


@pytest.fixture(scope="module")
def tls_server(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Start a server under TLS."""
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    with TlsS3Server(folder) as server:
        yield server


@pytest.mark.live("s3")
def test_a_trusted_server_is_used_under_tls(
    connect: Any,
    tls_server: S3Server,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its authority is named in AWS_CA_BUNDLE; short and long bodies travel both ways."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    storage = connect(endpoint=tls_server.url)
    storage.client.create_bucket(Bucket="bucket")
    long = os.urandom(10 * MEGABYTE)
    storage.put("short", b"there")
    storage.put("long", long)
    assert (storage.get("short"), storage.get("long")) == (b"there", long)


@pytest.mark.live("s3")
def test_a_server_that_is_not_trusted_is_told(connect: Any, tls_server: S3Server) -> None:
    """At once, with what to set."""
    with pytest.raises(Unavailable, match="not trusted; name its authority in AWS_CA_BUNDLE"):
        connect(endpoint=tls_server.url).get("object")
