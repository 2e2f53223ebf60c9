"""The embedded twin: mail is kept in an outbox, as the wire would carry it."""

from __future__ import annotations

import email
import email.policy
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from quorum.forks import ForkSafeLock
from quorum.services.mailer.base import Sent
from quorum.services.mailer.compose import ComposingMailer, Envelope
from quorum.services.mailer.maildir import Maildir
from quorum.services.mailer.mime.addresses import address

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage
    from pathlib import Path

    from quorum.services.tasks.base import Tasks
    from quorum.settings import MailerSettings


class MemoryMailer(ComposingMailer):
    """Keeps what it sends; with a `data_path` in the Maildir `mailer` there, else in memory."""

    def __init__(
        self,
        settings: MailerSettings,
        render: Callable[[str, dict[str, Any]], str],
        data_path: Path | None = None,
        tasks: Callable[[], Tasks] | None = None,
    ) -> None:
        super().__init__(settings, render, tasks)
        self._maildir = None if data_path is None else Maildir(data_path / "mailer")
        self._outbox: list[EmailMessage] = []
        self._results: WeakKeyDictionary[EmailMessage, Sent] = WeakKeyDictionary()
        self._kept: dict[str, EmailMessage] = {}
        self._lock = ForkSafeLock()

    @property
    def outbox(self) -> list[EmailMessage]:
        """The mails sent, rendered to bytes and read back, the oldest first.

        A Maildir is looked at anew each time: it has the mails of earlier runs and of other
        processes too. Raises Unavailable if it cannot be read.
        """
        if self._maildir is not None:
            with self._lock:
                self._outbox[:] = self._read(self._maildir)
        return self._outbox

    @property
    def sent(self) -> list[Sent]:
        """What became of each mail in `outbox`; `accepted` has the Bcc recipients too."""
        return [sent for _, sent in self._all()]

    def clear(self) -> None:
        """Forget every mail, and delete those of a Maildir."""
        with self._lock:
            if self._maildir is not None:
                self._maildir.clear()
            self._kept.clear()
            self._outbox.clear()

    def deliver(self, envelope: Envelope) -> Sent:
        if self._maildir is not None:
            self._maildir.add(envelope)
        else:
            self._outbox.append(self._message(envelope))
        return Sent(envelope.message_id, envelope.recipients)

    def reach(self) -> None:
        """Return if there is room for mail: there is no server to reach."""
        if self._maildir is not None:
            self._maildir.prepare()

    def _message(self, envelope: Envelope) -> EmailMessage:
        # As text, since the parser of bytes loses an address outside ASCII; nothing else is.
        text = envelope.content.decode().replace("\r\n", "\n")
        message = email.message_from_string(text, policy=email.policy.default)
        self._results[message] = Sent(envelope.message_id, envelope.recipients)
        return message

    def _read(self, maildir: Maildir) -> list[EmailMessage]:
        names = maildir.names()
        new = [name for name in names if name not in self._kept]
        known = self._kept | {name: self._message(envelope) for name, envelope in maildir.read(new)}
        self._kept = {name: known[name] for name in names if name in known}
        return list(self._kept.values())

    def assert_sent(
        self, *, to: str | None = None, subject: str | None = None, times: int | None = None
    ) -> None:
        """Assert that a mail went to `to` with `subject`: at least one, or just `times`.

        What is not given matches any. Raises AssertionError that lists what was sent.
        """
        # As people mean it: no server that is in use tells ANA from ana.
        wanted = address("to", to).spec.lower() if to is not None else None
        matched = sum(
            (wanted is None or wanted in map(str.lower, sent.accepted))
            and (subject is None or message["Subject"] == subject)
            for message, sent in self._all()
        )
        if matched == times or (times is None and matched):
            return
        asked = {"to": to, "subject": subject}
        conditions = ", ".join(
            f"{name}={value!r}" for name, value in asked.items() if value is not None
        )
        expected = "at least 1 mail" if times is None else f"{times} mail{'s' * (times != 1)}"
        raise AssertionError(
            f"expected {expected}{' with ' if conditions else ''}{conditions}; "
            f"{matched} matched. {self._listing()}"
        )

    def assert_nothing_sent(self) -> None:
        """Assert that no mail was sent. Raises AssertionError that lists what was."""
        if self.outbox:
            raise AssertionError(f"expected no mail. {self._listing()}")

    def _all(self) -> list[tuple[EmailMessage, Sent]]:
        return [(message, self._results[message]) for message in list(self.outbox)]

    def _listing(self) -> str:
        if not self.outbox:
            return "Nothing was sent."
        lines = [
            f"\n  {number}. to={', '.join(sent.accepted)} subject={str(message['Subject'])!r}"
            for number, (message, sent) in enumerate(self._all(), 1)
        ]
        return "Sent:" + "".join(lines)
