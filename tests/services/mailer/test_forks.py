"""A mailer in a process that forks."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from tests.services.mailer.servers import mail


def in_child(work: Any) -> int:
    """Run something in a forked child, and return its exit status."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@forks
def test_a_child_opens_its_own_connection(serve: Any, connect: Any) -> None:
    """After a fork parent and child do not speak on one connection, and neither loses its own."""
    server = serve()
    mailer = connect(server)
    mail(mailer)
    assert in_child(lambda: mail(mailer, to="child@example.org")) == 0
    mail(mailer)
    assert [each.recipients[0] for each in server.deliveries] == [
        "ana@example.org",
        "child@example.org",
        "ana@example.org",
    ]
    first, second, third = (each.connection for each in server.deliveries)
    assert first == third != second


@forks
def test_a_child_that_closes_does_not_end_the_parents_connection(
    misbehave: Any, connect: Any
) -> None:
    """No goodbye is said on a connection of another process."""
    server = misbehave()
    mailer = connect(server)
    mail(mailer)
    assert in_child(mailer.close) == 0
    mail(mailer)
    assert (server.count("QUIT"), len(server.conversations)) == (0, 1)


@forks
def test_forks_while_threads_send_leave_children_that_send(serve: Any, connect: Any) -> None:
    """Whatever the threads of the parent held, each child sends, and no mail is mixed up."""
    server = serve()
    mailer = connect(server)
    ended = threading.Event()

    def send_on(name: str) -> None:
        while not ended.is_set():
            mail(mailer, to=f"{name}@example.org", text=name)

    threads = [threading.Thread(target=send_on, args=(f"thread-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    statuses = [
        in_child(lambda n=n: mail(mailer, to=f"child-{n}@example.org", text=f"child-{n}"))
        for n in range(5)
    ]
    ended.set()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 5
    assert sum(each.recipients[0].startswith("child") for each in server.deliveries) == 5
    for each in server.deliveries:
        assert each.recipients == (f"{each.message.get_content().strip()}@example.org",)
