"""From a message to the bytes that travel: what every mailer does before it delivers."""

from __future__ import annotations

import base64
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected, Unavailable, Unsupported
from quorum.services.counts import Counts
from quorum.services.mailer import later
from quorum.services.mailer.base import Message, Sent
from quorum.services.mailer.mime.addresses import Address, address, addresses
from quorum.services.mailer.mime.bodies import bodies
from quorum.services.mailer.mime.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.tasks.base import Handle, Tasks
    from quorum.settings import MailerSettings
_FIELDS = {each.name for each in fields(Message)}
_TEXT: tuple[type, ...] = (str,)
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "subject": (_TEXT, "text"),
    "charset": (_TEXT, "text"),
    "context": ((Mapping,), "a dictionary"),
    "headers": ((Mapping,), "a dictionary of names and values"),
    "attachments": ((list, tuple), "a list of quorum.Attachment"),
} | {name: ((str, type(None)), "text") for name in ("sender", "text", "html", "plain", "rich")}


@dataclass(frozen=True)
class Envelope:
    """A mail ready to travel: who sends it, who gets it, and its content with CRLF line ends."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    message_id: str
    international: bool = False
    """Whether it holds an address that only SMTPUTF8 (RFC 6531) can carry."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can carry it, its content in base64."""
        return asdict(self) | {"content": base64.b64encode(self.content).decode("ascii")}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Envelope:
        """Return what `as_json` made of one."""
        content = base64.b64decode(found["content"])
        return cls(**{**found, "content": content, "recipients": tuple(found["recipients"])})


class ComposingMailer(ABC):
    """A mailer but for the last steps, `deliver` and `reach`."""

    def __init__(
        self,
        settings: MailerSettings,
        render: Callable[[str, dict[str, Any]], str],
        tasks: Callable[[], Tasks] | None = None,
    ) -> None:
        self._settings = settings
        self._render = render
        self._tasks = tasks
        self._closed = False
        self.counts = Counts()

    @abstractmethod
    def deliver(self, envelope: Envelope) -> Sent:
        """Hand over an envelope, and return what became of it."""

    @abstractmethod
    def reach(self) -> None:
        """Return if mail could be delivered now."""

    def send(self, message: Message | None = None, **fields: Any) -> Sent:
        with self.counts.call():
            self._check_open()
            return self.deliver(self.compose(_merged(message, fields)))

    def send_later(self, message: Message | None = None, **fields: Any) -> Handle:
        self._check_open()
        if self._tasks is None:
            raise Unsupported("mailer", "it was given no tasks; send() sends now")
        envelope = self.compose(_merged(message, fields))
        return later.submit(self._tasks(), self.deliver_now, envelope)

    def deliver_now(self, envelope: Envelope) -> dict[str, Any]:
        """Deliver an envelope of `send_later`, and return what became of it as JSON can."""
        with self.counts.call():
            self._check_open()
            return self.deliver(envelope).as_json()

    def deliver_packed(self, packed: Mapping[str, Any]) -> dict[str, Any]:
        """Deliver what `Envelope.as_json` made of an envelope, as `deliver_now`."""
        return self.deliver_now(Envelope.from_json(packed))

    def ping(self) -> None:
        self._check_open()
        self.reach()

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("mailer", "it is closed; load the application again to send")

    def compose(self, message: Message) -> Envelope:
        """Render a message. Raises Rejected for what is not well formed."""
        _check(message)
        to, cc, bcc = (addresses(name, getattr(message, name)) for name in ("to", "cc", "bcc"))
        recipients = tuple(dict.fromkeys(each.spec for each in (*to, *cc, *bcc)))
        if not recipients:
            raise Rejected("mailer", "the mail has no recipient; give to, cc or bcc")
        sender = self._sender(message)
        headers = Headers()
        headers.add_addresses("From", [sender])
        headers.add_addresses("To", to)
        headers.add_addresses("Cc", cc)
        headers.add_addresses("Reply-To", addresses("reply_to", message.reply_to))
        headers.add_text("Subject", message.subject)
        headers.add_more(message.headers)
        if "Date" not in headers:
            headers.add_text("Date", format_datetime(datetime.now(UTC)))
        message_id = next(
            (value for name, value in message.headers.items() if name.lower() == "message-id"),
            None,
        )
        if message_id is None:
            message_id = make_msgid(domain=sender.domain)
            headers.add_text("Message-ID", message_id)
        body = bodies(
            self._body("text", "plain", message),
            self._body("html", "rich", message),
            message.charset,
            message.attachments,
        )
        content = bytes(headers) + re.sub(rb"\r\n|\r|\n", b"\r\n", body)
        international = headers.international or not all(each.isascii() for each in recipients)
        return Envelope(sender.spec, recipients, content, message_id, international)

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

    def _body(self, name: str, template_name: str, message: Message) -> str | None:
        given, template = getattr(message, name), getattr(message, template_name)
        if given is not None and template is not None:
            raise Rejected("mailer", f"give {name} or {template_name}, not both")
        if template is None:
            return given  # type: ignore[no-any-return] # _check saw that it is text or None
        return self._render(template, dict(message.context))


def _merged(message: Message | None, given: dict[str, Any]) -> Message:
    if message is not None and not isinstance(message, Message):
        raise Rejected(
            "mailer",
            f"message must be a quorum.Message, not {type(message).__name__}; give each field "
            "by its name, as in send(subject=…, to=…, text=…)",
        )
    unknown = sorted(given.keys() - _FIELDS)
    if unknown:
        raise Rejected(
            "mailer",
            f"send() has no argument {', '.join(unknown)}; it has {', '.join(sorted(_FIELDS))}",
        )
    set_here = {name: value for name, value in given.items() if value is not None}
    return replace(message or Message(), **set_here)


def _check(message: Message) -> None:
    for name, (types, what) in _TYPES.items():
        value = getattr(message, name)
        if not isinstance(value, types):
            raise Rejected("mailer", f"{name} must be {what}, not {type(value).__name__}")
