"""Moto on a server that keeps connections, as S3 does; its own closes each after one answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.servers import LOCAL, S3Server

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGRAM = """
import sys
import waitress
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
app = DomainDispatcherApplication(create_backend_app)
waitress.serve(app, host=sys.argv[1], port=int(sys.argv[2]), threads=32)
"""


class KeepingS3Server(S3Server):
    """Moto on waitress."""

    @property
    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", _PROGRAM, LOCAL, str(self.port)]
