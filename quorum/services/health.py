"""Health: which of the services in use answer."""

from __future__ import annotations

from typing import Any


class Health:
    """Pings the services of a container."""

    def __init__(self, container: Any) -> None:
        self._container = container
