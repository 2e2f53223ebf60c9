"""Connections: kept, used again, looked after and left."""

from __future__ import annotations

import smtplib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Rejected, TimedOut, Unavailable
from quorum.services.deadline import Deadline
from quorum.services.mailer.smtp.session import Session
from tests.services.mailer.servers import mail
from tests.waiting import at_most, wait_until

if TYPE_CHECKING:
    from tests.services.mailer.servers import Conversation


def test_a_connection_is_used_again(serve: Any, connect: Any) -> None:
    """Mails after one another share a connection."""
    server = serve()
    mailer = connect(server)
    for _ in range(10):
        mail(mailer)
    assert (len(server.deliveries), server.connections) == (10, 1)


def test_an_idle_connection_serves_another_thread(serve: Any, connect: Any) -> None:
    """What one thread left, another takes."""
    server = serve()
    mailer = connect(server)
    mail(mailer)
    thread = threading.Thread(target=mail, args=(mailer,))
    thread.start()
    thread.join()
    assert (len(server.deliveries), server.connections) == (2, 1)


def test_a_ping_keeps_its_connection(serve: Any, connect: Any) -> None:
    """What a ping opened or used serves the next mail."""
    server = serve()
    mailer = connect(server)
    mailer.ping()
    mailer.ping()
    mail(mailer)
    assert (len(server.deliveries), server.connections) == (1, 1)


def test_a_ping_of_no_server_is_unavailable(connect: Any) -> None:
    """Nothing listens: the ping says so at once, naming the address and the settings."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with at_most(1.5), pytest.raises(Unavailable, match=f"127.0.0.1:{port}.*SMTP_URL"):
        connect(port=port).ping()


def test_a_ping_of_a_stalled_server_takes_a_second(misbehave: Any, connect: Any) -> None:
    """Its time is one second, whatever a mail's is."""
    server = misbehave(CONNECT=lambda conversation: conversation.stall())
    with at_most(1.5), pytest.raises(TimedOut):
        connect(server).ping()


@pytest.mark.parametrize("answer", ["421 bye", "500 what?", None])
def test_a_ping_looks_past_a_dead_connection(misbehave: Any, connect: Any, answer: Any) -> None:
    """A kept connection that does not answer is left for a new one, within the second."""
    server = misbehave()
    mailer = connect(server)
    mail(mailer)
    server.answers["NOOP"] = answer or (lambda conversation: conversation.stall())
    mailer.ping()
    assert len(server.conversations) == 2


def test_connections_are_left_with_quit(misbehave: Any, connect: Any) -> None:
    """`close` says goodbye on each idle connection."""
    server = misbehave()
    mailer = connect(server)
    mail(mailer)
    mailer.close()
    wait_until(lambda: server.count("QUIT") == 1)


def test_a_mail_under_way_at_close_is_finished(misbehave: Any, connect: Any) -> None:
    """Closing interrupts no call, and its connection is not kept."""
    handed_over, closed = threading.Event(), threading.Event()

    def wait(conversation: Conversation) -> None:
        handed_over.set()
        closed.wait(5)
        conversation.say("250 OK")

    server = misbehave(CONTENT=wait)
    mailer = connect(server)
    thread = threading.Thread(target=mail, args=(mailer,))
    thread.start()
    assert handed_over.wait(5)
    mailer.close()
    closed.set()
    thread.join()
    wait_until(lambda: server.count("QUIT") == 1)
    assert len(server.contents) == 1


