"""The embedded twin: fakeredis, which speaks redis-py's API without a server."""

from __future__ import annotations

import os
import threading
import weakref
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import redis
from fakeredis import FakeRedis, FakeRedisConnection, FakeServer
from fakeredis.model import StreamEntryKey

from quorum.errors import Unavailable
from quorum.forks import PerProcess
from quorum.services.files import KeptFile
from quorum.services.redis.blocking import block_time
from quorum.services.redis.commands import CheckedClient, CheckedPipeline, CommandCounts
from quorum.services.redis.options import options_of
from quorum.services.redis.service import RedisService
from quorum.services.redis.snapshot import dump, restore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from quorum.settings import RedisSettings

# That of Debian's redis-server.
_VERSION = (7,)
_TAKEN = ("db", "protocol", "decode_responses", "legacy_responses", "encoding", "encoding_errors")


class _Store(FakeServer):
    """The data of one service, whose lock is open in a forked child."""

    def __init__(self) -> None:
        super().__init__(version=_VERSION)
        _forked.add(self)

    def connect(self, number: int) -> redis.Redis:
        """Return a client of one database that gives answers as the server does."""
        client = FakeRedis(server=self, db=number, version=_VERSION, protocol=2)
        client.response_callbacks.clear()
        return client

    def count_stream(self, number: int, key: bytes, last: str, added: int, deleted: str) -> None:
        # fakeredis has no XSETID.
        vars(self.dbs[number][key].value).update(
            _last_id=StreamEntryKey.parse_str(last),
            _entries_added=added,
            _max_deleted_id=StreamEntryKey.parse_str(deleted),
        )

    def dump(self) -> bytes:
        """Return all that is in it at this moment."""
        copied, expiry = _Store(), {}
        with self.lock:
            for number, database in self.dbs.items():
                expiry[number] = {key: database[key].expireat for key in database}
                for key in expiry[number]:
                    item = copied.dbs[number][key] = deepcopy(database[key])
                    # Nothing shall expire while it is read.
                    item.expireat = None
        return dump(copied, expiry)

    def leave(self) -> None:
        self.lock = threading.Lock()
        for database in self.dbs.values():
            database.condition = threading.Condition(self.lock)


class _Pool(redis.ConnectionPool):
    """Connections to a store; each is asked for only while the service may be used."""

    def __init__(self, check: Callable[[], None], **options: Any) -> None:
        self._check = check
        super().__init__(connection_class=FakeRedisConnection, max_connections=10_000, **options)
        _forked.add(self)

    def get_connection(self, *_: Any, **__: Any) -> Any:
        self._check()
        return super().get_connection()

    def leave(self) -> None:
        self._lock = threading.RLock()
        self._fork_lock = threading.RLock()
        self.reset()


class TwinClient(CheckedClient, FakeRedis):
    """A `redis.Redis` on a store in memory, with the refusals of the driver's."""

    def __init__(self, pool: _Pool, limit: float, counts: CommandCounts) -> None:
        super().__init__(connection_pool=pool)
        self.limit = limit
        self.counts = counts

    def execute_command(self, *args: Any, **options: Any) -> Any:
        block_time(args, self.limit)
        with self.counts.call():
            return super().execute_command(*args, **options)

    def within(self, _seconds: float, /, *args: Any) -> Any:
        return self.execute_command(*args)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> CheckedPipeline:
        return CheckedPipeline(
            self.connection_pool,
            self.response_callbacks,
            transaction,
            shard_hint,
            limit=self.limit,
            counts=self.counts,
        )


class MemoryRedis(RedisService):
    """Keeps everything in memory, and under DATA_PATH also in `redis.json`.

    The file is loaded at first use, and saved by `save`, `close` and the interpreter's exit; not
    if the process is killed. Strings, hashes, lists, sets, sorted sets and streams with their
    groups are kept, with the times at which keys expire.
    """

    def __init__(
        self, settings: RedisSettings, *, prefix: str, data_path: Path | None = None
    ) -> None:
        super().__init__(settings, prefix)
        self._file = None
        if data_path is not None:
            self._file = KeptFile("redis", data_path / "redis.json", variable="REDIS_URL")
        self._in_memory = _Store()
        self._store = PerProcess(self._open)
        self._client = PerProcess(self._build)

    @property
    def client(self) -> TwinClient:
        self._check_open()
        return self._client.get()

    def save(self) -> None:
        """Write the file now; a no-op without DATA_PATH. Raises Unavailable if it cannot be."""
        store = self._store.built
        if self._file is not None and store is not None:
            self._file.save(store.dump)

    def close(self) -> None:
        if self._closed:
            return
        super().close()
        try:
            self.save()
        finally:
            if self._file is not None:
                self._file.release()

    def _build(self) -> TwinClient:
        options = options_of(self._settings) if self._settings.url else {}
        options = {name: value for name, value in options.items() if name in _TAKEN}
        pool = _Pool(
            self._check_usable,
            server=self._store.get(),
            version=_VERSION,
            client_class=redis.Redis,
            **options,
        )
        return TwinClient(pool, self._settings.timeout, self.counts)

    def _open(self) -> _Store:
        if self._file is None:
            return self._in_memory
        store = _Store()
        self._file.load(lambda data: restore(data, store))
        self._file.save_at_exit(self.save)
        return store

    def _check_usable(self) -> None:
        self._check_open()
        if self._file is not None and not self._file.kept:
            raise Unavailable(
                "redis",
                f"{self._file.path} is kept by the process that this one was forked from; set "
                "REDIS_URL to share a server",
            )


_forked: weakref.WeakSet[_Store | _Pool] = weakref.WeakSet()


def _leave_all() -> None:
    for each in list(_forked):
        each.leave()


os.register_at_fork(after_in_child=_leave_all)
