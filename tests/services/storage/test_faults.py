"""The storage rows of the fault table, S1 to S7, each over a proxy that really fails."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from quorum.errors import QuorumError, TimedOut, Unavailable
from quorum.services.storage.s3 import S3Storage
from quorum.settings import StorageSettings
from tests.proxy import Proxy
from tests.servers import S3Server
from tests.services.storage.answers import AnsweringServer, answer, failure
from tests.services.storage.keeping import KeepingS3Server
from tests.waiting import BUDGET, RECOVERY, at_most

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

pytestmark = pytest.mark.live("s3")

SHORT = 1.0
STEADY = 2.0
MEGABYTE = 1024 * 1024
LARGE = os.urandom(12 * MEGABYTE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Start a server that keeps connections."""
    with KeepingS3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def bare(server: S3Server) -> Iterator[Any]:
    """Build a client that is not ours."""
    client = boto3.Session("id", "secret", region_name="us-east-1").client(
        "s3", endpoint_url=server.url
    )
    yield client
    client.close()


@pytest.fixture
def bucket(bare: Any) -> str:
    """Make a bucket."""
    name = f"test-{uuid.uuid4()}"
    bare.create_bucket(Bucket=name)
    return name


@pytest.fixture
def proxy(stack: ExitStack, server: S3Server) -> Proxy:
    """Start a proxy before the server, that takes little ahead."""
    return stack.enter_context(Proxy(server.port, buffer=65536))


@pytest.fixture
def connect(stack: ExitStack, bucket: str) -> Callable[..., S3Storage]:
    """Build a storage on a port or a URL; `timeout` and the like are settings."""

    def build(to: int | str, **settings: Any) -> S3Storage:
        url = to if isinstance(to, str) else f"http://127.0.0.1:{to}"
        keys = {"id": "id", "secret": "secret", "region": "us-east-1", "bucket": bucket}
        storage = S3Storage(StorageSettings(**(keys | {"endpoint": url} | settings)))
        stack.callback(storage.close)
        return storage

    return build


class Pipe(io.RawIOBase):
    """A stream that cannot be rewound; calls back before each read."""

    def __init__(self, data: bytes, before: Callable[[int], None] = lambda at: None) -> None:
        self._data = io.BytesIO(data)
        self._before = before

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        self._before(self._data.tell())
        return self._data.readinto(buffer)


def read_in_pieces(storage: S3Storage, name: str) -> bytes:
    with storage.open(name) as stream:
        return b"".join(iter(lambda: stream.read(10_000), b""))


def download(storage: S3Storage, name: str) -> bytes:
    """Download an object to a file that was there before, and return what the file has."""
    file = Path("downloaded")
    storage.download(name, file)
    return file.read_bytes()


READERS = [S3Storage.get, read_in_pieces, download]
VERBS: dict[str, Callable[[S3Storage], Any]] = {
    "put": lambda storage: storage.put("object", b"new"),
    "put large": lambda storage: storage.put("object", Pipe(LARGE)),
    "get": lambda storage: storage.get("object"),
    "open": lambda storage: storage.open("object"),
    "download": lambda storage: storage.download("object", "downloaded"),
    "exists": lambda storage: storage.exists("object"),
    "stat": lambda storage: storage.stat("object"),
    "delete": lambda storage: storage.delete("object"),
    "clear": lambda storage: storage.clear(),
    "names": lambda storage: list(storage.names()),
    "copy": lambda storage: storage.copy("object", "copy"),
    "ping": lambda storage: storage.ping(),
}
verbs = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
some_verbs = pytest.mark.parametrize("verb", ["put", "put large", "get", "stat", "clear", "ping"])
readers = pytest.mark.parametrize("read", READERS)


# S1 · half-open


def test_s1_a_fresh_half_open_connection_costs_six_seconds_by_default(
    proxy: Proxy, connect: Any
) -> None:
    """A server that accepts and never answers ends in TimedOut within 6 s, and then works again."""
    storage = connect(proxy.port)
    proxy.stalled = True
    with at_most(BUDGET), pytest.raises(TimedOut, match="did not answer in time"):
        storage.get("object")
    proxy.heal()
    with at_most(RECOVERY):
        storage.put("object", b"there")


def test_s1_kept_half_open_connections_cost_six_seconds_once_by_default(
    proxy: Proxy, connect: Any
) -> None:
    """However many connections were kept and died, one call finds out for all of them."""
    storage = connect(proxy.port)
    storage.put("object", b"there")
    streams = [storage.open("object") for _ in range(5)]
    for stream in streams:
        stream.read()
        stream.close()
    proxy.swallowing = True
    with at_most(BUDGET), pytest.raises(TimedOut):
        storage.get("object")
    kept = proxy.connections
    proxy.swallowing = False
    with at_most(1):
        assert storage.get("object") == b"there"
    assert proxy.connections == kept + 1


