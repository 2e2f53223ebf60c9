"""Injection per call and per request: `python -m benchmarks.injection`."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from werkzeug.test import EnvironBuilder, run_wsgi_app

from benchmarks.contenders import (
    dishka_inject,
    module_globals,
    quorum_inject,
    stock_inject,
    svcs_get,
    wireup_inject,
)
from benchmarks.measure import Contender, Results, at_most, measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

PLAIN, QUORUM, STOCK = "module globals", "quorum @inject", "dependency-injector @inject"
APPS: dict[str, Flask] = {
    PLAIN: module_globals.app,
    QUORUM: quorum_inject.app,
    STOCK: stock_inject.app,
    "svcs.flask.get": svcs_get.app,
    "dishka @inject": dishka_inject.app,
    "wireup Injected[]": wireup_inject.app,
}
VIEWS = {"one": 1, "three": 3, "six": 6}
CALL_ROUNDS, REQUEST_ROUNDS = 201, 401


@contextmanager
def in_view(app: Flask, path: str) -> Iterator[None]:
    """Be where Flask is when it calls the view."""
    with app.test_request_context(path):
        app.preprocess_request()
        yield


def request(app: Flask, environ: dict[str, Any]) -> None:
    """Answer one request, as a WSGI server would have it answered."""
    body = app(environ.copy(), _start_response)
    for _ in body:
        pass
    body.close()  # type: ignore[attr-defined] # werkzeug's have it


def _start_response(*_: object) -> Any:
    return None


def calls() -> list[Contender]:
    """Return the views themselves, each called where Flask calls it."""
    return [
        Contender(f"{name}/{view}", app.view_functions[view], partial(in_view, app, f"/{view}"))
        for name, app in APPS.items()
        for view in VIEWS
    ]


def requests() -> list[Contender]:
    """Return whole requests, from the WSGI call to the end of the body."""
    return [
        Contender(f"{name}/{view}", partial(request, app, EnvironBuilder(f"/{view}").get_environ()))
        for name, app in APPS.items()
        for view in VIEWS
    ]


def check() -> None:
    """Make sure that every view answers; Quorum's check at the first request happens here too."""
    for name, app in APPS.items():
        for view in VIEWS:
            body, status, _ = run_wsgi_app(app, EnvironBuilder(f"/{view}").get_environ())
            if (status, b"".join(body)) != ("200 OK", b"done"):
                raise SystemExit(f"{name}: /{view} answered {status}")


def table(title: str, results: Results, scale: float) -> None:
    print(f"\n{title}")
    print(f"{'services':28}" + "".join(f"{count:>18}" for count in VIEWS.values()))
    for name in APPS:
        cells = [
            f"{results.seconds(f'{name}/{view}') * scale:.{0 if scale == 1e9 else 1}f} "
            f"({results.ratio(f'{name}/{view}', f'{PLAIN}/{view}'):.2f})"
            for view in VIEWS
        ]
        print(f"{name:28}" + "".join(f"{cell:>18}" for cell in cells))


def main() -> None:
    check()
    per_call = measure(calls(), CALL_ROUNDS)
    table(f"Per call, ns (ratio to {PLAIN})", per_call, 1e9)
    per_request = measure(requests(), REQUEST_ROUNDS)
    table(f"Per WSGI request, µs (ratio to {PLAIN})", per_request, 1e6)
    print()
    to_stock = per_call.ratio(f"{QUORUM}/three", f"{STOCK}/three")
    print(at_most(f"per call with 3 services, to {STOCK}", to_stock, 0.65))
    to_plain = per_request.ratio(f"{QUORUM}/three", f"{PLAIN}/three")
    print(at_most(f"per request with 3 services, to {PLAIN}", to_plain, 1.05))


if __name__ == "__main__":
    main()
