"""The answers to `/health/live` and `/health/ready`."""

from __future__ import annotations

from flask.typing import ResponseReturnValue


def answer(probe: str) -> ResponseReturnValue:
    """Tell that the process lives, or whether the services in use answer."""
    return {"status": "up", "probe": probe}
