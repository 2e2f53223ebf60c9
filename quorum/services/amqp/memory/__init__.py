"""The embedded twin: an in-process broker, with what tests ask of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorum.services.amqp.memory.broker import MemoryBroker
from quorum.services.amqp.memory.published import Published

if TYPE_CHECKING:
    from quorum.services.amqp.base import Broker

    # A type error here tells that it keeps the contract no more.
    _KEEPS: type[Broker] = MemoryBroker

__all__ = ["MemoryBroker", "Published"]
