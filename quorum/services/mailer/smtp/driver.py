"""SMTP: verified, time-limited connections, kept and used again by one thread at a time."""

from __future__ import annotations

import logging
import smtplib
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from quorum.errors import Rejected, Unsupported
from quorum.services.deadline import Deadline
from quorum.services.mailer.compose import ComposingMailer, Envelope
from quorum.services.mailer.smtp.failures import explain, explain_unknown
from quorum.services.mailer.smtp.pool import Pool
from quorum.services.mailer.smtp.session import Session
from quorum.services.mailer.smtp.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.mailer.base import Sent
    from quorum.services.tasks.base import Tasks
    from quorum.settings import MailerSettings

logger = logging.getLogger("quorum.mailer")

Encryption = Literal["required", "unless local", "offered", "never"]

_PING_SECONDS = 1.0
_RESET_SECONDS = 1.0
_STARTTLS: dict[bool | None, Encryption] = {True: "required", None: "unless local", False: "never"}
_REPAIRS = {
    "required": "use smtps:// or another server, or do not require STARTTLS",
    "unless local": "use smtps://, or set SMTP_STARTTLS=false to allow it",
    "offered": "use another server, or send without the password",
}


class _Lost(Exception):
    """A kept connection ended before the content was begun: nothing was sent."""


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
        tasks: Callable[[], Tasks] | None = None,
    ) -> None:
        super().__init__(settings, render, tasks)
        self._host = settings.host or "localhost"
        self._place = settings.public_address or "localhost"
        self._encryption = encryption or _STARTTLS[settings.starttls]
        self._pool = Pool()
        self._trusted: ssl.SSLContext | None = None

    def deliver(self, envelope: Envelope) -> Sent:
        deadline = Deadline(self._settings.timeout)
        kept = self._pool.take()
        if kept is not None:
            kept.deadline = deadline
            with suppress(_Lost):
                return self._attempt(kept, envelope, kept=True)
            logger.debug("a kept connection to %s was dead; opening another", self._place)
        return self._attempt(self._open(deadline), envelope, kept=False)

    def reach(self) -> None:
        deadline = Deadline(min(_PING_SECONDS, self._settings.timeout))
        session = self._pool.take()
        if session is not None and not session.answers(deadline):
            self._pool.drain()
            session = None
        self._pool.keep(session or self._open(deadline))

    def close(self) -> None:
        super().close()
        self._pool.close()

    def _open(self, deadline: Deadline) -> Session:
        session = Session(deadline)
        try:
            implicit = self._context() if self._settings.implicit_tls else None
            session.open(self._host, self._settings.resolved_port, implicit)
            if not session.encrypted:
                self._encrypt(session)
            self._sign_in(session)
        except (OSError, smtplib.SMTPException) as error:
            session.close()
            raise explain(error, self._place, deadline) from error
        except BaseException:
            session.close()
            raise
        return session

    def _context(self) -> ssl.SSLContext:
        # Without a lock, which a fork could leave shut: two threads may build one each.
        if self._trusted is None:
            self._trusted = ssl.create_default_context()
        return self._trusted

    def _encrypt(self, session: Session) -> None:
        if self._encryption == "never":
            return
        if session.has_extn("starttls"):
            session.secure(self._context())
        elif self._needs_encryption:
            raise Rejected(
                "mailer",
                f"{self._place} does not offer STARTTLS, so the mail would travel in clear; "
                f"{_REPAIRS[self._encryption]}",
            )

    @property
    def _needs_encryption(self) -> bool:
        if self._encryption == "offered":
            return self._settings.password is not None
        if self._encryption == "unless local":
            return self._settings.host is not None and not self._settings.on_this_machine
        return True

    def _sign_in(self, session: Session) -> None:
        user, password = self._settings.user, self._settings.password
        if user is None or password is None:
            return
        if session.has_extn("auth"):
            session.authenticate(user.get_secret_value(), password.get_secret_value())
        else:
            logger.warning("%s has no AUTH; mail is sent without signing in", self._place)

    def _attempt(self, session: Session, envelope: Envelope, *, kept: bool) -> Sent:
        transaction = Transaction(session, envelope, self._place, kept=kept)
        try:
            sent = transaction.run()
        except (Rejected, Unsupported):
            self._reset(session)
            raise
        except (OSError, smtplib.SMTPException) as error:
            session.close()
            # Whatever ended this one most likely ended those beside it.
            self._pool.drain()
            if transaction.handed_over:
                raise explain_unknown(self._place, envelope.message_id, session.deadline) from error
            if kept and not transaction.content_begun and not session.deadline.passed:
                raise _Lost from error
            raise explain(error, self._place, session.deadline) from error
        except BaseException:
            session.close()
            raise
        self._pool.keep(session)
        if sent.refused:
            logger.warning("%s refused %d recipients", self._place, len(sent.refused))
        logger.debug("sent %s to %d recipients", sent.message_id, len(sent.accepted))
        return sent

    def _reset(self, session: Session) -> None:
        """Make a connection ready for the next mail after a refusal."""
        try:
            with session.within(Deadline(_RESET_SECONDS)):
                code, _ = session.rset()
        except (OSError, smtplib.SMTPException):
            session.close()
            return
        if code == 250:  # noqa: PLR2004
            self._pool.keep(session)
        else:
            session.close()
