"""The errors of the house: each says what happened, to what, and how to repair it; no secret.

QuorumError
├── ConfigurationError      settings, profiles, wiring: found before the first request
│   └── MissingExtra        a driver needs an extra that is not installed
├── NotLoaded               nothing is running that could answer
├── ServiceError            a service could not do what was asked; `service` is its noun
│   ├── Unavailable         not reachable, or refused the connection
│   ├── TimedOut            the deadline passed
│   ├── Rejected            the server, or our own check before it, refused what was sent
│   └── Unsupported         this driver or this server cannot do that
├── DocumentError           a document, or an object of the storage
│   ├── NotFound
│   ├── Conflict
│   └── Invalid
└── AccessDenied
    ├── Unauthenticated
    └── Forbidden
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class QuorumError(Exception):
    """Anything that Quorum raises."""


# A NamedTuple, since making a dataclass costs a millisecond of `import quorum`.
class Problem(NamedTuple):
    """One thing that is wrong: where (`setting`), the rule it breaks, and what would mend it."""

    setting: str
    rule: str
    source: str | None = None
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f" (set in {self.source})" if self.source else ""
        names = f"; set {' or '.join(self.names)}" if self.names else ""
        return f"{self.setting}: {self.rule}{where}{names}"


class ConfigurationError(QuorumError):
    """The settings or the wiring are wrong; `problems` lists everything that is, at once."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        if isinstance(problems, str):
            self.problems: tuple[Problem, ...] = ()
            super().__init__(problems)
            return
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(f"the configuration has {count}:{lines}")


class MissingExtra(ConfigurationError):
    """A driver was chosen whose library is not installed."""


class NotLoaded(QuorumError, RuntimeError):
    """No application or container is running that could answer.

    A RuntimeError too, as Flask's own for work outside of an application is.
    """


class ServiceError(QuorumError):
    """A service could not do what was asked; `service` is its noun, as in `Container.<noun>`."""

    def __init__(self, service: str, sentence: str) -> None:
        self.service = service
        # Both are arguments, so that the error can be pickled: it may come from a worker.
        super().__init__(service, sentence)

    def __str__(self) -> str:
        return ": ".join(map(str, self.args))


class Unavailable(ServiceError):
    """The server could not be reached, or the service is closed."""


class TimedOut(ServiceError):
    """The deadline of the call passed."""


class Rejected(ServiceError):
    """The server, or our own check before it, refused what was sent."""


class Unsupported(ServiceError):
    """This driver, or the server behind it, cannot do what was asked."""


class DocumentError(QuorumError):
    """A document, or an object of the storage, could not be read or written."""


class NotFound(DocumentError):
    """No document matches, or no object has that name."""


class Conflict(DocumentError):
    """Another document holds what must be unique."""


class Invalid(DocumentError):
    """A document breaks its own rules."""


class AccessDenied(QuorumError):
    """The visitor may not do that."""


class Unauthenticated(AccessDenied):
    """The visitor is not signed in."""


class Forbidden(AccessDenied):
    """The visitor is signed in and lacks the permission."""
