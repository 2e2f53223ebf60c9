"""An application that serves the URLs of a storage, on a free loopback port; and one who asks."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from flask import Flask
from werkzeug.serving import make_server

import quorum

if TYPE_CHECKING:
    from email.message import Message


class Site:
    """Serves an application once its URL is asked for, until it is closed."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._server: Any = None
        self._thread: threading.Thread | None = None

    @classmethod
    def of(cls, storage: Any) -> Self:
        """Build one that serves the URLs of a storage."""
        app = quorum.load(Flask("site"))
        app.container.storage.override(storage)
        return cls(app)

    @property
    def url(self) -> str:
        if self._server is None:
            self._server = make_server("127.0.0.1", 0, self.app, threaded=True)
            self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
            self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        quorum.unload(self.app)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: Message


def ask(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> Answer:
    """Make a request; in the names of headers, `_` stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            return Answer(response.status, response.read(), response.headers)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), error.headers)
