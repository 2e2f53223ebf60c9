"""The driver over pika: one connection a process, shared by all threads."""

from quorum.services.amqp.server.broker import ServerBroker

__all__ = ["ServerBroker"]
