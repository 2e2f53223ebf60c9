"""SMTP: how names become addresses, and what the settings say."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
from typing import Any

import pytest

from quorum import Container, Settings
from quorum.errors import Rejected, TimedOut, Unavailable
from quorum.services import sockets
from quorum.services.deadline import Deadline
from tests.services.mailer.servers import mail
from tests.waiting import at_most, wait_until


def test_a_name_that_does_not_exist_is_unavailable(connect: Any) -> None:
    """The error names host and settings."""
    with pytest.raises(Unavailable, match=r"mail\.invalid:25 cannot be used"):
        mail(connect(host="mail.invalid", starttls=False))


def test_a_name_that_cannot_be_is_unavailable(connect: Any) -> None:
    """A label too long for the DNS is no trouble of ours to explain."""
    with pytest.raises(Unavailable, match="is not a host name"):
        mail(connect(host="x" * 70 + ".example", starttls=False))


def test_a_slow_look_up_is_timed_out(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's look-up has no time limit; the call has."""
    answer = threading.Event()
    before = {*threading.enumerate()}

    def look_up(*_: Any, **options: Any) -> list[Any]:
        if not options.get("flags"):
            answer.wait(5)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with at_most(1), pytest.raises(TimedOut):
        mail(connect(host="slow.example", timeout=0.2))
    answer.set()
    wait_until(lambda: before.issuperset(threading.enumerate()))


def test_the_next_address_is_tried(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several addresses the first that answers is used, whatever the others do."""
    server = serve()
    good = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.port))
    closed = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))
    unknown = (12345, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [unknown, closed, good])
    sockets.connect("any.example", server.port, Deadline(2)).close()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(OSError, match="has no address"):
        sockets.connect("none.example", server.port, Deadline(2))


def test_an_interrupted_connect_leaves_no_socket(
    serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception from outside while connecting closes the socket."""
    server = serve()

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mail(connect(server, tls=True))
    gc.collect()


def test_a_file_says_nothing_of_a_queue(tmp_path: Any) -> None:
    """Where the system does not tell what is under way, nothing is."""
    with (tmp_path / "file").open("wb") as file:
        assert sockets.unacknowledged(file.fileno()) == 0


def test_the_sender_is_the_settings(serve: Any, connect: Any) -> None:
    """SMTP_SENDER, with its name, is who a mail is from."""
    server = serve()
    mail(connect(server, sender="The Shop <shop@example.org>"))
    (delivery,) = server.deliveries
    assert delivery.sender == "shop@example.org"
    assert delivery.message["From"] == "The Shop <shop@example.org>"


def test_no_sender_for_another_host_is_refused(connect: Any) -> None:
    """Where nobody is set, no address is made up for another server."""
    with pytest.raises(Rejected, match="no sender; give sender or set SMTP_SENDER"):
        mail(connect(host="mail.example", sender=None, user="ana"))


def test_host_and_port_may_be_one(serve: Any) -> None:
    """`SMTP_HOST=host:port` is taken apart."""
    server = serve()
    settings = Settings(mailer={"host": f"127.0.0.1:{server.port}"})
    container = Container(settings=settings)
    mail(container.mailer(), sender="shop@example.org")
    container.mailer().close()
    assert len(server.deliveries) == 1


def test_nothing_is_done_before_the_first_mail(connect: Any) -> None:
    """Building a mailer opens no connection and looks up no name."""
    assert connect(host="mail.invalid").counts.calls == 0
