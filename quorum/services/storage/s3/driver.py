"""Storage in a bucket of S3, or of a server that speaks it."""

from __future__ import annotations

import io
import math
from contextlib import contextmanager
from datetime import UTC
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from botocore.exceptions import ClientError

from quorum.errors import ConfigurationError, Problem
from quorum.forks import PerProcess
from quorum.services.storage.base import StoredObject
from quorum.services.storage.checked import CheckedStorage
from quorum.services.storage.s3.client import build
from quorum.services.storage.s3.failures import VENDOR, Explainer, code_of, status_of
from quorum.services.storage.s3.limits import STEP, Limit, within
from quorum.services.storage.s3.reading import BUFFER, ObjectStream
from quorum.services.storage.s3.uploads import COPIED_PART, MOST_PARTS, Multipart, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from quorum.errors import QuorumError
    from quorum.services.storage.base import Readable
    from quorum.services.storage.checked import Method
    from quorum.settings import StorageSettings

_PING_SECONDS = 1.0
_NOT_FOUND = 404
# What of an object a copy in parts does not take with it by itself.
_ABOUT = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Metadata",
)


class S3Storage(CheckedStorage):
    """Stores in a bucket, which must be there.

    Every request has AMAZON_TIMEOUT seconds for all its attempts: `names` for each page of 1,000
    names, `clear` for each that it deletes. One that fails fast is made again, for each is
    idempotent by the name of its object: a `put` whose answer is lost stores once more the same.
    """

    def __init__(self, settings: StorageSettings) -> None:
        super().__init__(settings)
        if not settings.bucket:
            raise ConfigurationError(
                [Problem("storage.bucket", "is needed", names=settings.address_names)]
            )
        self._bucket = settings.bucket
        self._explainer = Explainer(self._bucket, settings.endpoint or "S3")
        self._client = PerProcess(self._build)

    @property
    def client(self) -> Any:
        """The boto3 client of this process; what is called on it raises boto3's own errors."""
        self._check_open()
        with self._explained(None) as client:
            return client

    def write(
        self, name: str, data: bytes | Readable, content_type: str, metadata: dict[str, str]
    ) -> None:
        about: dict[str, Any] = {"ContentType": content_type, "Metadata": metadata}
        with self._explained(name) as client:
            # What reading the caller's stream takes is not the server's time.
            parts = parts_of(data)
            first, second = next(parts, b""), next(parts, b"")
            if not second:
                with within(Limit(self._settings.timeout, STEP)):
                    client.put_object(**self._at(name), Body=first, **about)
                return
            bodies = ({"Body": part} for part in chain((first, second), parts) if part)
            if self._settings.checksums == "when_supported":
                # Amazon refuses parts that have one, as boto3 gives them, if it was not told here.
                about["ChecksumAlgorithm"] = "CRC32"
            Multipart(client, self._at(name), self._settings.timeout).store(
                client.upload_part, bodies, about
            )

    def read(self, name: str) -> BinaryIO:
        def fetch(**part: Any) -> Any:
            return self._client.get().get_object(**self._at(name), **part)

        def explain(error: Exception) -> QuorumError:
            return self._explainer.explain(error, name)

        stream = ObjectStream(fetch, explain, self._settings.timeout)
        return cast("BinaryIO", io.BufferedReader(stream, BUFFER))

    def look(self, name: str) -> StoredObject:
        found = self._head(name)
        return StoredObject(
            name=name,
            size=found["ContentLength"],
            content_type=found.get("ContentType", "application/octet-stream"),
            modified=found["LastModified"].astimezone(UTC),
            etag=found.get("ETag", "").strip('"'),
            metadata={key.lower(): value for key, value in found["Metadata"].items()},
        )

    def remove(self, name: str) -> None:
        with self._limited(name, Limit(self._settings.timeout)) as client:
            try:
                client.delete_object(**self._at(name))
            except ClientError as error:
                # Amazon says nothing where there is none; some servers do.
                if code_of(error) != "NoSuchKey":
                    raise

    def remove_all(self, prefix: str) -> None:
        for names in self.pages(prefix):
            keys: list[Any] = [{"Key": name} for name in names]
            with self._limited(None, Limit(self._settings.timeout)) as client:
                answer = client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}
                )
                if answer.get("Errors"):
                    raise _refusal(answer)

    def pages(self, prefix: str) -> Iterator[Sequence[str]]:
        after: dict[str, str] = {}
        while True:
            with self._limited(None, Limit(self._settings.timeout)) as client:
                page = client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **after)
            names = [found["Key"] for found in page.get("Contents", ())]
            if names:
                yield names
            if not page.get("IsTruncated"):
                return
            after = {"ContinuationToken": page["NextContinuationToken"]}

    def duplicate(self, source: str, target: str) -> None:
        found = self._head(source)
        size = found["ContentLength"]
        with self._explained(source) as client:
            if size <= COPIED_PART:
                # Any byte is progress: as it copies, S3 sends a blank now and then.
                with within(Limit(self._settings.timeout, 1)):
                    client.copy_object(**self._at(target), CopySource=self._at(source))
                return
            step = max(COPIED_PART, math.ceil(size / MOST_PARTS))
            parts = (
                {
                    "CopySource": self._at(source),
                    "CopySourceIfMatch": found["ETag"],
                    "CopySourceRange": f"bytes={start}-{min(start + step, size) - 1}",
                }
                for start in range(0, size, step)
            )
            about = {key: found[key] for key in _ABOUT if key in found}
            Multipart(client, self._at(target), self._settings.timeout).store(
                client.upload_part_copy, parts, about
            )

    def sign(self, name: str, expires_in: float, method: Method) -> str:
        with self._explained(name) as client:
            url: str = client.generate_presigned_url(
                "get_object" if method == "GET" else "put_object",
                Params=self._at(name),
                ExpiresIn=math.ceil(expires_in),
            )
        return url

    def prepare(self) -> None:
        """Build the client, which takes boto3 long and asks no server."""
        with self._explained(None):
            pass

    def reach(self) -> None:
        with self._limited(None, Limit(min(_PING_SECONDS, self._settings.timeout))) as client:
            client.head_bucket(Bucket=self._bucket)

    def release(self) -> None:
        built = self._client.built
        if built is not None:
            built.close()

    def _head(self, name: str) -> Any:
        with self._limited(name, Limit(self._settings.timeout)) as client:
            try:
                return client.head_object(**self._at(name))
            except ClientError as error:
                if status_of(error) == _NOT_FOUND:
                    self._check_bucket(client)
                raise

    def _check_bucket(self, client: Any) -> None:
        """Raise if the bucket is missing: the answer to HEAD of an object does not say which is."""
        try:
            client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if status_of(error) == _NOT_FOUND:
                raise

    def _at(self, name: str) -> Any:
        return {"Bucket": self._bucket, "Key": name}

    @contextmanager
    def _limited(self, name: str | None, limit: Limit) -> Iterator[Any]:
        """Give the client of this process to a block that is held to a limit."""
        with self._explained(name) as client, within(limit):
            yield client

    @contextmanager
    def _explained(self, name: str | None) -> Iterator[Any]:
        """Give the client of this process to a block whose errors become ours."""
        try:
            yield self._client.get()
        except VENDOR as error:
            raise self._explainer.explain(error, name) from error

    def _build(self) -> Any:
        try:
            return build(self._settings)
        except ValueError as error:
            raise self._explainer.explain_setting(error) from error


def _refusal(answer: Any) -> ClientError:
    """Return the first failure that an answer of 200 reports."""
    failed = answer["Errors"][0]
    status = 403 if failed.get("Code") == "AccessDenied" else 500
    metadata = {"HTTPStatusCode": status}
    return ClientError(
        {"Error": failed, "ResponseMetadata": metadata},
        "DeleteObjects",
    )
