"""The lines of AUTH (RFC 4954), as UTF-8: PLAIN (RFC 4616), LOGIN and CRAM-MD5 (RFC 2195)."""

from __future__ import annotations

import base64
import binascii
import hmac
import smtplib

# In clear, the one that does not show the password comes first.
_IN_CLEAR = ("CRAM-MD5", "PLAIN", "LOGIN")
_ENCRYPTED = ("PLAIN", "LOGIN", "CRAM-MD5")


def mechanism(offered: str, *, encrypted: bool) -> str:
    """Return the best mechanism of those offered. Raises SMTPNotSupportedError for none."""
    names = offered.upper().split()
    for name in _ENCRYPTED if encrypted else _IN_CLEAR:
        if name in names:
            return name
    raise smtplib.SMTPNotSupportedError(f"it signs in by {', '.join(names) or 'nothing'} only")


def first_line(name: str, user: str, password: str) -> str:
    """Return what follows AUTH in the first line."""
    return f"PLAIN {_plain(user, password)}" if name == "PLAIN" else name


def answer_to(challenge: bytes, name: str, step: int, user: str, password: str) -> str:
    """Return the answer to a challenge, the first of which has step 0."""
    if name == "PLAIN":
        return _plain(user, password)
    if name == "LOGIN":
        return _encoded((user, password)[step])
    try:
        asked = base64.b64decode(challenge)
    except binascii.Error as error:
        raise smtplib.SMTPException("its challenge is not base64") from error
    return _encoded(f"{user} {hmac.new(_bytes(password), asked, 'md5').hexdigest()}")


def _plain(user: str, password: str) -> str:
    return _encoded(f"\0{user}\0{password}")


def _encoded(text: str) -> str:
    return base64.b64encode(_bytes(text)).decode()


def _bytes(text: str) -> bytes:
    # As the environment gives what is not UTF-8.
    return text.encode("utf-8", "surrogateescape")
