"""The Pusher rows of the fault table, P1 to P4, each over a connection that really fails."""

from __future__ import annotations

import logging
import socket
import ssl
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from quorum.errors import Rejected, ServiceError, TimedOut, Unavailable, Unsupported
from quorum.services.pusher.base import Event
from tests.proxy import Proxy
from tests.servers import PusherServer, free_port
from tests.services.pusher.listening import SocketListener
from tests.services.storage.answers import AnsweringServer, answer
from tests.waiting import BUDGET, RECOVERY, at_most

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from quorum.services.pusher.remote import RemotePusher

live = pytest.mark.live("pusher")

SHORT = 1.0
LIMIT = SHORT + 1.5
GOOD = answer("200 OK", b"{}")
SECRETS = (PusherServer.key, PusherServer.secret, "auth_signature=")

VERBS: dict[str, Callable[[Any], object]] = {
    "trigger": lambda pusher: pusher.trigger("a", "new", 1),
    "trigger_batch": lambda pusher: pusher.trigger_batch([Event("a", "new", 1)]),
    "channels": lambda pusher: pusher.channels(),
    "ping": lambda pusher: pusher.ping(),
    "client.trigger": lambda pusher: pusher.client.trigger("a", "new", "1"),
    "client.users_info": lambda pusher: pusher.client.users_info("presence-a"),
}
verbs = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
some_verbs = pytest.mark.parametrize("verb", [VERBS["trigger"], VERBS["ping"]])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PusherServer]:
    """Start a server that may be stopped."""
    with PusherServer(tmp_path_factory.mktemp("pusher")) as server:
        yield server


@pytest.fixture
def proxy(stack: ExitStack, server: PusherServer) -> Proxy:
    """Start a proxy before the server."""
    return stack.enter_context(Proxy(server.port))


@pytest.fixture
def answering(stack: ExitStack) -> Callable[..., AnsweringServer]:
    """Start a server that gives its answers in turn, the last of them for ever."""
    return lambda *answers: stack.enter_context(AnsweringServer(*answers))


@pytest.fixture(autouse=True)
def no_secret_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Assert of every fault that nothing secret is logged, at any level."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert not any(secret in caplog.text.replace("auth_signature=***", "") for secret in SECRETS)


def port_of(server: AnsweringServer) -> int:
    return int(server.url.rpartition(":")[2])


@contextmanager
def fails(kind: type[ServiceError], match: str | None = None) -> Iterator[None]:
    """Assert that a block raises an error of ours, in which and behind which no secret is."""
    with pytest.raises(kind, match=match) as caught:
        yield
    error: BaseException = caught.value
    assert error.__context__ is None
    # With the local variables of every frame of ours, as error trackers record them.
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [told, told.__cause__] if told.__cause__ else [told]
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if "/quorum/" in frame.filename]
    )
    shown = "".join("".join(each.format(chain=False)) for each in frames)
    cause = error.__cause__
    shown += f"{error!s}{error!r}{error.args!r}{cause!r}{vars(cause) if cause else ''}"
    assert not any(secret in shown for secret in SECRETS), shown
    assert cause is None or cause.__traceback__ is cause.__cause__ is cause.__context__ is None


def heard(remote: RemotePusher, server: PusherServer, act: Callable[[], object]) -> list[Any]:
    """Return the data of what a visitor hears of an act on the channel `a`, before the last."""
    listener = SocketListener(remote, server.port, server.key, "a")
    try:
        act()
        remote.trigger("a", "last", 1)
        return list(iter(lambda: (event := listener.hear()).name != "last" and event.data, False))
    finally:
        listener.close()


# The row P1: no answer


@verbs
def test_p1_half_open(connect, kept, verb):
    """A connection on which nothing comes any more costs no more than the limit."""
    pusher = connect(kept.port, timeout=SHORT)
    pusher.ping()
    kept.stalled = True

    with at_most(LIMIT), fails(TimedOut):
        verb(pusher)

    kept.heal()
    with at_most(RECOVERY):
        pusher.trigger("a", "new", 1)


