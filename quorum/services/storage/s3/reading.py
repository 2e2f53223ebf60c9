"""Reading an object: its whole length or an error, over more than one connection if need be."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from botocore.exceptions import FlexibleChecksumError

from quorum.services.storage.s3.failures import VENDOR
from quorum.services.storage.s3.limits import STEP, Limit, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.errors import QuorumError

_ATTEMPTS = 3
# Bytes after which the attempts are counted anew: a long download may be cut now and then.
_ENOUGH = 8 * 1024 * 1024
BUFFER = 128 * 1024


class ObjectStream(io.RawIOBase):
    """The bytes of an object. Where a connection is lost, another goes on from there.

    `fetch` makes the request, `explain` an error of ours. It goes on with the same object only:
    if that was replaced meanwhile, reading fails.
    """

    def __init__(
        self,
        fetch: Callable[..., Any],
        explain: Callable[[Exception], QuorumError],
        seconds: float,
    ) -> None:
        self._fetch = fetch
        self._explain = explain
        self._seconds = seconds
        self._position = self._begun = 0
        self._body: Any = None
        self._etag = ""
        self._attempts = 0
        with within(Limit(seconds, STEP)):
            try:
                self._begin()
            except VENDOR as error:
                raise explain(error) from error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._read(None)

    def close(self) -> None:
        if not self.closed and self._body is not None:
            self._body.close()
        super().close()

    def _begin(self) -> None:
        self._attempts = 1 if self._came_enough else self._attempts + 1
        self._begun = self._position
        part = {"IfMatch": self._etag} if self._etag else {}
        if self._position:
            part["Range"] = f"bytes={self._position}-"
        found = self._fetch(**part)
        self._etag = self._etag or found.get("ETag", "")
        self._body = found["Body"]

    def _read(self, size: int | None) -> bytes:
        # What the reader does between two reads is not the server's time.
        limit = Limit(self._seconds, STEP)
        with within(limit):
            while True:
                try:
                    data: bytes = self._body.read(size)
                except VENDOR as error:
                    self._go_on(error, limit)
                else:
                    self._position += len(data)
                    return data

    def _go_on(self, error: Exception, limit: Limit) -> None:
        self._body.close()
        if isinstance(error, FlexibleChecksumError) or not limit.left or not self._may_go_on:
            raise self._explain(error) from error
        try:
            self._begin()
        except VENDOR as failure:
            raise self._explain(failure) from failure

    @property
    def _may_go_on(self) -> bool:
        if self._position and not self._etag:
            # Nothing tells whether it is still the same object.
            return False
        return self._attempts < _ATTEMPTS or self._came_enough

    @property
    def _came_enough(self) -> bool:
        return self._position - self._begun >= _ENOUGH
