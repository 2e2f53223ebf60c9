"""The MIME tree of a mail (RFC 2046): its bodies, inline images and attachments."""

from __future__ import annotations

import codecs
import email
import quopri
import re
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

from quorum.errors import Rejected
from quorum.services.mailer.base import Attachment
from quorum.services.mailer.mime.addresses import UNPRINTABLE
from quorum.services.mailer.mime.headers import disposition

if TYPE_CHECKING:
    from collections.abc import Sequence

# Every body in 7 bits: a server without 8BITMIME (RFC 6152) takes it too.
_POLICY = SMTP.clone(cte_type="7bit", raise_on_defect=False, refold_source="none")
_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?: *;[ -~]{1,200})?", re.ASCII)
_LINE = 78
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,200}")


def bodies(
    text: str | None, html: str | None, charset: str, attachments: Sequence[Attachment]
) -> bytes:
    """Return what follows the header fields of a mail. Raises Rejected for what has no form."""
    if text is None and html is None:
        raise Rejected("mailer", "the mail has no body; give text, html, plain or rich")
    _check_charset(charset)
    for each in attachments:
        _check(each)
    inline = [each for each in attachments if each.content_id is not None]
    files = [each for each in attachments if each.content_id is None]
    if inline and html is None:
        raise Rejected("mailer", "an attachment with content_id needs an HTML body")
    written = [
        _text(body, subtype, charset)
        for body, subtype in ((text, "plain"), (html, "html"))
        if body is not None
    ]
    mail = written[0]
    if len(written) > 1:
        mail.make_alternative()
        mail.attach(written[1])
    mail.set_raw("MIME-Version", "1.0")
    _attach(mail, inline, files)
    return _rendered(mail)


def _rendered(mail: EmailMessage) -> bytes:
    if mail.is_multipart():
        return mail.as_bytes()
    # The generator reads every header of a part again and again, for half the time of a mail.
    head = b"".join(_POLICY.fold_binary(name, value) for name, value in mail.raw_items())
    return head + b"\r\n" + str(mail.get_payload()).encode()


def _attach(mail: EmailMessage, inline: list[Attachment], files: list[Attachment]) -> None:
    if inline:
        shown = mail.get_body(("html",)) or mail
        shown.make_related()
        shown.set_param("type", "text/html")  # RFC 2387, section 3.1
        for each in inline:
            shown.attach(_part(each))
    if files:
        mail.make_mixed()
        for each in files:
            mail.attach(_part(each))


def _text(body: str, subtype: str, charset: str) -> EmailMessage:
    try:
        lines = body.encode(charset).splitlines() or [b""]
    except UnicodeError as error:
        raise Rejected(
            "mailer", f"the {subtype} body holds a character that {charset} cannot write"
        ) from error
    data = b"\n".join(lines) + b"\n"
    # Not base64, in which line ends are CR LF: a body is read back with the line ends of the rest.
    # A NUL has no place in a mail as it stands (RFC 5321, section 4.5.2).
    plain = data.isascii() and b"\0" not in data and max(map(len, lines)) <= _LINE
    part = EmailMessage(policy=_POLICY)
    part.set_raw("Content-Type", f'text/{subtype}; charset="{charset}"')
    part.set_raw("Content-Transfer-Encoding", "7bit" if plain else "quoted-printable")
    part.set_payload((data if plain else quopri.encodestring(data)).decode("ascii"))
    return part


def _check_charset(charset: str) -> None:
    try:
        plain = "\r\n".encode(charset) == b"\r\n"
    except (LookupError, ValueError) as error:
        raise Rejected("mailer", f"there is no charset {charset!r}; leave it for utf-8") from error
    if not plain or codecs.lookup(charset).name == "utf-7":
        raise Rejected("mailer", f"mail cannot be written in {charset}; leave it for utf-8")


def _check(each: Attachment) -> None:
    if not isinstance(each, Attachment):
        raise Rejected(
            "mailer", f"attachments holds {type(each).__name__}; each must be a quorum.Attachment"
        )
    if not isinstance(each.name, str) or not each.name:
        raise Rejected("mailer", "the name of an attachment must be text")
    if UNPRINTABLE.search(each.name):
        raise Rejected(
            "mailer", "the name of an attachment holds a line break or control character"
        )
    if not isinstance(each.data, bytes):
        raise Rejected("mailer", f"the data of attachment {each.name!r} must be bytes")
    if not isinstance(each.content_type, str | None) or not _TYPE.fullmatch(each.resolved_type):
        raise Rejected("mailer", f"the content type of {each.name!r} is not like image/png")
    if each.resolved_type.lower().startswith("multipart/"):
        raise Rejected("mailer", f"the attachment {each.name!r} cannot be multipart")
    if each.content_id is not None and not _CONTENT_ID.fullmatch(_content_id(each)):
        raise Rejected("mailer", f"the content_id of {each.name!r} is not like 'logo'")


def _content_id(each: Attachment) -> str:
    given = each.content_id
    return given.removeprefix("<").removesuffix(">") if isinstance(given, str) else ""


def _part(each: Attachment) -> EmailMessage:
    part = EmailMessage(policy=_POLICY)
    content_type = each.resolved_type
    if content_type.lower() == "message/rfc822" and each.data.isascii():
        part.set_content(email.message_from_bytes(each.data, policy=_POLICY))
    else:
        if content_type.lower().startswith("message/"):
            # It may not be in base64 (RFC 2046, section 5.2), so it has no way through 7 bits.
            content_type = "application/octet-stream"
        if content_type.startswith("text/") and each.content_type is None and _is_utf8(each.data):
            content_type += "; charset=utf-8"
        part.set_content(each.data, "application", "octet-stream")
        _replace(part, "Content-Type", content_type)
    kind = "attachment" if each.content_id is None else "inline"
    _replace(part, "Content-Disposition", disposition(kind, each.name))
    if each.content_id is not None:
        _replace(part, "Content-ID", f"<{_content_id(each)}>")
    return part


def _replace(part: EmailMessage, name: str, value: str) -> None:
    # As it stands: the library would decode what it finds in it, line breaks included.
    del part[name]
    part.set_raw(name, value)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
