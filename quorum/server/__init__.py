"""Serving an application: `run`, and what it serves with."""

from quorum.server.serving import SERVERS, run, serve

__all__ = ["SERVERS", "run", "serve"]
