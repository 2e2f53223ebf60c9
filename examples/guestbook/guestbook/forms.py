"""What a visitor types, and what may be wrong with it."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from werkzeug.datastructures import FileStorage

from guestbook.pictures import kind_of

_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@([\w-]+\.)+[\w-]+")


@dataclass(frozen=True)
class SignForm:
    """The fields of the form, empty at first; `ticket` is hidden, and new on every page."""

    name: str = ""
    email: str = ""
    message: str = ""
    picture: bytes = field(default=b"", repr=False)
    ticket: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    longest: ClassVar[dict[str, int]] = {"name": 80, "email": 254, "message": 1000}

    @classmethod
    def read(cls, fields: Mapping[str, str], files: Mapping[str, FileStorage]) -> Self:
        """Take what was sent, without the blanks around it; a name is one line."""
        sent = cls(
            name=" ".join(fields.get("name", "").split()),
            email=fields.get("email", "").strip(),
            # A browser sends a line break as two characters, and counted it as one.
            message=fields.get("message", "").replace("\r\n", "\n").strip(),
            picture=files["picture"].read() if "picture" in files else b"",
        )
        ticket = fields.get("ticket", "")
        return cls(**{**vars(sent), "ticket": ticket}) if 0 < len(ticket) <= 80 else sent

    @property
    def key(self) -> str:
        """The same for a form that is sent twice; another for other words, or of another page.

        Of the words too: who goes back in the browser and writes more sends an old ticket.
        """
        text = f"{self.ticket}\0{self.name}\0{self.message}"
        return hashlib.sha256(text.encode()).hexdigest()

    def errors(self, picture_size: int) -> dict[str, str]:
        """Say of each field that is wrong what is wrong with it, in the order of the page."""
        found = {
            "name": "" if self.name else "Please tell us your name.",
            "email": ""
            if not self.email or _ADDRESS.fullmatch(self.email)
            else "This does not look like an e-mail address. One looks like ana@example.org.",
            "message": "" if self.message else "Please write a few words.",
            "picture": self._picture_error(picture_size),
        }
        for name, longest in self.longest.items():
            length = len(getattr(self, name))
            if length > longest:
                found[name] = f"This is {length:,} characters long; {longest:,} is the most."
        return {name: text for name, text in found.items() if text}

    def _picture_error(self, most: int) -> str:
        size = len(self.picture)
        if size > most:
            return f"This picture has {size / 1e6:,.1f} MB; {most / 1e6:,.1f} MB is the most."
        if self.picture and kind_of(self.picture) is None:
            return "This is not a JPEG, PNG, GIF or WebP picture."
        return ""
