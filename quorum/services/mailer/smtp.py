"""SMTP: verified, time-limited connections, kept and used again by one thread at a time."""

from __future__ import annotations

import logging
import os
import re
import smtplib
import ssl
import time
from collections import deque
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from quorum.errors import Rejected, TimedOut, Unavailable, Unsupported
from quorum.services.mailer.base import Sent
from quorum.services.mailer.compose import ComposingMailer, Envelope
from quorum.services.mailer.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quorum.settings import MailerSettings

logger = logging.getLogger("quorum.mailer")

Encryption = Literal["required", "unless local", "offered", "never"]

_KEPT = 16
_IDLE_SECONDS = 60.0
_PING_SECONDS = 1.0
_STARTTLS: dict[bool | None, Encryption] = {True: "required", None: "unless local", False: "never"}


class _Lost(Exception):  # noqa: N818 - never leaves this file
    """The connection ended before the content was handed over: nothing was sent."""


class SmtpMailer(ComposingMailer):
    """Sends over SMTP (RFC 5321).

    `encryption` says when STARTTLS is needed; unset, SMTP_STARTTLS does. "offered": used if the
    server has it, and refused without it only where a password would travel.
    """

    def __init__(
        self,
        settings: MailerSettings,
        render: Callable[[str, dict[str, Any]], str],
        encryption: Encryption | None = None,
    ) -> None:
        super().__init__(settings, render)
        self._host = settings.host or "localhost"
        self._place = settings.public_address or "localhost"
        self._encryption = encryption or _STARTTLS[settings.starttls]
        # Appending and popping a deque is atomic: there is no lock that a fork could leave shut.
        self._idle: deque[Session] = deque()

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def deliver(self, envelope: Envelope) -> Sent:
        start = time.monotonic()
        session, used = self._take(self._settings.timeout)
        try:
            sent = self._attempt(session, envelope)
        except _Lost as lost:
            if not used:
                raise self._explain(lost.__cause__, session) from lost.__cause__
            # Kept connections end unseen. Nothing was handed over, so a new one may try again.
            session = self._open(self._settings.timeout - (time.monotonic() - start))
            try:
                sent = self._attempt(session, envelope)
            except _Lost as again:
                raise self._explain(again.__cause__, session) from again.__cause__
        self._keep(session)
        logger.debug("sent %s to %d recipients", sent.message_id, len(sent.accepted))
        return sent

    def ping(self) -> None:
        if self._closed:
            raise Unavailable("mailer", "it is closed; load the application again to send")
        session, used = self._take(_PING_SECONDS)
        try:
            if used and session.noop()[0] != 250:  # noqa: PLR2004
                raise smtplib.SMTPServerDisconnected("the server does not answer NOOP")
        except (OSError, smtplib.SMTPException) as error:
            session.close()
            raise self._explain(error, session) from error
        self._keep(session)

    def close(self) -> None:
        super().close()
        while self._idle:
            self._idle.pop().leave()

    def _take(self, seconds: float) -> tuple[Session, bool]:
        """Return a connection, and whether it was used before."""
        while True:
            try:
                session = self._idle.pop()
            except IndexError:
                return self._open(seconds), False
            fresh = time.monotonic() - session.used < _IDLE_SECONDS
            if fresh and session.pid == os.getpid() and session.quiet:
                session.begin(seconds)
                return session, True
            session.leave()

    def _keep(self, session: Session) -> None:
        session.used = time.monotonic()
        if self._closed or len(self._idle) >= _KEPT:
            session.leave()
        else:
            self._idle.append(session)

    def _open(self, seconds: float) -> Session:
        session = Session(seconds)
        try:
            implicit = self._context if self._settings.implicit_tls else None
            session.open(self._host, self._settings.resolved_port, implicit)
            if not session.encrypted:
                self._encrypt(session)
            self._sign_in(session)
        except (OSError, smtplib.SMTPException) as error:
            session.close()
            raise self._explain(error, session) from error
        except BaseException:
            session.close()
            raise
        return session

    def _encrypt(self, session: Session) -> None:
        if self._encryption == "never":
            return
        if session.has_extn("starttls"):
            session.secure(self._context)
        elif self._needs_encryption:
            raise Rejected(
                "mailer",
                f"{self._place} does not offer STARTTLS, so the mail would travel in clear; "
                "use smtps://, or set SMTP_STARTTLS=false to allow it",
            )

    @property
    def _needs_encryption(self) -> bool:
        if self._encryption == "offered":
            return self._settings.password is not None
        if self._encryption == "unless local":
            return not self._settings.on_this_machine
        return True

    def _sign_in(self, session: Session) -> None:
        user, password = self._settings.user, self._settings.password
        if user is None or password is None:
            return
        if session.has_extn("auth"):
            session.authenticate(user.get_secret_value(), password.get_secret_value())
        else:
            logger.warning("%s has no AUTH; mail is sent without signing in", self._place)

    def _attempt(self, session: Session, envelope: Envelope) -> Sent:
        try:
            with self._ended_well(session):
                return self._transact(session, envelope)
        except (OSError, smtplib.SMTPException) as error:
            session.close()
            if session.content_begun or session.late:
                raise self._explain(error, session) from error
            raise _Lost from error

    @contextmanager
    def _ended_well(self, session: Session) -> Iterator[None]:
        """Leave a connection that is kept ready for the next mail after a refusal."""
        try:
            yield
        except (Rejected, Unsupported):
            try:
                session.rset()
                self._keep(session)
            except (OSError, smtplib.SMTPException):
                session.close()
            raise

    def _transact(self, session: Session, envelope: Envelope) -> Sent:
        options = [f"size={len(envelope.content)}"] if session.has_extn("size") else []
        if envelope.international:
            if not session.has_extn("smtputf8"):
                raise Unsupported(
                    "mailer",
                    f"{self._place} cannot carry an address outside ASCII (it has no SMTPUTF8)",
                )
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        self._expect({250}, session.mail(envelope.sender, options), "the sender")
        accepted, refused = self._address(session, envelope)
        if not accepted:
            reasons = "; ".join(f"{address}: {why}" for address, why in refused.items())
            raise Rejected("mailer", f"{self._place} refused every recipient: {reasons}")
        self._expect({354}, session.docmd("DATA"), "the mail")
        session.content_begun = True
        session.send(re.sub(rb"(?m)^\.", b"..", envelope.content) + b".\r\n")
        reply = session.getreply()
        session.content_begun = False
        self._expect({250}, reply, "the content")
        if refused:
            logger.warning("%s refused %d recipients", self._place, len(refused))
        return Sent(envelope.message_id, tuple(accepted), refused)

    def _address(self, session: Session, envelope: Envelope) -> tuple[list[str], dict[str, str]]:
        accepted: list[str] = []
        refused: dict[str, str] = {}
        for recipient in envelope.recipients:
            code, text = session.rcpt(recipient)
            if code in {250, 251}:
                accepted.append(recipient)
            elif code == 421:  # noqa: PLR2004
                raise smtplib.SMTPServerDisconnected("the server closes the connection (421)")
            else:
                refused[recipient] = f"{code} {_readable(text)}"
        return accepted, refused

    def _expect(self, codes: set[int], reply: tuple[int, bytes], what: str) -> None:
        code, text = reply
        if code == 421:  # noqa: PLR2004
            raise smtplib.SMTPServerDisconnected("the server closes the connection (421)")
        if code not in codes:
            later = "; try again later" if 400 <= code < 500 else ""  # noqa: PLR2004
            raise Rejected(
                "mailer", f"{self._place} refused {what}: {code} {_readable(text)}{later}"
            )

    def _explain(self, error: BaseException | None, session: Session) -> Exception:
        """Say in our words what a connection died of; the error itself becomes the cause."""
        if session.content_begun:
            sentence = (
                f"the connection to {self._place} was lost after the mail was handed over: the "
                "outcome is unknown; send it again only if a second copy does no harm"
            )
            return (TimedOut if session.late else Unavailable)("mailer", sentence)
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unavailable(
                "mailer",
                f"the certificate of {self._place} is not trusted ({error.verify_message}); "
                "name its authority in SSL_CERT_FILE",
            )
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return Rejected(
                "mailer",
                f"{self._place} refused the user or the password ({error.smtp_code}); check "
                "SMTP_USER and SMTP_PASSWORD",
            )
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return Unsupported("mailer", f"{self._place} cannot do that: {error}")
        if session.late or isinstance(error, TimeoutError):
            return TimedOut("mailer", f"{self._place} did not answer in time; nothing was sent")
        return Unavailable(
            "mailer", f"{self._place} cannot be used ({error}); check SMTP_URL or SMTP_HOST"
        )


def _readable(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())[:200]
