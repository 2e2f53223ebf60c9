"""The embedded twin: mail is kept in an outbox, as the wire would carry it."""

from __future__ import annotations

import email
import email.policy
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from quorum.services.mailer.base import Sent
from quorum.services.mailer.compose import ComposingMailer, Envelope
from quorum.services.mailer.mime.addresses import address

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

    from quorum.settings import MailerSettings


class MemoryMailer(ComposingMailer):
    """Keeps what it sends. `outbox` holds the mails, rendered to bytes and read back."""

    def __init__(
        self, settings: MailerSettings, render: Callable[[str, dict[str, Any]], str]
    ) -> None:
        super().__init__(settings, render)
        self.outbox: list[EmailMessage] = []
        """The mails sent, the oldest first."""
        self._results: WeakKeyDictionary[EmailMessage, Sent] = WeakKeyDictionary()

    @property
    def sent(self) -> list[Sent]:
        """What became of each mail in `outbox`; `accepted` has the Bcc recipients too."""
        return [sent for _, sent in self._all()]

    def clear(self) -> None:
        """Forget every mail."""
        self.outbox.clear()

    def deliver(self, envelope: Envelope) -> Sent:
        # As text, since the parser of bytes loses an address outside ASCII; nothing else is.
        text = envelope.content.decode().replace("\r\n", "\n")
        message = email.message_from_string(text, policy=email.policy.default)
        sent = Sent(envelope.message_id, envelope.recipients)
        self._results[message] = sent
        self.outbox.append(message)
        return sent

    def reach(self) -> None:
        """Return at once: there is no server to reach."""

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