def test_no_more_connections_are_kept_than_needed(misbehave: Any, connect: Any) -> None:
    """Of twenty at once sixteen are kept; the others are left."""
    server = misbehave()
    together = threading.Barrier(20)
    server.answers["CONTENT"] = lambda conversation: (
        together.wait(10),
        conversation.say("250 OK"),
    )
    mailer = connect(server)
    threads = [threading.Thread(target=mail, args=(mailer,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: server.count("QUIT") == 4)
    assert len(mailer._pool._idle) == 16


def test_a_connection_idle_for_long_is_left(misbehave: Any, connect: Any) -> None:
    """After a minute a server has likely forgotten: a new one is opened, the old one left."""
    server = misbehave()
    mailer = connect(server)
    mail(mailer)
    mailer._pool._idle[0].used -= 61
    mail(mailer)
    wait_until(lambda: server.count("QUIT") == 1)
    assert len(server.conversations) == 2


def test_an_unasked_reply_makes_a_connection_unfit(misbehave: Any, connect: Any) -> None:
    """A reply too many is not taken for that of the next mail."""
    server = misbehave(CONTENT="250 OK\n250 again")
    mailer = connect(server)
    mail(mailer)
    mail(mailer)
    assert len(server.conversations) == 2


def test_a_refused_content_is_told(misbehave: Any, connect: Any) -> None:
    """The server's words are in the error, and the connection serves the next mail."""
    server = misbehave(CONTENT="552 too big")
    mailer = connect(server)
    with pytest.raises(Rejected, match="refused the content: 552 too big"):
        mail(mailer)
    server.answers["CONTENT"] = "250 OK"
    mail(mailer)
    assert len(server.conversations) == 1


def test_a_temporary_refusal_is_told_as_one(misbehave: Any, connect: Any) -> None:
    """A refusal that may pass says so."""
    server = misbehave(MAIL="451 busy")
    with pytest.raises(Rejected, match="refused the sender: 451 busy; try again later"):
        mail(connect(server))


@pytest.mark.parametrize("answer", ["500 what?", "421 bye"])
def test_a_connection_that_cannot_be_reset_is_not_kept(
    misbehave: Any, connect: Any, answer: str
) -> None:
    """After a refusal a connection is ready for the next mail, or gone."""
    server = misbehave(MAIL="550 no", RSET=answer)
    mailer = connect(server)
    for _ in range(2):
        with pytest.raises(Rejected):
            mail(mailer)
    assert len(server.conversations) == 2


def test_a_stalled_reset_does_not_hide_the_refusal(misbehave: Any, connect: Any) -> None:
    """The refusal is told whatever becomes of the connection."""
    server = misbehave(MAIL="550 no", RSET=lambda conversation: conversation.stall())
    with at_most(2), pytest.raises(Rejected, match="550 no"):
        mail(connect(server))


@pytest.mark.parametrize("greeting", ["554 go away", "HTTP/1.1 400 Bad Request"])
def test_a_server_that_does_not_serve_is_unavailable(
    misbehave: Any, connect: Any, greeting: str
) -> None:
    """A refusing greeting, or one that is not SMTP, is told."""
    with pytest.raises(Unavailable, match=r"554 go away|not SMTP"):
        mail(connect(misbehave(CONNECT=greeting)))


def test_a_server_of_the_old_style_is_served(misbehave: Any, connect: Any) -> None:
    """HELO serves where EHLO is not known."""
    server = misbehave(EHLO="502 what?")
    mail(connect(server))
    assert server.count("HELO") == 1


def test_the_size_is_announced(misbehave: Any, connect: Any) -> None:
    """A server that has SIZE can refuse a mail before it travels."""
    server = misbehave(EHLO="250-here\n250 SIZE 100", MAIL="552 too big")
    with pytest.raises(Rejected, match="552 too big"):
        mail(connect(server))
    assert "size=" in server.heard[1]


def test_ehlo_names_the_address(misbehave: Any, connect: Any) -> None:
    """No name is looked up for EHLO; the address literal is always right."""
    server = misbehave()
    mail(connect(server))
    assert server.heard[0] == "ehlo [127.0.0.1]"


def test_an_interrupted_mail_leaves_no_connection(misbehave: Any, connect: Any) -> None:
    """An exception from outside, such as Ctrl-C, closes what was in use."""

    class Interrupt(BaseException):
        pass

    def interrupt(_: bytes) -> None:
        raise Interrupt

    server = misbehave()
    mailer = connect(server)
    mail(mailer)
    session = mailer._pool._idle[0]
    session.rcpt = interrupt
    with pytest.raises(Interrupt):
        mail(mailer)
    assert session.sock is None
    assert not mailer._pool._idle


def test_a_connection_that_was_lost_says_so() -> None:
    """Using a closed session is an error of SMTP, not of Python."""
    with pytest.raises(smtplib.SMTPServerDisconnected, match="the connection is closed"):
        Session(Deadline(1)).noop()


def test_a_connection_of_another_process_is_only_closed(misbehave: Any, connect: Any) -> None:
    """No goodbye is said for the process that a fork left it in."""
    server = misbehave()
    mailer = connect(server)
    mail(mailer)
    session = mailer._pool._idle[0]
    session.pid = -1
    mail(mailer)
    assert session.sock is None
    assert (server.count("QUIT"), len(server.conversations)) == (0, 2)


def test_a_goodbye_that_cannot_be_said_is_none(misbehave: Any, connect: Any) -> None:
    """Closing a mailer is no matter of its connections' health."""
    mailer = connect(misbehave())
    mail(mailer)
    session = mailer._pool._idle[0]
    session.sock.shutdown(socket.SHUT_WR)
    mailer.close()
    assert session.sock is None


def test_a_deadline_that_passed_leaves_no_time() -> None:
    """Nothing more is waited for after it."""
    passed = Deadline(0)
    assert passed.passed
    with pytest.raises(TimeoutError):
        passed.remaining()
