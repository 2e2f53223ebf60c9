"""Objects in parts: each is sent by itself, a few at a time, and none stays if one fails."""

from __future__ import annotations

import hashlib
import logging
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quorum.services.storage.bodies import chunks
from quorum.services.storage.s3.failures import VENDOR, code_of
from quorum.services.storage.s3.limits import STEP, Limit, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from quorum.services.storage.base import Readable

logger = logging.getLogger("quorum.storage")

PART = 8 * 1024 * 1024
"""Bytes of a part; the last may be shorter."""
WHOLE = 64 * 1024 * 1024
"""Bytes that are sent in one request where they are in memory."""
COPIED_PART = 64 * 1024 * 1024
"""Bytes of a part that the server copies by itself, well within the time of a call."""
MOST_PARTS = 10_000
_CHECKSUM = "ChecksumCRC32"
_LONG = 5000
_AT_ONCE = 4
_ABORT_SECONDS = 0.5


def parts_of(data: bytes | Readable) -> Iterator[bytes]:
    """Give the bytes of data in parts, the last of which may be shorter or empty."""
    if isinstance(data, bytes):
        # What is in memory anyway is sent at once, unless there is a lot to send again.
        step = PART if len(data) > WHOLE else WHOLE
        yield from (data[start : start + step] for start in range(0, len(data), step))
        return
    held, count, number = [], 0, 0
    for chunk in chunks(data):
        held.append(chunk)
        count += len(chunk)
        if count >= size_of(number):
            yield b"".join(held)
            held, count, number = [], 0, number + 1
    yield b"".join(held)


def size_of(number: int) -> int:
    """Return the bytes of a part: they grow late, so that 10,000 of them hold a terabyte."""
    return PART * (1 + max(0, number - _LONG) // 100)


class Multipart:
    """An object that is stored in parts, all of them or none.

    `target` is its bucket and name. What it takes is bounded for each request: at most `seconds`
    without progress.
    """

    def __init__(self, client: Any, target: dict[str, str], seconds: float) -> None:
        self._client = client
        self._target = dict(target)
        self._seconds = seconds
        self._cancelled = threading.Event()
        self._failure: Exception | None = None

    def store(
        self, send: Callable[..., Any], parts: Iterable[dict[str, Any]], about: dict[str, Any]
    ) -> None:
        """Send every part, and make them one object; what it raises has undone the rest."""
        with within(Limit(self._seconds)):
            begun = self._client.create_multipart_upload(**self._target, **about)
        self._target["UploadId"] = begun["UploadId"]
        try:
            self._complete(self._send_all(send, parts))
        except BaseException:
            self._abort()
            raise

    def _send_all(
        self, send: Callable[..., Any], parts: Iterable[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        pending: set[Future[None]] = set()
        with ThreadPoolExecutor(_AT_ONCE, "quorum-storage") as threads:
            try:
                for number, part in enumerate(parts, 1):
                    pending.add(threads.submit(self._send, send, number, part, sent))
                    if len(pending) == _AT_ONCE:
                        pending = wait(pending, return_when=FIRST_COMPLETED).not_done
                    if self._failure:
                        break
                wait(pending)
            finally:
                self._cancelled.set()
        if self._failure:
            raise self._failure
        return sorted(sent, key=lambda part: int(part["PartNumber"]))

    def _send(
        self,
        send: Callable[..., Any],
        number: int,
        part: dict[str, Any],
        sent: list[dict[str, Any]],
    ) -> None:
        try:
            with within(Limit(self._seconds, STEP, self._cancelled)):
                answer = send(**self._target, PartNumber=number, **part)
        except Exception as error:  # noqa: BLE001 - raised where the others have ended
            # The others fail of being cancelled; the first failure is the one to be told.
            self._failure = self._failure or error
            self._cancelled.set()
            return
        found = answer.get("CopyPartResult", answer)
        kept = {key: answer[key] for key in (_CHECKSUM,) if key in answer}
        sent.append(kept | {"PartNumber": number, "ETag": found["ETag"]})

    def _complete(self, parts: list[dict[str, Any]]) -> None:
        # Any byte is progress: as it puts them together, S3 sends a blank now and then.
        with within(Limit(self._seconds, 1)):
            try:
                self._client.complete_multipart_upload(
                    **self._target,
                    MultipartUpload={"Parts": parts},
                )
            except ClientError as error:
                # Its answer may have been lost, and the next attempt found nothing left to do.
                if code_of(error) != "NoSuchUpload" or not self._is_there(parts):
                    raise

    def _is_there(self, parts: list[dict[str, Any]]) -> bool:
        found = self._client.head_object(Bucket=self._target["Bucket"], Key=self._target["Key"])
        try:
            digests = b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in parts)
        except ValueError:
            return False
        digest = hashlib.md5(digests, usedforsecurity=False).hexdigest()
        return str(found["ETag"]).strip('"') == f"{digest}-{len(parts)}"

    def _abort(self) -> None:
        try:
            with within(Limit(min(self._seconds, _ABORT_SECONDS))):
                self._client.abort_multipart_upload(**self._target)
        except VENDOR:
            logger.warning(
                "the parts of the upload %s to the bucket %s could not be deleted; a lifecycle "
                "rule of the bucket, AbortIncompleteMultipartUpload, does that",
                self._target["UploadId"],
                self._target["Bucket"],
            )
