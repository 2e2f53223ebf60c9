"""The embedded twin of MongoDB."""

from quorum.services.mongo.memory.driver import MemoryMongo

__all__ = ["MemoryMongo"]
