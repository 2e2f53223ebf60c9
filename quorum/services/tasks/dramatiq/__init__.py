"""Tasks on a broker, by way of dramatiq: durable, and run by processes of their own."""

from quorum.services.tasks.dramatiq.tasks import DramatiqTasks

__all__ = ["DramatiqTasks"]
