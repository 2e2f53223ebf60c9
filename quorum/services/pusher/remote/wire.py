"""Sending the vendor's signed requests: pooled, within a deadline, again where that may help."""

from __future__ import annotations

import logging
import random
import re
import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

from urllib3 import PoolManager, ProxyManager
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers, parse_url

from quorum.errors import Rejected, ServiceError, TimedOut
from quorum.services.deadline import Deadline
from quorum.services.pusher.remote.outcomes import Answer, Loss
from quorum.services.pusher.remote.sockets import PlainPool, TlsPool, TlsSocket, within

if TYPE_CHECKING:
    from collections.abc import Sequence

# Seconds before the second attempt and those after it, each cut at random by up to a half.
PAUSES = (0.05, 0.2, 0.6, 1.2)
_CONNECTIONS = 64
_LARGEST = 10_000_000
"""Bytes of an answer that are read."""


class Wire:
    """The `backend` of the vendor's client: sends what that signed. Any thread may send."""

    def __init__(self, timeout: float, secrets: tuple[str, ...], *, tls: bool, host: str) -> None:
        self._timeout = timeout
        self._secrets = secrets
        self._pools = _pools(host, tls=tls)
        logging.getLogger("urllib3.connectionpool").addFilter(_hide_signatures)

    def send_request(self, request: Any) -> dict[str, Any]:
        """Send a request as the vendor's client asks for it; see `send`."""
        return self.send(request, self._timeout)

    def send(
        self, request: Any, seconds: float, pauses: Sequence[float] = PAUSES
    ) -> dict[str, Any]:
        """Return the answer to a request. Raises errors of ours, that hold no signature."""
        deadline, unknown = Deadline(seconds), False
        for pause in (*pauses, None):
            outcome = self._attempt(request, deadline)
            if isinstance(outcome, Answer) and outcome.good:
                return outcome.content or {}
            unknown = unknown or (outcome.sent and request.method == "POST")
            again = outcome.passing and pause is not None
            if not again or not _wait(max(outcome.wait, _cut(pause)), deadline):
                break
        error = outcome.explain(request.base_url, self._secrets)
        if isinstance(outcome, Loss) and deadline.passed:
            error = TimedOut(
                "pusher", f"{request.base_url} did not answer within {seconds:g} seconds"
            )
        raise _with_outcome(error, unknown=unknown) from outcome.error

    def close(self) -> None:
        """Let go of all connections."""
        self._pools.clear()

    def _attempt(self, request: Any, deadline: Deadline) -> Answer | Loss:
        try:
            with within(deadline):
                response = self._pools.urlopen(
                    request.method,
                    request.url,
                    body=request.body or None,
                    headers=request.headers,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                )
                # Of what announces more than it should there is no use.
                body = response.read(_LARGEST)
                response.release_conn() if len(body) < _LARGEST else response.close()
        except HTTPError as error:
            # Whatever ended this connection most likely ended those beside it.
            self._pools.clear()
            return Loss.read(error)
        return Answer.read(response.status, response.headers, body)


def _cut(pause: float | None) -> float:
    return (pause or 0.0) * random.uniform(0.5, 1)  # noqa: S311 - nothing secret


def _wait(seconds: float, deadline: Deadline) -> bool:
    """Wait, if the deadline leaves time to ask again after it; tell whether it does."""
    if deadline.passed or seconds >= deadline.remaining():
        return False
    time.sleep(seconds)
    return True


def _with_outcome(error: ServiceError, *, unknown: bool) -> ServiceError:
    if not unknown:
        return error
    return type(error)(
        error.service,
        f"{error.args[1]}; outcome unknown: what was sent may have been taken all the same",
    )


def _pools(host: str, *, tls: bool) -> PoolManager:
    options: dict[str, Any] = {"maxsize": _CONNECTIONS}
    if tls:
        options["ssl_context"] = ssl.create_default_context()
        options["ssl_context"].sslsocket_class = TlsSocket
    proxy = None if proxy_bypass(host) else getproxies().get("https" if tls else "http")
    pools = _through(proxy, options) if proxy else PoolManager(**options)
    pools.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
    return pools


def _through(proxy: str, options: dict[str, Any]) -> PoolManager:
    try:
        url = parse_url(proxy if "://" in proxy else f"http://{proxy}")
        headers = make_headers(proxy_basic_auth=unquote(url.auth)) if url.auth else None
        return ProxyManager(url._replace(auth=None).url, proxy_headers=headers, **options)
    except HTTPError:
        sentence = "the proxy of the environment has no http:// URL; mend HTTPS_PROXY, or NO_PROXY"
    raise Rejected("pusher", sentence)


def _hide_signatures(record: logging.LogRecord) -> bool:
    """Take key and signature out of the URLs that urllib3 writes at DEBUG."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            re.sub(r"(auth_(?:key|signature))=[^&\s]*", r"\1=***", each)
            if isinstance(each, str)
            else each
            for each in record.args
        )
    return True