@verbs
def test_s1_no_verb_outlives_the_time_limit(proxy: Proxy, connect: Any, verb: Any) -> None:
    """On a fresh connection that is half-open, each verb ends with the limit of the settings."""
    storage = connect(proxy.port, timeout=SHORT)
    assert storage.client
    proxy.stalled = True
    with at_most(SHORT + 1), pytest.raises(TimedOut):
        verb(storage)


@some_verbs
def test_s1_no_verb_outlives_the_time_limit_on_a_kept_connection(
    proxy: Proxy, connect: Any, verb: str
) -> None:
    """The same holds where the connection died while it was kept, and answers are swallowed."""
    storage = connect(proxy.port, timeout=SHORT)
    storage.put("object", b"there")
    proxy.swallowing = True
    # After some answers, such as that to DELETE, this server closes the connection.
    with at_most(SHORT + 1), pytest.raises((TimedOut, Unavailable)):
        VERBS[verb](storage)
    proxy.swallowing = False
    VERBS[verb](storage)


def test_s1_a_ping_takes_at_most_a_second(proxy: Proxy, connect: Any) -> None:
    """Whatever the time limit of other calls."""
    storage = connect(proxy.port, timeout=30)
    storage.ping()
    proxy.stalled = True
    with at_most(1.3), pytest.raises(TimedOut):
        storage.ping()


def test_s1_a_stall_in_the_tls_handshake_is_timed_out(proxy: Proxy, connect: Any) -> None:
    """A server that never answers the TLS hello does not outlive the limit."""
    storage = connect(f"https://127.0.0.1:{proxy.port}", timeout=SHORT)
    proxy.stalled = True
    with at_most(SHORT + 1), pytest.raises(TimedOut):
        storage.get("object")


def test_s1_a_trickled_answer_does_not_lengthen_the_limit(stack: Any, connect: Any) -> None:
    """Ten bytes a second are no progress: the call has one limit, not one of each read."""
    server = AnsweringServer(b"")
    server._answers = [server.trickle(answer("200 OK", b"x" * 1000))]
    stack.enter_context(server)
    storage = connect(server.url, timeout=SHORT)
    for call in (lambda: storage.get("object"), lambda: storage.stat("object")):
        with at_most(SHORT + 1), pytest.raises(TimedOut):
            call()


def test_s1_attempts_share_one_limit(stack: Any, connect: Any) -> None:
    """Attempts that each fail late do not add up."""
    server = AnsweringServer(b"")

    def late(connection: Any) -> None:
        server.ended.wait(0.3)

    server._answers = [late]
    stack.enter_context(server)
    storage = connect(server.url, timeout=STEADY)
    assert storage.client
    with at_most(STEADY + 0.5), pytest.raises((TimedOut, Unavailable)):
        storage.get("object")
    assert len(server.requests) > 1


def test_s1_a_call_on_the_client_itself_is_bounded_too(proxy: Proxy, connect: Any) -> None:
    """It raises boto3's own error."""
    storage = connect(proxy.port, timeout=SHORT)
    client = storage.client
    proxy.stalled = True
    with at_most(SHORT + 1), pytest.raises(Exception, match="timeout on endpoint"):
        client.head_bucket(Bucket="any")


@pytest.mark.parametrize(
    ("wrap", "size"),
    [(bytes, MEGABYTE), (Pipe, MEGABYTE), (Pipe, 20 * MEGABYTE), (bytes, 65 * MEGABYTE)],
)
def test_s1_an_upload_that_stalls_midway_ends(
    proxy: Proxy, connect: Any, wrap: Any, size: int
) -> None:
    """It ends one limit after the server took the last of it, and nothing is stored."""
    storage = connect(proxy.port, timeout=STEADY)
    data = wrap(bytes(size))
    proxy.stall_request_after = 300_000
    with at_most(STEADY + 2), pytest.raises(TimedOut):
        storage.put("object", data)
    proxy.heal()
    assert not storage.exists("object")


@readers
def test_s1_a_download_that_stalls_midway_ends(
    proxy: Proxy, connect: Any, tmp_path: Path, read: Any
) -> None:
    """It ends one limit after the last that came."""
    storage = connect(proxy.port, timeout=STEADY)
    storage.put("object", LARGE)
    proxy.stall_after = MEGABYTE
    with at_most(STEADY + 1), pytest.raises(TimedOut):
        read(storage, "object")
    proxy.heal()
    assert read(storage, "object") == LARGE