def test_p1_half_open_by_default(connect, kept):
    """With the default of 5 seconds it is over before 6."""
    pusher = connect(kept.port)
    pusher.trigger("a", "new", 1)
    kept.stalled = True

    with at_most(BUDGET), fails(TimedOut, "within 5 seconds; outcome unknown"):
        pusher.trigger("a", "new", 1)


@live
@verbs
def test_p1_accepted_but_silent(connect, proxy, verb):
    """So does a server that takes connections and says nothing."""
    proxy.stalled = True

    with at_most(LIMIT), fails(TimedOut):
        verb(connect(proxy.port, timeout=SHORT))


def test_p1_a_connection_that_nobody_takes(connect, stack):
    """The limit includes the time to connect; the outcome is known then."""
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listening.getsockname())

    with at_most(LIMIT), fails(TimedOut, "seconds$"):
        connect(listening.getsockname()[1], timeout=SHORT).trigger("a", "new", 1)


@live
@pytest.mark.parametrize("timeout", [0.3, 5])
def test_p1_a_ping_takes_a_second(connect, proxy, timeout):
    """Whatever the limit of other calls is."""
    proxy.stalled = True

    with at_most(2), fails(TimedOut):
        connect(proxy.port, timeout=timeout).ping()


@live
def test_p1_a_silent_handshake(connect, proxy):
    """The limit includes TLS."""
    proxy.stalled = True

    with at_most(LIMIT), fails(TimedOut):
        connect(proxy.port, timeout=SHORT, ssl=True).trigger("a", "new", 1)


@some_verbs
@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        answer("200 OK", b"{" + b" " * 1000),
        b"HTTP/1.1 200 OK\r\n" + b"X-Header: x\r\n" * 90,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 90,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 90,
    ],
    ids=["answer", "body", "headers", "continue", "chunks"],
)
def test_p1_trickling(connect, answering, verb, text):
    """A server that sends a byte now and then does not make it longer."""
    server = answering()
    server._answers.append(server.trickle(text, 0.05))

    with at_most(LIMIT), fails(TimedOut):
        verb(connect(port_of(server), timeout=SHORT))


@live
@some_verbs
def test_p1_refused(connect, proxy, verb):
    """Where nobody listens, it is asked again, and then an error."""
    pusher = connect(proxy.port)
    pusher.ping()
    proxy.refused = True

    with at_most(BUDGET), fails(Unavailable, "PUSHER_HOST"):
        verb(pusher)

    proxy.heal()
    with at_most(RECOVERY):
        verb(pusher)


def test_p1_nothing_was_sent_where_nobody_listened(connect):
    """The outcome is known then, and the reason is the cause."""
    with pytest.raises(Unavailable) as caught:
        connect(free_port()).trigger("a", "new", 1)

    assert "unknown" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_p1_an_unknown_host(connect):
    """A name that has no address is an error of ours."""
    with at_most(BUDGET), fails(Unavailable, "PUSHER_HOST"):
        connect(1, host="quorum.invalid").trigger("a", "new", 1)


# The row P2: busy, failing, lost


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    "bad",
    [
        answer("429 Too Many Requests"),
        answer("500 Internal Server Error", b"Internal Server Error"),
        answer("502 Bad Gateway", b"<html>"),
        answer("503 Service Unavailable"),
        answer("200 OK", b'{"error": "busy", "code": 429}'),
        answer("200 OK", b'{"error": "failed", "code": 500}'),
        b"",
    ],
    ids=["429", "500", "502", "503", "200 with 429", "200 with 500", "no answer"],
)
def test_p2_a_passing_failure_is_asked_again(connect, answering, bad, count):
    """Busy, failing, or gone without an answer: the next attempt is good."""
    server = answering(*[bad] * count, GOOD)

    with at_most(BUDGET):
        connect(port_of(server)).trigger("a", "new", 1)

    assert len(server.requests) == count + 1


@some_verbs
def test_p2_a_failure_that_lasts_is_told(connect, answering, verb):
    """After a few attempts it is Unavailable, before the limit."""
    server = answering(answer("503 Service Unavailable"))

    with at_most(BUDGET), fails(Unavailable, "503"):
        verb(connect(port_of(server)))

    assert 2 <= len(server.requests) <= 5


