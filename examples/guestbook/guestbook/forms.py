"""What a visitor types, and what may be wrong with it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@([\w-]+\.)+[\w-]+")


@dataclass(frozen=True)
class SignForm:
    """The fields of the form, empty at first."""

    name: str = ""
    email: str = ""
    message: str = ""

    longest: ClassVar[dict[str, int]] = {"name": 80, "email": 254, "message": 1000}

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Self:
        """Take what was sent, without the blanks around it; a name is one line."""
        return cls(
            name=" ".join(fields.get("name", "").split()),
            email=fields.get("email", "").strip(),
            # A browser sends a line break as two characters, and counted it as one.
            message=fields.get("message", "").replace("\r\n", "\n").strip(),
        )

    def errors(self) -> dict[str, str]:
        """Say of each field that is wrong what is wrong with it, in the order of the page."""
        found = {
            "name": "" if self.name else "Please tell us your name.",
            "email": ""
            if not self.email or _ADDRESS.fullmatch(self.email)
            else "This does not look like an e-mail address. One looks like ana@example.org.",
            "message": "" if self.message else "Please write a few words.",
        }
        for field, longest in self.longest.items():
            length = len(getattr(self, field))
            if length > longest:
                found[field] = f"This is {length:,} characters long; {longest:,} is the most."
        return {field: text for field, text in found.items() if text}
