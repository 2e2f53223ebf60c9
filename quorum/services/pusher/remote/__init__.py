"""The driver over HTTPS: the vendor's client on connections that keep to a time limit."""

from quorum.services.pusher.remote.driver import RemotePusher

__all__ = ["RemotePusher"]
