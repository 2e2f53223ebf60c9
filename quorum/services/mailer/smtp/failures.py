"""What a connection died of, in our words."""

from __future__ import annotations

import smtplib
import ssl
from typing import TYPE_CHECKING

from quorum.errors import Rejected, ServiceError, TimedOut, Unavailable, Unsupported
from quorum.services.mailer.smtp.transaction import readable

if TYPE_CHECKING:
    from quorum.services.deadline import Deadline

Failure = OSError | smtplib.SMTPException


def explain(error: Failure, place: str, deadline: Deadline) -> ServiceError:
    """Explain why nothing was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unavailable(
            "mailer",
            f"the certificate of {place} is not trusted ({error.verify_message}); "
            "name its authority in SSL_CERT_FILE",
        )
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return _explain_refusal(error.smtp_code, place)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Unsupported("mailer", f"{place} cannot do what is needed: {error}")
    if deadline.passed or isinstance(error, TimeoutError):
        return TimedOut("mailer", f"{place} did not answer in time; nothing was sent")
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        said = readable(text if isinstance(text, bytes) else text.encode())
        return Unavailable("mailer", f"{place} does not serve now ({error.smtp_code} {said})")
    return Unavailable("mailer", f"{place} cannot be used ({error}); check SMTP_URL or SMTP_HOST")


def explain_unknown(place: str, message_id: str, deadline: Deadline) -> ServiceError:
    """Explain that a mail may have been sent or not."""
    sentence = (
        f"the connection to {place} was lost after the mail {message_id} was handed over: the "
        "outcome is unknown; send it again only if a second copy does no harm, with the same "
        "Message-ID in headers"
    )
    return (TimedOut if deadline.passed else Unavailable)("mailer", sentence)


def _explain_refusal(code: int, place: str) -> ServiceError:
    if 400 <= code < 500:  # noqa: PLR2004
        return Unavailable(
            "mailer", f"{place} cannot check the user and the password now ({code}); try later"
        )
    return Rejected(
        "mailer",
        f"{place} refused the user or the password ({code}); check SMTP_USER and SMTP_PASSWORD",
    )
