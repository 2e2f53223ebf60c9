"""One mail over one connection (RFC 5321, section 3.3)."""

from __future__ import annotations

import re
import smtplib
from typing import TYPE_CHECKING

from quorum.errors import Rejected, Unsupported
from quorum.services.mailer.base import Sent
from quorum.services.mailer.smtp.session import KEPT_SHARE

if TYPE_CHECKING:
    from quorum.services.mailer.compose import Envelope
    from quorum.services.mailer.smtp.session import Session


class Transaction:
    """The sending of a mail, and how far it went."""

    def __init__(self, session: Session, envelope: Envelope, place: str, *, kept: bool) -> None:
        self._session = session
        self._envelope = envelope
        self._place = place
        self._kept = kept
        self.content_begun = False
        self.handed_over = False

    def run(self) -> Sent:
        """Send the mail. Raises Rejected, Unsupported, or what smtplib does."""
        options = self._options()
        self._begin(options)
        accepted, refused = self._address()
        if not accepted:
            reasons = "; ".join(f"{address}: {why}" for address, why in refused.items())
            raise Rejected("mailer", f"{self._place} refused every recipient: {reasons}")
        self._expect(354, self._session.docmd("DATA"), "the mail")
        self.content_begun = True
        self._session.send(re.sub(rb"(?m)^\.", b"..", self._envelope.content) + b".\r\n")
        self.handed_over = True
        reply = self._session.getreply()
        self.content_begun = self.handed_over = False
        self._expect(250, reply, "the content")
        return Sent(self._envelope.message_id, tuple(accepted), refused)

    def _options(self) -> list[str]:
        session, envelope = self._session, self._envelope
        options = [f"size={len(envelope.content)}"] if session.has_extn("size") else []
        if not envelope.international:
            return options
        if not session.has_extn("smtputf8"):
            raise Unsupported(
                "mailer",
                f"{self._place} cannot carry an address outside ASCII (it has no SMTPUTF8)",
            )
        return [*options, "SMTPUTF8", "BODY=8BITMIME"]

    def _begin(self, options: list[str]) -> None:
        session, sender = self._session, self._envelope.sender
        if not self._kept:
            self._expect(250, session.mail(sender, options), "the sender")
            return
        with session.within(session.deadline.share(KEPT_SHARE)):
            code, text = session.mail(sender, options)
        if not _means(250, code):
            # The refusal may be one of this connection, such as of too many mails on it.
            raise smtplib.SMTPServerDisconnected(f"not sent on a kept connection: {code} {text!r}")

    def _address(self) -> tuple[list[str], dict[str, str]]:
        accepted: list[str] = []
        refused: dict[str, str] = {}
        for recipient in self._envelope.recipients:
            code, text = self._session.rcpt(recipient)
            _check_open(code)
            if _means(250, code):
                accepted.append(recipient)
            else:
                refused[recipient] = f"{code} {readable(text)}"
        return accepted, refused

    def _expect(self, expected: int, reply: tuple[int, bytes], what: str) -> None:
        code, text = reply
        _check_open(code)
        if not _means(expected, code):
            later = "; try again later" if _means(450, code) else ""
            raise Rejected(
                "mailer", f"{self._place} refused {what}: {code} {readable(text)}{later}"
            )


def readable(text: bytes) -> str:
    """Write what a server said on one line, and not at any length."""
    return " ".join(text.decode("utf-8", "replace").split())[:200]


def _means(expected: int, code: int) -> bool:
    """Tell by the first digit, as a client should (RFC 5321, section 4.2.1)."""
    return code // 100 == expected // 100


def _check_open(code: int) -> None:
    if code == 421:  # noqa: PLR2004
        raise smtplib.SMTPServerDisconnected("the server closes the connection (421)")