@pytest.mark.parametrize("wrap", [bytes, Pipe])
def test_s1_a_slow_and_steady_upload_goes_on(proxy: Proxy, connect: Any, wrap: Any) -> None:
    """A body that takes longer than the limit in all arrives, as long as it moves."""
    storage = connect(proxy.port, timeout=STEADY)
    data = os.urandom(MEGABYTE)
    storage.ping()
    proxy.pace = MEGABYTE / STEADY / 1.5
    start = time.monotonic()
    storage.put("object", wrap(data))
    assert time.monotonic() - start > 1.2 * STEADY
    proxy.heal()
    assert storage.get("object") == data


@pytest.mark.parametrize("read", [S3Storage.get, download])
def test_s1_a_slow_and_steady_download_goes_on(
    proxy: Proxy, connect: Any, tmp_path: Path, read: Any
) -> None:
    """So does one the other way."""
    storage = connect(proxy.port, timeout=STEADY)
    data = os.urandom(MEGABYTE)
    storage.put("object", data)
    proxy.pace = MEGABYTE / STEADY / 1.5
    start = time.monotonic()
    assert read(storage, "object") == data
    assert time.monotonic() - start > 1.2 * STEADY


def test_s1_a_reader_may_take_its_time(proxy: Proxy, connect: Any) -> None:
    """What the application does between two reads of a stream is not the server's time."""
    storage = connect(proxy.port, timeout=SHORT)
    storage.put("object", LARGE)
    with storage.open("object") as stream:
        first = stream.read(10)
        threading.Event().wait(2 * SHORT)
        assert first + stream.read() == LARGE


# S2 · fork


