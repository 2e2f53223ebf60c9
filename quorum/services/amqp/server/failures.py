"""What an error of pika means, in a sentence of ours."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from pika import exceptions
from pika.adapters.utils import connection_workflow as workflow

from quorum.errors import Rejected, ServiceError, TimedOut, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

UNKNOWN = "the outcome is unknown: the message may be stored or not"
UNSENT = "nothing was sent"
_REFUSALS = {
    "ACCESS_REFUSED": "refuses the user name or the password",
    "No acceptable authentication method": "takes no user name with a password",
    "NOT_ALLOWED": "has no such virtual host, or refuses it to the user",
}


def lost(error: BaseException, place: str) -> ServiceError:
    """Return our error for a connection that could not be made, or that broke."""
    *_, root = _unwrapped(error)
    # pika guesses from the moment: a broker that dies in the handshake refused nobody.
    if rule := next((rule for word, rule in _REFUSALS.items() if word in str(root)), None):
        return Rejected("amqp", f"{place} {rule}; set it right in AMQP_URL")
    if isinstance(root, ssl.SSLCertVerificationError):
        return Unavailable(
            "amqp", f"the certificate of {place} cannot be trusted ({root.verify_message})"
        )
    if isinstance(root, workflow.AMQPConnectorStackTimeout | TimeoutError):
        return TimedOut("amqp", f"{place} did not answer in time; check AMQP_URL and the network")
    if isinstance(root, exceptions.IncompatibleProtocolError):
        return Unavailable("amqp", f"{place} does not speak AMQP 0-9-1, or hung up at once")
    return Unavailable(
        "amqp", f"{place} cannot be reached ({said(root)}); check AMQP_URL and the network"
    )


def said(error: BaseException) -> str:
    """Return what an error says, or at least its name."""
    if isinstance(error, exceptions.ConnectionClosed | exceptions.ChannelClosed):
        return f"{error.reply_code} {error.reply_text}"
    return str(error) or type(error).__name__


def _unwrapped(error: BaseException) -> Iterator[BaseException]:
    """Give an error, and those that pika wrapped it around."""
    yield error
    if isinstance(error, workflow.AMQPConnectionWorkflowFailed):
        yield from _unwrapped(error.exceptions[-1])
    elif isinstance(error, workflow.AMQPConnectorPhaseErrorBase):
        yield from _unwrapped(error.exception)
    elif type(error) is exceptions.AMQPConnectionError:
        for inner in error.args:
            if isinstance(inner, BaseException):
                yield from _unwrapped(inner)
