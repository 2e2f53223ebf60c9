"""The answers to `/health/live` and `/health/ready`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import jsonify

from quorum.current import active_app
from quorum.services.health import LIMIT, Report

if TYPE_CHECKING:
    from flask import Response


def answer(probe: str) -> Response:
    """Tell that the process lives, touching nothing; or whether the services in use answer.

    An application whose start-up check or `onrun` functions have not passed is not ready.
    Anyone may ask, so the answer holds no address and no error.
    """
    if probe == "live":
        return _response({"status": "up"}, HTTPStatus.OK)
    app = active_app()
    # An application that was unloaded keeps its routes, and is not ready.
    up = "quorum" in app.extensions and app.extensions["quorum.loaded"].start_up.ready(app, LIMIT)
    report = app.extensions["quorum"].health().check() if up else Report()
    up = up and report.status == "up"
    services = {
        each.name: {
            "status": each.status,
            "driver": each.driver,
            "seconds": None if each.seconds is None else round(each.seconds, 4),
        }
        for each in report.services
    }
    return _response(
        {"status": "up" if up else "down", "services": services},
        HTTPStatus.OK if up else HTTPStatus.SERVICE_UNAVAILABLE,
    )


def _response(document: dict[str, object], status: HTTPStatus) -> Response:
    response = jsonify(document)
    response.status_code = status
    response.cache_control.no_store = True
    return response
