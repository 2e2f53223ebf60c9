"""Publishers who remember of each message what they were told, to compare it with the queue."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from quorum.errors import Rejected, TimedOut, Unavailable
from tests.services.amqp.own_server import PASSWORD
from tests.waiting import BUDGET, RECOVERY, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quorum.services.amqp.base import Broker
    from tests.servers import AmqpServer


class Ledger:
    """What became of each message, by its id.

    `stored`: its publish returned. `refused`: nothing was sent, or the broker did not take it.
    `unknown`: the error says so. `odd`: errors that are not ours, or hold the password.
    """

    def __init__(self) -> None:
        self.stored: set[str] = set()
        self.refused: set[str] = set()
        self.unknown: set[str] = set()
        self.odd: list[str] = []
        self.told: Counter[str] = Counter()
        self.slowest = 0.0

    def publish(self, amqp: Broker, queue: str, body: bytes = b"an order") -> bool:
        """Publish a message, and tell whether that was confirmed."""
        name = uuid.uuid4().hex
        start = time.monotonic()
        try:
            assert amqp.publish(body, routing_key=queue, message_id=name) == name
        except (Unavailable, TimedOut, Rejected) as error:
            kept = self.unknown if "unknown" in str(error) else self.refused
            kept.add(name)
            self._look_at(error)
        except Exception as error:  # noqa: BLE001 - the very thing that is looked for
            self.odd.append(repr(error))
        else:
            self.stored.add(name)
        self.slowest = max(self.slowest, time.monotonic() - start)
        return name in self.stored

    def _look_at(self, error: BaseException) -> None:
        self.told[f"{type(error).__name__}: {error}"] += 1
        self.odd += holding_the_password(error)

    def compare(self, found: Iterable[str]) -> None:
        """Assert that a queue holds what was told of it, each message once."""
        times = Counter(found)
        assert self.odd == []
        assert self.stored - times.keys() == set(), "acknowledged and lost"
        assert self.refused & times.keys() == set(), "told that it is not stored, and it is"
        assert times.keys() <= self.stored | self.unknown
        assert [name for name, count in times.items() if count > 1] == [], "repeated in silence"

    def __str__(self) -> str:
        return (
            f"{len(self.stored)} stored, {len(self.refused)} not sent, {len(self.unknown)} unknown,"
            f" slowest call {self.slowest:.2f} s; {dict(self.told.most_common(5))}"
        )


def holding_the_password(error: BaseException | None) -> list[str]:
    """Return the errors, from one to its causes, in whose text the password is."""
    found = []
    while error is not None:
        if PASSWORD in f"{error} {error!r}":
            found.append(repr(error))
        error = error.__cause__ or error.__context__
    return found


@contextmanager
def publishing(
    amqp: Broker, queue: str, ledger: Ledger, threads: int = 8, enough: int | None = None
) -> Iterator[None]:
    """Have threads publish until the block ends, and then until `enough` messages are stored."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set() or (enough is not None and len(ledger.stored) < enough):
            if not ledger.publish(amqp, queue):
                time.sleep(0.02)

    running = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    except BaseException:
        enough = None
        raise
    finally:
        ended.set()
        for thread in running:
            thread.join(max(BUDGET, (enough or 0) / 50))
    assert not any(thread.is_alive() for thread in running), f"a publish hangs: {ledger}"


def publish_over_kills(
    server: AmqpServer, amqp: Broker, queue: str, publishes: int, kills: int
) -> Ledger:
    """Publish from 8 threads while the broker is killed and started, and return what was told."""
    ledger = Ledger()

    def wait_for(stored: float) -> None:
        wait_until(lambda: len(ledger.stored) >= stored, RECOVERY + publishes / 20)

    with publishing(amqp, queue, ledger, enough=publishes):
        for kill in range(1, kills + 1):
            wait_for(publishes * kill / (kills + 1))
            server.kill()
            server.start()
            before = len(ledger.stored)
            wait_until(lambda before=before: len(ledger.stored) > before, RECOVERY)
    return ledger
