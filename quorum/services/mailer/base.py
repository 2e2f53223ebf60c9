"""The mailer: what it promises, and the values it takes and gives."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from quorum.services.tasks.base import Handle

Addresses = str | Sequence[str]


@dataclass(frozen=True)
class Attachment:
    """A file that travels with a mail.

    `content_type` is guessed from the name where it is not given. With a `content_id` the file
    is an inline image, shown by `<img src="cid:…">` in the HTML body.
    """

    name: str
    data: bytes = field(repr=False)
    content_type: str | None = None
    content_id: str | None = None

    @classmethod
    def read(cls, path: str | Path, *, content_id: str | None = None) -> Attachment:
        """Read an attachment from a file, named after it. Raises OSError if it cannot be read."""
        path = Path(path)
        return cls(path.name, path.read_bytes(), content_id=content_id)

    @property
    def resolved_type(self) -> str:
        """The content type: as given, guessed from the name, or application/octet-stream."""
        guessed, encoding = mimetypes.guess_type(self.name)
        plain = guessed if encoding is None else None
        return self.content_type or plain or "application/octet-stream"


@dataclass(frozen=True)
class Message:
    """A mail to be sent; each field is an argument of `Mailer.send`, which tells what it means."""

    subject: str = ""
    to: Addresses = ()
    cc: Addresses = ()
    bcc: Addresses = ()
    sender: str | None = None
    reply_to: Addresses = ()
    text: str | None = None
    html: str | None = None
    plain: str | None = None
    rich: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    charset: str = "utf-8"


@dataclass(frozen=True)
class Sent:
    """What became of a mail.

    `accepted` are the addresses that the server took responsibility for; `refused` says for
    each of the others why.
    """

    message_id: str
    accepted: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as a dictionary that JSON can carry."""
        accepted, refused = list(self.accepted), dict(self.refused)
        return {"message_id": self.message_id, "accepted": accepted, "refused": refused}


class Mailer(Protocol):
    """Sends mail."""

    def send(
        self,
        message: Message | None = None,
        *,
        subject: str | None = None,
        to: Addresses | None = None,
        cc: Addresses | None = None,
        bcc: Addresses | None = None,
        sender: str | None = None,
        reply_to: Addresses | None = None,
        text: str | None = None,
        html: str | None = None,
        plain: str | None = None,
        rich: str | None = None,
        context: Mapping[str, Any] | None = None,
        attachments: Sequence[Attachment] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Sent:
        """Send a mail, and return once the server has taken responsibility for it.

        Arguments win over the fields of `message`. An address is one `ana@example.org` or
        `"Silva, Ana" <ana@example.org>`; `to`, `cc`, `bcc` and `reply_to` take one or a
        sequence. The sender defaults to SMTP_SENDER, then to SMTP_USER. `text` and `html` are
        bodies; `plain` and `rich` name templates of them, rendered with `context`. Both bodies
        make a multipart/alternative (RFC 2046, section 5.1.4). Message-ID and Date are added
        (RFC 5322, section 3.6); Bcc never is.

        The whole call takes at most SMTP_TIMEOUT seconds (a body above 64 KiB: at most that
        without progress). It returns if at least one recipient was accepted. Raises Rejected
        for a mail that is not well formed or that the server refuses, before anything is sent;
        Unsupported for an address the server has no way to write; Unavailable or TimedOut if
        the server cannot be reached or does not answer. If the connection is lost after the
        content was handed over, the error says that the outcome is unknown: the mail is never
        sent twice by itself.
        """
        ...

    def send_later(
        self,
        message: Message | None = None,
        *,
        subject: str | None = None,
        to: Addresses | None = None,
        cc: Addresses | None = None,
        bcc: Addresses | None = None,
        sender: str | None = None,
        reply_to: Addresses | None = None,
        text: str | None = None,
        html: str | None = None,
        plain: str | None = None,
        rich: str | None = None,
        context: Mapping[str, Any] | None = None,
        attachments: Sequence[Attachment] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Handle:
        """Send a mail in the background, by a job of the application's tasks.

        It is composed here and now, so that templates see the request; Rejected is raised for
        what is not well formed, and Unavailable where the tasks take no more. What `send` would
        raise afterwards is the job's, and what it would return is the job's result, as a
        dictionary. A mail that travels by a broker may be delivered twice, as any job there;
        both have the one Message-ID.
        """
        ...

    def ping(self) -> None:
        """Return within a second if mail could be sent now; else raise Unavailable or TimedOut."""
        ...

    def close(self) -> None:
        """Let go of all connections. A second call is a no-op; a mail sent later is refused."""
        ...
