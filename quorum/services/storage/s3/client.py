"""The client of boto3: one of each process, whose attempts fit into the limit of the call."""

from __future__ import annotations

import logging
import random
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.utils import determine_content_length

from quorum.services.storage.s3.limits import running
from quorum.services.storage.s3.sockets import PlainPool, TlsPool

if TYPE_CHECKING:
    from pydantic import SecretStr

    from quorum.settings import StorageSettings

# Seconds before the second attempt and those after it, each cut at random by up to a half.
_PAUSES = (0.05, 0.2, 0.6)
_CONNECTIONS = 64
_SHORT = 64 * 1024
_IN_A_HOST = re.compile("[a-z0-9-]+")
_TOO_MANY = 429
_NOT_DONE = {500, 502, 503, 504}
_PASSING = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "BadDigest"}


def build(settings: StorageSettings) -> Any:
    """Build a client. Raises what boto3 does for settings that it cannot work with."""
    _keep_signatures_out_of_logs()
    # A session of our own: boto3's default one is shared with all that runs in the process.
    session = Session(
        aws_access_key_id=_told(settings.id),
        aws_secret_access_key=_told(settings.secret),
        region_name=settings.region,
    )
    config = Config(
        signature_version="s3v4",
        # Of calls made on the client itself; those of ours have their own limit.
        connect_timeout=settings.timeout / 3,
        read_timeout=settings.timeout * 2 / 3,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=_CONNECTIONS,
        s3={"addressing_style": _addressing_style(settings)},
        request_checksum_calculation=settings.checksums,
        response_checksum_validation=settings.checksums,
    )
    client: Any = session.client(
        "s3",
        region_name=session.region_name or "us-east-1",
        endpoint_url=settings.endpoint,
        config=config,
    )
    # botocore has no public way to name the class of its connections.
    http: Any = client._endpoint.http_session  # noqa: SLF001
    http._pool_classes_by_scheme.update(http=PlainPool, https=TlsPool)  # noqa: SLF001
    client.meta.events.register_first("needs-retry.s3", _pause_before_the_next)
    client.meta.events.register_last("before-call.s3", _send_what_is_short_at_once)
    return client


def _told(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _addressing_style(settings: StorageSettings) -> str:
    # Only Amazon answers to bucket.host wherever it is; on other servers that needs a DNS record.
    host = urlsplit(settings.endpoint or "https://s3.amazonaws.com").hostname or ""
    if not host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return "path"
    # With "auto" boto3 signs URLs for the first region, which redirects to the bucket's, where the
    # signature is not good. A name with dots has no certificate.
    return "virtual" if _IN_A_HOST.fullmatch(settings.bucket or "") else "path"


def _keep_signatures_out_of_logs() -> None:
    # At DEBUG botocore writes the access key id, and signatures that are good for an hour.
    logger = logging.getLogger("botocore")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


def _send_what_is_short_at_once(params: dict[str, Any], **_: Any) -> None:
    # To wait for 100-continue takes a turn more, and a second where the server never says it.
    length = determine_content_length(params.get("body"))
    if length is not None and length <= _SHORT:
        params["headers"].pop("Expect", None)


def _pause_before_the_next(
    attempts: int,
    endpoint: Any,
    response: Any = None,
    caught_exception: Exception | None = None,
    **_: Any,
) -> float | None:
    """Return the seconds to wait before another attempt; None for no opinion, which means none.

    Every request of ours can be repeated: it is idempotent by the name of its object.
    """
    if isinstance(caught_exception, HTTPClientError):
        # Whatever ended this connection most likely ended those beside it.
        endpoint.close()
    limit = running()
    if limit is None or attempts > len(_PAUSES) or not _passes(caught_exception, response):
        return None
    pause = _PAUSES[attempts - 1] * random.uniform(0.5, 1)  # noqa: S311 - nothing secret
    return pause if limit.left > pause else None


def _passes(error: Exception | None, response: Any) -> bool:
    """Tell whether the next attempt may do better."""
    if error is not None:
        timed_out = isinstance(error, (ConnectTimeoutError, ReadTimeoutError, SSLError))
        lost = isinstance(
            error, (EndpointConnectionError, ConnectionClosedError, ProxyConnectionError)
        )
        return lost and not timed_out
    found = response[1] if response else {}
    status = found.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return (
        status == _TOO_MANY or status in _NOT_DONE or found.get("Error", {}).get("Code") in _PASSING
    )
