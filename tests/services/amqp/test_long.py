"""Many messages over many kills: minutes, with `pytest -m long`."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.services.amqp.ledger import publish_over_kills
from tests.services.amqp.own_server import OwnServer, connected, drained, lasting_queue
from tests.waiting import BUDGET

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHES = int(os.environ.get("LONG_PUBLISHES", "100_000"))
KILLS = int(os.environ.get("LONG_KILLS", "20"))


@pytest.mark.live("amqp")
@pytest.mark.long
def test_nothing_acknowledged_is_lost_over_twenty_kills(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """100,000 messages from 8 threads over 20 kills: every one that was confirmed is there."""
    start = time.monotonic()
    with OwnServer(tmp_path) as server, connected(server) as amqp:
        queue = lasting_queue(amqp)
        ledger = publish_over_kills(server, amqp, queue, PUBLISHES, KILLS)
        published = time.monotonic() - start
        found = drained(server, queue)
    lost = len(ledger.stored - set(found))
    figures = (
        f"\n{KILLS} kills in {published:.0f} s; {ledger}\n"
        f"{len(found)} in the queue, {len(found) - len(set(found))} of them twice;"
        f" {lost} acknowledged and lost\n"
    )
    with capsys.disabled():
        sys.stdout.write(figures)
    ledger.compare(found)
    assert len(ledger.stored) >= PUBLISHES
    assert ledger.slowest <= BUDGET