@pytest.mark.parametrize("status", ["408 Request Timeout", "500 Oops", "504 Gateway Timeout"])
def test_p2_a_failure_may_have_come_after_the_deed(connect, answering, status):
    """Of what a server or a gateway failed over, the outcome is unknown."""
    with fails(Unavailable, "outcome unknown"):
        connect(port_of(answering(answer(status)))).trigger("a", "new", 1)


def test_p2_of_an_endless_answer_a_part_is_read(connect, answering):
    """A server that announces 100 GB is no server of Pusher."""
    huge = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n{"

    with at_most(BUDGET), fails(ServiceError):
        connect(port_of(answering(huge))).trigger("a", "new", 1)


def test_p2_attempts_fit_into_the_limit(connect, answering):
    """No attempt begins when the time is over."""
    server = answering(answer("503 Service Unavailable"))

    # Or the time is over in the midst of one.
    with at_most(2), fails(ServiceError):
        connect(port_of(server), timeout=0.2).trigger("a", "new", 1)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_p2_retry_after_is_honoured(connect, answering, status):
    """The next attempt waits as long as the server says."""
    server = answering(answer(status, Retry_After="1"), GOOD)

    start = time.monotonic()
    connect(port_of(server)).trigger("a", "new", 1)

    assert time.monotonic() - start >= 1


@pytest.mark.parametrize("after", ["60", "Fri, 31 Dec 2100 23:59:59 GMT", "9" * 400])
def test_p2_a_retry_after_the_limit_is_not_waited_for(connect, answering, after):
    """There is no point in waiting, nor in asking before."""
    server = answering(answer("429 Too Many Requests", Retry_After=after))

    with at_most(BUDGET), fails(Unavailable, "try in"):
        connect(port_of(server)).trigger("a", "new", 1)

    assert len(server.requests) == 1


@pytest.mark.parametrize("after", ["soon", "", "-1", "\u0661", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_p2_a_retry_after_that_says_nothing_is_none(connect, answering, after):
    """It is asked again as ever."""
    head = f"HTTP/1.1 429 Busy\r\nRetry-After: {after}\r\nContent-Length: 0\r\n\r\n"
    server = answering(head.encode(), GOOD)

    with at_most(BUDGET):
        connect(port_of(server)).trigger("a", "new", 1)


@live
def test_p2_an_answer_that_is_lost(connect, proxy, server):
    """The event is sent again: it comes, and may come twice."""
    pusher, listener = connect(proxy.port), connect(server.port)
    pusher.ping()
    proxy.lost = 1

    came = heard(listener, server, lambda: pusher.trigger("a", "new", "once"))

    assert came == ["once", "once"]


@live
def test_p2_answers_that_are_always_lost(connect, proxy):
    """The error says that the events may have been taken."""
    proxy.lost = 99

    with at_most(BUDGET), fails(Unavailable, "outcome unknown"):
        connect(proxy.port).trigger("a", "new", 1)


@live
def test_p2_reading_has_no_unknown_outcome(connect, proxy):
    """What changes nothing has no outcome to know."""
    proxy.lost = 99

    with pytest.raises(Unavailable) as caught:
        connect(proxy.port).channels()

    assert "unknown" not in str(caught.value)


@live
@pytest.mark.parametrize("at", ["cut_after", "cut_request_after"])
def test_p2_a_connection_that_is_cut(connect, proxy, at):
    """In the midst of the answer or of the question: the next connection is good."""
    setattr(proxy, at, 40)
    proxy.cuts = 2

    with at_most(BUDGET):
        connect(proxy.port).trigger("a", "new", "x" * 10_000)


@pytest.mark.parametrize(
    "said",
    [b'{"error": "no", "code": 401}', b'{"error": null}', b'{"error": "x", "code": 200}'],
)
@verbs
def test_p2_a_200_that_carries_an_error_is_a_failure(connect, answering, verb, said):
    """The server confirmed nothing, and is not asked again."""
    server = answering(answer("200 OK", said))

    with fails(Rejected):
        verb(connect(port_of(server)))

    assert len(server.requests) == 1


@live
@verbs
def test_p2_a_wrong_secret_is_refused(connect, server, verb):
    """The error names the variables."""
    with fails(Rejected, "PUSHER_SECRET"):
        verb(connect(server.port, secret="marker-other"))


@live
def test_p2_another_application_is_refused(connect, server):
    """The error names the variable."""
    with fails(Rejected, "PUSHER_APP_ID"):
        connect(server.port, app_id="77").ping()


@pytest.mark.parametrize(
    ("status", "match"),
    [
        ("301 Moved", "PUSHER_SSL"),
        ("400 Bad Request", "400"),
        ("401 Unauthorized", "PUSHER_SECRET"),
        ("403 Forbidden", "quota"),
        ("404 Not Found", "PUSHER_APP_ID"),
        ("413 Too Large", "send less"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\x00 not shown",
        b'Invalid signature: you should have sent HmacSHA256Hex("auth_key=marker-key")',
        b'{"error": "auth_signature=0123"}',
    ],
)
def test_p2_a_refusal_is_told(connect, answering, status, match, body):
    """What is refused is not sent again; of the server's words nothing secret is repeated."""
    server = answering(answer(status, body, Location="http://127.0.0.1:1/"))

    with fails(Rejected, match):
        connect(port_of(server)).trigger("a", "new", 1)

    assert len(server.requests) == 1


def test_p2_the_servers_reason_is_told(connect, answering):
    """A sentence of the server that holds nothing secret is in ours."""
    server = answering(answer("400 Bad Request", b"The channel\r\n'a' is reserved"))

    with fails(Rejected, "400: The channel 'a' is reserved"):
        connect(port_of(server)).trigger("a", "new", 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"1", b"null", b"[" * 100_000, b"\xff"])
def test_p2_another_server_is_no_success(connect, answering, body):
    """A 200 of a server that does not speak as Pusher does is a failure."""
    server = answering(answer("200 OK", body))

    with fails(Unavailable, "PUSHER_HOST"):
        connect(port_of(server)).trigger("a", "new", 1)


def test_p2_a_server_that_lists_nothing_is_no_success(connect, answering):
    """An answer without channels is no list of none."""
    with fails(Unavailable, "PUSHER_HOST"):
        connect(port_of(answering(GOOD))).channels()


def test_p2_no_channel_at_all_may_be_an_empty_list(connect, answering):
    """As servers that are written in PHP say it."""
    assert connect(port_of(answering(answer("200 OK", b'{"channels": []}')))).channels() == ()


@pytest.mark.parametrize("garbage", [b"\x00\xff" * 100, b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_p2_garbage_is_an_error_of_ours(connect, answering, garbage):
    """Whatever speaks on that port."""
    with at_most(BUDGET), fails(Unavailable):
        connect(port_of(answering(garbage))).trigger("a", "new", 1)


# The row P3: connections


def test_p3_one_connection_serves_many_calls(connect, kept):
    """20 calls of every kind, one connection."""
    pusher = connect(kept.port)

    for _ in range(4):
        for verb in (*VERBS.values(),)[:5]:
            verb(pusher)

    assert kept.connections == 1


def test_p3_threads_keep_their_connections(connect, kept):
    """8 threads need 8 connections at most, however many calls they make."""
    pusher = connect(kept.port)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: pusher.trigger("a", "new", n), range(160)))

    assert 1 <= kept.connections <= 8


def test_p3_a_connection_that_was_dropped_is_replaced(connect, kept):
    """The server, or what is between, ended those that were idle: nobody is told."""
    pusher = connect(kept.port)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: pusher.trigger("a", "new", n), range(40)))
    kept.reset()

    with at_most(BUDGET):
        pusher.trigger("a", "new", 1)
        pusher.ping()


@live
def test_p3_a_server_that_was_restarted(connect, server):
    """Calls while it is down are errors of ours; soon after it is back the same object works."""
    pusher = connect(server.port)
    pusher.trigger("a", "new", 1)
    server.kill()
    with at_most(BUDGET), fails(Unavailable):
        pusher.trigger("a", "new", 1)
    server.start()

    with at_most(RECOVERY):
        pusher.trigger("a", "new", 1)
        pusher.ping()


@live
def test_p3_a_server_that_hung(connect, server):
    """A server that stands still for a while is one that does not answer in time."""
    pusher = connect(server.port, timeout=SHORT)
    pusher.trigger("a", "new", 1)
    server.pause()
    try:
        with at_most(LIMIT), fails(TimedOut, "outcome unknown"):
            pusher.trigger("a", "new", 1)
    finally:
        server.resume()

    with at_most(RECOVERY):
        pusher.trigger("a", "new", 1)


@pytest.mark.parametrize("name", ["127.0.0.1", "another.example"])
def test_p3_the_certificate_is_verified(connect, stack, monkeypatch, tmp_path: Path, name):
    """One of an unknown authority is refused at once, and so is one of another host."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    connections: list[Any] = []

    def over_tls(connection: Any) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(GOOD)

    class TlsServer(AnsweringServer):
        def _serve(self, connection: Any) -> None:
            connections.append(connection)
            try:
                over_tls(connection)
            except OSError:
                connection.close()

    port = port_of(stack.enter_context(TlsServer()))
    with at_most(BUDGET), fails(Unavailable, "SSL_CERT_FILE"):
        connect(port, ssl=True).trigger("a", "new", 1)
    assert len(connections) == 1
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    with nullcontext() if name == "127.0.0.1" else fails(Unavailable, "SSL_CERT_FILE"):
        connect(port, ssl=True).trigger("a", "new", 1)


def test_p3_the_proxy_of_the_environment_is_used(connect, answering, monkeypatch):
    """As the vendor's own client does, but for hosts that NO_PROXY names."""
    middle = answering(GOOD)
    monkeypatch.setenv("http_proxy", middle.url.replace("://", "://ana:word@"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    connect(1234, host="pusher.invalid").trigger("a", "new", 1)
    with fails(Unavailable):
        connect(1, host="127.0.0.1").ping()

    assert len(middle.requests) == 1
    assert middle.requests[0].startswith(b"POST http://pusher.invalid:1234/apps/1001/events?")
    assert b"Basic YW5hOndvcmQ=" in middle.requests[0]


# The row P4: limits


@pytest.mark.parametrize(
    "call",
    [
        lambda pusher: pusher.trigger([f"c{n}" for n in range(101)], "new", 1),
        lambda pusher: pusher.trigger("a b", "new", 1),
        lambda pusher: pusher.trigger("c" * 165, "new", 1),
        lambda pusher: pusher.trigger("a", "n" * 201, 1),
        lambda pusher: pusher.trigger("a", "new", "x" * 20_000),
        lambda pusher: pusher.trigger("a", "new", object()),
        lambda pusher: pusher.trigger("a", "new", 1, socket_id="1"),
        lambda pusher: pusher.trigger("private-encrypted-a", "new", 1),
        lambda pusher: pusher.trigger_batch([Event("a", "new", 1)] * 11),
        lambda pusher: pusher.trigger_batch([Event("a", "new", "x" * 20_000)]),
        lambda pusher: pusher.trigger_batch([]),
        lambda pusher: pusher.channels("a&auth_key=b"),
        lambda pusher: pusher.authenticate("private-a", "1.2"),
        lambda pusher: pusher.authenticate("public", "1.2"),
        lambda pusher: pusher.validate_webhook("a", "b", b""),
    ],
)
def test_p4_nothing_is_sent_that_is_over_a_limit(connect, answering, call):
    """Checks are ours, before anything is sent; what needs no server asks none."""
    server = answering(GOOD)
    pusher = connect(port_of(server))

    try:
        call(pusher)
    except ServiceError as error:
        assert isinstance(error, Rejected | Unsupported)  # noqa: PT017 - some calls are good

    assert server.requests == []
