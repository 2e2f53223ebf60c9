"""What the services share that hand out a vendor's own client."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn

from quorum.errors import Unavailable
from quorum.services.counts import Counts


class ClientService:
    """A service whose verbs are the vendor's, called on its `client`."""

    noun: ClassVar[str] = ""

    def __init__(self) -> None:
        self.counts = Counts()
        self._closed = False

    if not TYPE_CHECKING:  # checkers know what is there

        def __getattr__(self, name: str) -> NoReturn:
            # Reached for what is not there: most often a verb of the client.
            raise AttributeError(
                f"the {self.noun} service has no {name!r}; the vendor's own calls are on its "
                f"client: container.{self.noun}().client"
            )

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(self.noun, "it is closed; load the application again to use it")
