"""The names of objects: which are refused, in every driver the same."""

from __future__ import annotations

import re

from quorum.errors import Rejected

MAXIMUM = 1024
"""Bytes of UTF-8 that a name may have."""

# Control characters, halves of a surrogate pair, and the two that XML, which S3 speaks, lacks.
_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def check_name(name: object) -> str:
    """Return the name of an object. Raises Rejected for one that no driver takes."""
    if name == "":
        raise Rejected("storage", "the name is empty; give the object a name")
    text = _text("name", name)
    parts = text.split("/")
    if parts[0] == "":
        raise _refusal("name", text, "starts with /; leave that out")
    if "" in parts:
        raise _refusal("name", text, "has an empty part; write one / between two, none at the end")
    if "." in parts or ".." in parts:
        raise _refusal("name", text, "has a part . or ..; write it without")
    return text


def check_prefix(prefix: object) -> str:
    """Return what names may start with. Raises Rejected where no name can."""
    return _text("prefix", prefix)


def _text(what: str, text: object) -> str:
    if not isinstance(text, str):
        raise Rejected("storage", f"a {what} is text, not {type(text).__name__}; give str")
    if _REFUSED.search(text):
        raise _refusal(what, text, "has a control character or half a character; leave it out")
    length = len(text.encode())
    if length > MAXIMUM:
        raise _refusal(what, text, f"has {length} bytes of UTF-8; {MAXIMUM} are the most")
    return text


def _refusal(what: str, text: str, fault: str) -> Rejected:
    shown = ascii(text) if len(text) < MAXIMUM // 10 else f"{text[:40]!a}…"
    return Rejected("storage", f"the {what} {shown} {fault}")
