"""From a message to the bytes that travel: what every mailer does before it delivers."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected, Unavailable
from quorum.services.counts import Counts
from quorum.services.mailer.addresses import address, addresses
from quorum.services.mailer.base import Message, Sent

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.headerregistry import Address

    from quorum.services.mailer.base import Attachment
    from quorum.settings import MailerSettings

# Every body in 7 bits: a server without 8BITMIME (RFC 6152) takes it too.
_POLICY = SMTP.clone(cte_type="7bit", raise_on_defect=False)
_POLICY_UTF8 = SMTPUTF8.clone(cte_type="7bit", raise_on_defect=False)
_OWN_HEADERS = {"from", "to", "cc", "bcc", "reply-to", "subject", "mime-version"}


@dataclass(frozen=True)
class Envelope:
    """A mail ready to travel: who sends it, who gets it, and its content with CRLF line ends."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    message_id: str

    @property
    def international(self) -> bool:
        """Whether an address can only be written with SMTPUTF8 (RFC 6531)."""
        return not all(each.isascii() for each in (self.sender, *self.recipients))


class ComposingMailer(ABC):
    """A mailer but for the last step, `deliver`."""

    def __init__(self, settings: MailerSettings, render: Callable[[str, dict[str, Any]], str]):
        self._settings = settings
        self._render = render
        self._closed = False
        self.counts = Counts()

    @abstractmethod
    def deliver(self, envelope: Envelope) -> Sent:
        """Hand over an envelope, and return what became of it."""

    def send(self, message: Message | None = None, **fields: Any) -> Sent:
        given = {name: value for name, value in fields.items() if value is not None}
        try:
            composed = replace(message or Message(), **given)
        except TypeError as error:
            raise Rejected("mailer", f"send() takes no such argument: {error}") from error
        with self.counts.call():
            if self._closed:
                raise Unavailable("mailer", "it is closed; load the application again to send")
            return self.deliver(self.compose(composed))

    def close(self) -> None:
        self._closed = True

    def compose(self, message: Message) -> Envelope:
        """Render a message. Raises Rejected for what is not well formed."""
        to, cc, bcc = (addresses(name, getattr(message, name)) for name in ("to", "cc", "bcc"))
        recipients = tuple(dict.fromkeys(each.addr_spec for each in (*to, *cc, *bcc)))
        if not recipients:
            raise Rejected("mailer", "the mail has no recipient; give to, cc or bcc")
        sender = self._sender(message)
        written = [sender, *to, *cc, *addresses("reply_to", message.reply_to)]
        utf8 = not all(each.addr_spec.isascii() for each in written)
        mail = EmailMessage(policy=_POLICY_UTF8 if utf8 else _POLICY)
        self._write_headers(mail, message, sender, to, cc)
        self._write_bodies(mail, message)
        try:
            content = re.sub(rb"\r\n|\r|\n", b"\r\n", mail.as_bytes())
        except (ValueError, UnicodeError, LookupError) as error:
            raise Rejected("mailer", f"the mail cannot be written: {error}") from error
        return Envelope(sender.addr_spec, recipients, content, str(mail["Message-ID"]).strip())

    def _sender(self, message: Message) -> Address:
        if message.sender is not None:
            return address("sender", message.sender)
        if self._settings.sender:
            return address("SMTP_SENDER", self._settings.sender)
        user = self._settings.user.get_secret_value() if self._settings.user else ""
        if "@" in user:
            return address("SMTP_USER", user)
        if self._settings.host is None or self._settings.on_this_machine:
            return address("sender", "quorum@localhost")
        raise Rejected("mailer", "the mail has no sender; give sender or set SMTP_SENDER")

    def _write_headers(
        self,
        mail: EmailMessage,
        message: Message,
        sender: Address,
        to: tuple[Address, ...],
        cc: tuple[Address, ...],
    ) -> None:
        mail["From"] = sender
        for name, values in (
            ("To", to),
            ("Cc", cc),
            ("Reply-To", addresses("reply_to", message.reply_to)),
        ):
            if values:
                mail[name] = values
        _set(mail, "Subject", message.subject)
        for name, value in message.headers.items():
            if name.lower() in _OWN_HEADERS:
                raise Rejected("mailer", f"the header {name} is set by an argument of send()")
            _set(mail, name, value)
        if "Date" not in mail:
            mail["Date"] = format_datetime(datetime.now(UTC))
        if "Message-ID" not in mail:
            mail["Message-ID"] = make_msgid(domain=sender.domain)

    def _write_bodies(self, mail: EmailMessage, message: Message) -> None:
        text = self._body("text", message.text, "plain", message.plain, message)
        html = self._body("html", message.html, "rich", message.rich, message)
        if text is None and html is None:
            raise Rejected("mailer", "the mail has no body; give text, html, plain or rich")
        try:
            if text is not None:
                mail.set_content(text, charset=message.charset)
            if html is not None:
                add = mail.set_content if text is None else mail.add_alternative
                add(html, subtype="html", charset=message.charset)
            inline = [each for each in message.attachments if each.content_id]
            if inline and html is None:
                raise Rejected("mailer", "an attachment with content_id needs an HTML body")
            shown = mail.get_body(("html",)) if inline else None
            for each in inline:
                _attach(shown.add_related, each, cid=f"<{each.content_id}>")  # type: ignore[union-attr]
            for each in message.attachments:
                if not each.content_id:
                    _attach(mail.add_attachment, each)
        except (ValueError, TypeError, AttributeError, UnicodeError) as error:
            raise Rejected("mailer", f"the body cannot be written: {error}") from error

    def _body(
        self, given_name: str, given: str | None, name: str, template: str | None, message: Message
    ) -> str | None:
        if given is not None and template is not None:
            raise Rejected("mailer", f"give {given_name} or {name}, not both")
        if template is None:
            if given is not None and not isinstance(given, str):
                raise Rejected("mailer", f"{given_name} must be text")
            return given
        return self._render(template, dict(message.context))


def _set(mail: EmailMessage, name: str, value: str) -> None:
    if not isinstance(value, str):
        raise Rejected("mailer", f"the header {name} must be text")
    if any(character in value for character in "\r\n\0"):
        raise Rejected("mailer", f"the header {name} holds a line break; a header is one line")
    try:
        mail[name] = value
    except (ValueError, TypeError) as error:
        raise Rejected("mailer", f"the header {name} cannot be written: {error}") from error


def _attach(add: Callable[..., None], each: Attachment, **more: str) -> None:
    if not isinstance(each.data, bytes):
        raise Rejected("mailer", f"the data of attachment {each.name!r} must be bytes")
    if any(character in f"{each.name}{each.content_id}" for character in "\r\n\0"):
        raise Rejected("mailer", "the name of an attachment holds a line break")
    maintype, slash, subtype = each.resolved_type.partition("/")
    if not slash:
        raise Rejected("mailer", f"the content type of {each.name!r} is not like image/png")
    disposition = "inline" if more else "attachment"
    add(
        each.data,
        maintype=maintype,
        subtype=subtype,
        filename=each.name,
        disposition=disposition,
        **more,
    )
