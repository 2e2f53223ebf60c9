"""What the driver and the twin share: locks, pings, and counts of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from quorum.services.client import ClientService
from quorum.services.redis.commands import CommandCounts
from quorum.services.redis.failures import explained
from quorum.services.redis.locks import RenewedLock, check_lock

if TYPE_CHECKING:
    from quorum.services.redis.base import Lock
    from quorum.services.redis.commands import CheckedClient
    from quorum.settings import RedisSettings

_PING_SECONDS = 1.0


class RedisService(ClientService):
    """A Redis whose clients a subclass builds, one in each process."""

    noun: ClassVar[str] = "redis"
    counts: CommandCounts

    def __init__(self, settings: RedisSettings, prefix: str) -> None:
        super().__init__()
        self.counts = CommandCounts()
        self._settings = settings
        self._prefix = prefix

    @property
    def client(self) -> CheckedClient:
        raise NotImplementedError

    @property
    def place(self) -> str:
        """Where the server is, without its password."""
        return self._settings.public_address or "the embedded Redis"

    def lock(self, name: str, expires_in: float = 30.0, *, wait: float | None = None) -> Lock:
        self._check_open()
        wait = self._settings.timeout if wait is None else wait
        check_lock(name, expires_in, wait)
        return RenewedLock(
            f"{self._prefix}:lock:{name}",
            expires_in,
            wait,
            ask=self._ask,
            renew=self._ask_to_renew,
            place=self.place,
        )

    def ping(self) -> None:
        with explained(self.place):
            self._ask(_PING_SECONDS, "PING")

    def _ask(self, seconds: float, *args: Any) -> Any:
        return self.client.within(seconds, *args)

    def _ask_to_renew(self, seconds: float, *args: Any) -> Any:
        return self._ask(seconds, *args)