def in_child(work: Callable[[], Any]) -> int:
    """Start a child that does something, and is killed if it takes longer than a call may."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            signal.alarm(10)
            work()
            status = 0
        finally:
            os._exit(status)
    return process


def status(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@forks
def test_s2_children_of_a_used_storage_work(server: S3Server, connect: Any) -> None:
    """Four of four children read and write with the object of the parent; so does the parent."""
    storage = connect(server.port)
    storage.put("object", b"there")

    def work(number: int) -> None:
        assert storage.get("object") == b"there"
        storage.put(f"child-{number}", str(number).encode())

    with at_most(BUDGET):
        children = [in_child(lambda number=number: work(number)) for number in range(4)]
        assert storage.get("object") == b"there"
        assert [status(child) for child in children] == [0] * 4
    assert [storage.get(f"child-{number}") for number in range(4)] == [b"0", b"1", b"2", b"3"]


@forks
def test_s2_forks_while_threads_read_leave_children_that_work(
    server: S3Server, connect: Any
) -> None:
    """Whatever the threads of the parent are at, and no answer goes to another process."""
    storage = connect(server.port)
    storage.put("parent", b"parent")
    ended = threading.Event()
    read: set[bytes] = set()

    def read_on() -> None:
        while not ended.is_set():
            read.add(storage.get("parent"))

    threads = [threading.Thread(target=read_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    children = [in_child(lambda: storage.put("child", b"child")) for _ in range(3)]
    statuses = [status(child) for child in children]
    ended.set()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 3
    assert read == {b"parent"}


# S3 · cut mid-upload


@pytest.mark.parametrize("size", [3 * MEGABYTE, len(LARGE)])
@pytest.mark.parametrize("wrap", [bytes, io.BytesIO, Pipe])
def test_s3_an_upload_that_is_cut_once_arrives_whole(
    proxy: Proxy, connect: Any, wrap: Any, size: int
) -> None:
    """Bytes, a stream, and one that cannot be rewound: each is sent again where it was cut."""
    storage = connect(proxy.port)
    proxy.cut_request_after, proxy.cuts = MEGABYTE, 1
    storage.put("object", wrap(LARGE[:size]))
    assert proxy.cuts == 0
    assert storage.get("object") == LARGE[:size]


@pytest.mark.parametrize("wrap", [bytes, io.BytesIO, Pipe])
def test_s3_an_upload_that_is_always_cut_leaves_nothing(
    proxy: Proxy, connect: Any, bare: Any, bucket: str, wrap: Any
) -> None:
    """It ends in Unavailable; what was there stays, and no parts stay."""
    storage = connect(proxy.port)
    storage.put("object", b"before")
    proxy.cut_request_after = MEGABYTE
    with at_most(BUDGET), pytest.raises(Unavailable, match="connection was lost"):
        storage.put("object", wrap(LARGE))
    assert storage.get("object") == b"before"
    assert not bare.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_s3_a_stream_that_fails_leaves_no_parts(
    server: S3Server, connect: Any, bare: Any, bucket: str
) -> None:
    """Its own error comes through, and what was sent of it is deleted."""

    def fail(at: int) -> None:
        if at >= 10 * MEGABYTE:
            raise OSError("the disk is gone")

    storage = connect(server.port)
    with pytest.raises(OSError, match="the disk is gone"):
        storage.put("object", Pipe(LARGE, fail))
    assert not storage.exists("object")
    assert not bare.list_multipart_uploads(Bucket=bucket).get("Uploads")


# S4 · cut mid-download


@readers
def test_s4_a_download_that_is_cut_once_is_whole(
    proxy: Proxy, connect: Any, tmp_path: Path, read: Any
) -> None:
    """It goes on where it was cut."""
    storage = connect(proxy.port)
    storage.put("object", LARGE)
    proxy.cut_after, proxy.cuts = MEGABYTE, 1
    assert read(storage, "object") == LARGE
    assert proxy.cuts == 0


@readers
def test_s4_a_download_that_is_always_cut_is_unavailable(
    proxy: Proxy, connect: Any, tmp_path: Path, read: Any
) -> None:
    """Never is there a short body; the file that was there stays, and no other."""
    storage = connect(proxy.port)
    storage.put("object", LARGE)
    (tmp_path / "downloaded").write_bytes(b"before")
    proxy.cut_after = MEGABYTE
    with at_most(BUDGET), pytest.raises(Unavailable, match="connection was lost"):
        read(storage, "object")
    assert [file.name for file in tmp_path.iterdir()] == ["downloaded"]
    assert (tmp_path / "downloaded").read_bytes() == b"before"


@readers
def test_s4_a_body_shorter_than_it_says_is_unavailable(
    stack: Any, connect: Any, tmp_path: Path, read: Any
) -> None:
    """An end of the connection is no end of the object."""
    body = answer("200 OK", b"half", length=8, ETag='"1"')
    server = stack.enter_context(AnsweringServer(body))
    storage = connect(server.url)
    with at_most(BUDGET), pytest.raises(Unavailable):
        read(storage, "object")
    assert not list(tmp_path.iterdir())


@readers
def test_s4_a_damaged_body_is_unavailable(
    stack: Any, connect: Any, tmp_path: Path, read: Any
) -> None:
    """What does not have the checksum it was stored with is not given."""
    body = answer("200 OK", b"hello", ETag='"1"', x_amz_checksum_crc32="AAAAAA==")
    server = stack.enter_context(AnsweringServer(body))
    storage = connect(server.url)
    with pytest.raises(Unavailable, match="did not come as it was stored"):
        read(storage, "object")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", [read_in_pieces, download])
def test_s4_two_objects_are_never_mixed(
    proxy: Proxy, connect: Any, bare: Any, bucket: str, tmp_path: Path, read: Any
) -> None:
    """If the object was replaced as the connection was cut, reading fails."""
    storage = connect(proxy.port)
    storage.put("object", LARGE)

    def replace(**_: Any) -> None:
        if proxy.cuts == 0:
            bare.put_object(Bucket=bucket, Key="object", Body=bytes(len(LARGE)))

    storage.client.meta.events.register("before-send.s3.GetObject", replace)
    proxy.cut_after, proxy.cuts = MEGABYTE, 1
    with pytest.raises(Unavailable, match="was replaced as it was read"):
        read(storage, "object")


# S5 · the answer to PUT is lost


def test_s5_a_put_whose_answer_is_lost_is_made_again(
    proxy: Proxy, connect: Any, bare: Any, bucket: str
) -> None:
    """It is idempotent by its name: stored twice, the same, and ok."""
    bare.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    storage = connect(proxy.port)
    proxy.lost = 2
    storage.put("object", b"there")
    versions = bare.list_object_versions(Bucket=bucket)["Versions"]
    assert len(versions) == 3
    assert {version["ETag"] for version in versions} == {f'"{storage.stat("object").etag}"'}


def test_s5_a_large_put_whose_last_answer_is_lost_is_seen_to_be_there(
    proxy: Proxy, connect: Any
) -> None:
    """The parts were made one before the answer was lost: that is success."""
    storage = connect(proxy.port)

    def lose(**_: Any) -> None:
        proxy.lost = 1
        events.unregister("before-send.s3.CompleteMultipartUpload", lose)

    events = storage.client.meta.events
    events.register("before-send.s3.CompleteMultipartUpload", lose)
    storage.put("object", Pipe(LARGE))
    assert proxy.lost == 0
    assert storage.get("object") == LARGE


def test_s5_answers_that_are_always_lost_are_told(proxy: Proxy, connect: Any) -> None:
    """Soon, and the storage works when they come again."""
    storage = connect(proxy.port)
    proxy.lost = 1000
    with at_most(BUDGET), pytest.raises(Unavailable):
        storage.put("object", b"there")
    proxy.heal()
    assert storage.get("object") == b"there"


# S6 · one client of each process


def test_s6_threads_share_one_client(server: S3Server, connect: Any) -> None:
    """16 threads that begin at once read 480 objects, none wrong, and build one client."""
    storage = connect(server.port)
    writer = connect(server.port)
    for number in range(16):
        writer.put(f"object-{number}", f"{number}".encode() * 1000)
    wrong: list[Any] = []
    clients: set[int] = set()
    barrier = threading.Barrier(16)

    def work(number: int) -> None:
        barrier.wait()
        clients.add(id(storage.client))
        for turn in range(30):
            other = (number + turn) % 16
            try:
                if storage.get(f"object-{other}") != f"{other}".encode() * 1000:
                    wrong.append(other)
            except QuorumError as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(clients) == 1


# S7 · checksums


@pytest.mark.parametrize("data", [b"there", LARGE], ids=["one request", "parts"])
@pytest.mark.parametrize(
    ("checksums", "sent"), [("when_supported", True), ("when_required", False)]
)
def test_s7_checksums_are_sent_as_the_setting_says(
    server: S3Server, connect: Any, checksums: str, sent: bool, data: bytes
) -> None:
    """when_required sends none, for servers that refuse them."""
    storage = connect(server.port, checksums=checksums)
    headers: list[str] = []
    storage.client.meta.events.register(
        "before-send.s3", lambda request, **_: headers.extend(request.headers)
    )
    storage.put("object", Pipe(data))
    assert any("checksum" in header.lower() for header in headers) == sent
    assert storage.get("object") == data


# The server itself


@pytest.fixture
def own_server(stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> S3Server:
    """Start a server that a test may stop."""
    return stack.enter_context(KeepingS3Server(tmp_path_factory.mktemp("own")))


def test_a_server_that_is_down_is_told_fast_and_found_again(
    own_server: S3Server, connect: Any, bucket: str
) -> None:
    """Unavailable at once, and the same object works after the restart."""
    storage = connect(own_server.port)
    storage.client.create_bucket(Bucket=bucket)
    storage.put("object", b"there")
    own_server.kill()
    for verb in ("put", "get", "ping"):
        with at_most(2), pytest.raises(Unavailable, match="check AMAZON_ENDPOINT"):
            VERBS[verb](storage)
    own_server.start()
    with at_most(RECOVERY):
        # What it kept ended with it.
        storage.client.create_bucket(Bucket=bucket)
        storage.put("object", b"there")
        assert storage.get("object") == b"there"


def test_a_server_that_hangs_is_timed_out_and_found_again(
    own_server: S3Server, connect: Any, bucket: str
) -> None:
    """A stopped process accepts and answers nothing."""
    storage = connect(own_server.port, timeout=SHORT)
    storage.client.create_bucket(Bucket=bucket)
    own_server.pause()
    with at_most(SHORT + 1), pytest.raises(TimedOut):
        storage.put("object", b"there")
    own_server.resume()
    with at_most(RECOVERY):
        storage.put("object", b"there")


@pytest.mark.parametrize(
    "passing",
    [
        failure("503 Slow Down", "SlowDown"),
        failure("500 Oops", "InternalError"),
        failure("400 Bad Request", "RequestTimeout"),
        failure("429 Too Many", "TooManyRequests"),
        answer("502 Bad Gateway", b"<html>"),
    ],
)
def test_what_passes_is_tried_again(stack: Any, connect: Any, passing: bytes) -> None:
    """A server that does not serve now may do so a moment later."""
    server = stack.enter_context(AnsweringServer(passing, answer("200 OK", b"hi", ETag='"1"')))
    assert connect(server.url).get("object") == b"hi"
    assert len(server.requests) == 2


def test_what_does_not_pass_is_told(stack: Any, connect: Any) -> None:
    """After some attempts, within the time of a call."""
    server = stack.enter_context(AnsweringServer(failure("503 Slow Down", "SlowDown")))
    with at_most(BUDGET), pytest.raises(Unavailable, match=r"503 SlowDown.*try again later"):
        connect(server.url).put("object", b"there")
    assert 2 < len(server.requests) < 6
