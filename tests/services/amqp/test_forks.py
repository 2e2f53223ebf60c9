"""A broker in a process that forks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.services.amqp.children import fork, forks, status_of
from tests.services.amqp.ledger import Ledger, publishing
from tests.services.amqp.own_server import (
    OwnServer,
    connected,
    drained,
    new_queue,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from quorum.services.amqp.base import Broker

pytestmark = [pytest.mark.live("amqp"), forks]

CHILDREN = 4


class Diary:
    """What a child was told, in a file: a line for each message as soon as that is known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def write(self, ledger: Ledger, amqp: Broker, queue: str, *, ended: Path) -> None:
        """Publish from 8 threads until the file `ended` is there; then tell everything."""
        with publishing(amqp, queue, ledger), self._path.open("w") as file:
            while not ended.exists():
                print("so far", len(ledger.stored), file=file, flush=True)
                time.sleep(0.05)
        with self._path.open("a") as file:
            for what in ("stored", "refused", "unknown"):
                for name in getattr(ledger, what):
                    print(what, name, file=file)
            print(*("odd " + each for each in ledger.odd), sep="\n", file=file)
            print("slowest", ledger.slowest, file=file)

    @property
    def so_far(self) -> int:
        """How many messages were confirmed."""
        lines = [line for line in self._lines if line[:2] == ["so", "far"] and len(line) == 3]
        return int(lines[-1][2]) if lines else 0

    def read_into(self, ledger: Ledger) -> None:
        """Add everything to a ledger."""
        for what, *rest in self._lines:
            if what == "odd":
                ledger.odd.append(" ".join(rest))
            elif what == "slowest":
                ledger.slowest = max(ledger.slowest, float(rest[0]))
            elif what != "so":
                getattr(ledger, what).add(rest[0])

    @property
    def _lines(self) -> list[list[str]]:
        return [line.split() for line in self._path.read_text().splitlines() if line]


def test_children_publish_through_a_restart(server: OwnServer, tmp_path: Path) -> None:
    """8 threads in each of 4 children of a process that publishes: no error lies, none is lost."""
    ended = tmp_path / "ended"
    diaries = [Diary(tmp_path / f"child-{each}") for each in range(CHILDREN)]
    ledger = Ledger()
    with connected(server, timeout=3) as amqp:
        queue = new_queue(amqp)
        with publishing(amqp, queue, ledger):
            wait_until(lambda: ledger.stored)
            children = [
                fork(lambda diary=diary: diary.write(Ledger(), amqp, queue, ended=ended))
                for diary in diaries
            ]
            try:
                wait_until(lambda: all(each.so_far > 50 for each in diaries))
                server.restart()
                before = [each.so_far for each in diaries]
                wait_until(
                    lambda: all(
                        each.so_far > then + 50 for each, then in zip(diaries, before, strict=True)
                    )
                )
            finally:
                ended.touch()
                statuses = [status_of(child) for child in children]
        assert statuses == [0] * CHILDREN
        for diary in diaries:
            diary.read_into(ledger)
        ledger.compare(drained(server, queue))
        assert ledger.slowest <= 5


def test_a_fork_while_threads_publish_leaves_a_child_that_publishes(server: OwnServer) -> None:
    """Whatever the threads of the parent held, no child hangs, and the parent goes on."""
    ledger = Ledger()

    def work() -> None:
        for _ in range(5):
            amqp.publish(b"of a child", routing_key=others)
        amqp.close()

    with connected(server) as amqp:
        queue, others = new_queue(amqp), new_queue(amqp)
        with publishing(amqp, queue, ledger):
            statuses = [status_of(fork(work)) for _ in range(5)]
            before = len(ledger.stored)
            wait_until(lambda: len(ledger.stored) > before + 50)
        assert statuses == [0] * 5
        assert ledger.unknown | ledger.refused == set()
        ledger.compare(drained(server, queue))
        assert len(drained(server, others)) == 25


def test_a_child_that_closes_does_not_end_the_parents_connection(server: OwnServer) -> None:
    """No goodbye is said on a connection of another process, and no message of its is taken."""
    with connected(server) as amqp:
        queue = new_queue(amqp)
        amqp.publish(b"an order", routing_key=queue)
        delivery = amqp.get(queue, 5)
        assert delivery is not None
        assert status_of(fork(amqp.close)) == 0
        delivery.ack()
        assert drained(server, queue) == []


def test_a_child_has_no_consumer_of_its_parent(server: OwnServer) -> None:
    """Handlers run in the process that asked for them, and the child publishes to them."""
    handled: list[bytes] = []
    with connected(server) as amqp:
        queue = new_queue(amqp)
        amqp.consume(queue, lambda delivery: handled.append(delivery.body))
        children = [
            fork(lambda each=each: amqp.publish(str(each), routing_key=queue)) for each in range(3)
        ]
        assert [status_of(child) for child in children] == [0, 0, 0]
        wait_until(lambda: len(handled) == 3)
        assert sorted(handled) == [b"0", b"1", b"2"]


def test_a_child_may_consume(server: OwnServer) -> None:
    """It takes messages on a connection of its own."""

    def work() -> None:
        handled: list[bytes] = []
        with_own = amqp.consume(queue, lambda delivery: handled.append(delivery.body))
        wait_until(lambda: handled == [b"an order"])
        assert with_own.stop()

    with connected(server) as amqp:
        queue = new_queue(amqp)
        amqp.publish("an order", routing_key=queue)
        assert status_of(fork(work)) == 0
        assert drained(server, queue) == []
