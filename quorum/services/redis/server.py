"""The driver over redis-py: bounded, pooled and safe under threads and forks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorum.forks import PerProcess
from quorum.services.redis.client import Client
from quorum.services.redis.options import options_of
from quorum.services.redis.pool import Pool
from quorum.services.redis.service import RedisService

if TYPE_CHECKING:
    from quorum.settings import RedisSettings


class ServerRedis(RedisService):
    """A Redis server, Valkey or another that speaks its protocol.

    REDIS_URL may give `max_connections` (50), `decode_responses`, `client_name`, `protocol` and
    the options of TLS. Raises ConfigurationError for an option that it cannot have.
    """

    check_settings = staticmethod(options_of)

    def __init__(self, settings: RedisSettings, *, prefix: str) -> None:
        super().__init__(settings, prefix)
        self._options = options_of(settings)
        self._client = PerProcess(lambda: self._build(self._options))
        # Renewals must not wait behind the commands that a lock protects.
        self._renewing = PerProcess(lambda: self._build(self._options | {"max_connections": 1}))

    @property
    def client(self) -> Client:
        self._check_open()
        return self._client.get()

    def close(self) -> None:
        super().close()
        for kept in (self._client, self._renewing):
            if kept.built is not None:
                kept.built.connection_pool.close()

    def _build(self, options: dict[str, Any]) -> Client:
        limit = self._settings.timeout
        return Client(Pool(seconds=limit, **options), limit, self.counts)

    def _ask_to_renew(self, seconds: float, *args: Any) -> Any:
        self._check_open()
        return self._renewing.get().within(seconds, *args)
