"""What a call died of, in our words."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's name
    ConnectTimeoutError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import HTTPError

from quorum.errors import (
    QuorumError,
    Rejected,
    ServiceError,
    TimedOut,
    Unavailable,
    Unsupported,
)
from quorum.services.storage.checked import no_object

VENDOR = (BotoCoreError, ClientError, HTTPError)
"""What boto3, and the stream of a body, raise."""

_TIMED_OUT = (TimeoutError, ReadTimeoutError, ConnectTimeoutError)
_LOST = (HTTPClientError, ConnectionError, IncompleteReadError, HTTPError)
_NOT_FOUND = 404
_UNAUTHORIZED = {401, 403}
_BUSY = {408, 429}
_BUSY_CODES = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"}
_PRECONDITION_FAILED = 412
_FAILED = 500
_NOT_IMPLEMENTED = 501
_READING = {"HeadObject", "GetObject"}


class Explainer:
    """Explains failures of the calls on one bucket."""

    def __init__(self, bucket: str, place: str) -> None:
        self._bucket = bucket
        self._place = place

    def explain(self, error: Exception, name: str | None) -> QuorumError:
        """Return the error of ours, for an object where one was named."""
        _strip(error)
        if isinstance(error, ClientError):
            return self._explain_refusal(error, name)
        if _timed_out(error):
            return TimedOut("storage", f"{self._what(name)}: {self._place} did not answer in time")
        if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return Unavailable(
                "storage",
                f"the certificate of {self._place} is not trusted; name its authority in "
                "AWS_CA_BUNDLE",
            )
        if isinstance(error, FlexibleChecksumError):
            return Unavailable(
                "storage", f"{self._what(name)} did not come as it was stored; read it again"
            )
        if isinstance(error, _LOST):
            return Unavailable(
                "storage",
                f"{self._what(name)}: {self._place} cannot be reached, or the connection was "
                "lost; check AMAZON_ENDPOINT and the network",
            )
        return self.explain_setting(error)

    def _explain_refusal(self, error: ClientError, name: str | None) -> QuorumError:
        code, status, asked = code_of(error), status_of(error), error.operation_name
        if code == "NoSuchBucket" or (status == _NOT_FOUND and asked == "HeadBucket"):
            return Rejected(
                "storage", f"there is no bucket {self._bucket!r}; create it, or mend AMAZON_BUCKET"
            )
        if name is not None and (code == "NoSuchKey" or (code == "404" and asked in _READING)):
            return no_object(name)
        kind, sentence = _read(code, status, error.response.get("Error", {}).get("Message", ""))
        return kind("storage", f"{self._what(name)}: {self._place} {sentence}")

    def explain_setting(self, error: Exception) -> Rejected:
        """Return the error for settings that boto3 cannot work with."""
        return Rejected(
            "storage",
            f"the bucket {self._bucket!r} cannot be used ({error}); check AMAZON_ID, "
            "AMAZON_SECRET, AMAZON_BUCKET, AMAZON_REGION and AMAZON_ENDPOINT, or what AWS_PROFILE "
            "names",
        )

    def _what(self, name: str | None) -> str:
        return f"the bucket {self._bucket!r}" if name is None else f"{name!r}"


def _read(code: str, status: int, said: str) -> tuple[type[ServiceError], str]:
    """Return the error of ours for a refusal, and what the server did."""
    if status in _UNAUTHORIZED:
        return Rejected, (
            f"refused the keys ({status} {code}); check AMAZON_ID, AMAZON_SECRET and what they "
            "may do, and the clock of this machine"
        )
    if status == _NOT_IMPLEMENTED:
        return Unsupported, (
            f"cannot do that ({status} {code}); if it does not know checksums, set "
            "AMAZON_CHECKSUMS=when_required"
        )
    if status >= _FAILED or status in _BUSY or code in _BUSY_CODES:
        return Unavailable, f"does not serve now ({status} {code}); try again later"
    if status == _PRECONDITION_FAILED:
        return Unavailable, "has another object now: it was replaced as it was read; read it again"
    if code == "NoSuchUpload":
        return Unavailable, (
            "has no parts of it: another client or a rule of the bucket deleted them; put it again"
        )
    return Rejected, (
        f"refused it ({status} {code}: {said}); check AMAZON_REGION and AMAZON_ENDPOINT"
    )


def code_of(error: ClientError) -> str:
    """Return the code of an answer; where it has none, its status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _timed_out(error: BaseException | None) -> bool:
    # What ends the sending of a request is told as a lost connection; the reason is behind it.
    while error is not None and not isinstance(error, _TIMED_OUT):
        error = error.__cause__ or error.__context__
    return error is not None


def _strip(error: Any) -> None:
    """Take the signed request, and what the server repeats of it, out of an error."""
    if isinstance(error, HTTPClientError):
        error.request = None
        error.kwargs.pop("request", None)
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        error.response["Error"] = {part: told[part] for part in ("Code", "Message") if part in told}
