"""svcs: a registry on the application, and `svcs.flask.get` in the view."""

from __future__ import annotations

import svcs
from flask import Flask

from benchmarks.services import Fifth, First, Fourth, Second, Sixth, Third

app = svcs.flask.init_app(Flask(__name__))
for service in (First, Second, Third, Fourth, Fifth, Sixth):
    svcs.flask.register_value(app, service, service())


@app.get("/one")
def one() -> str:
    first = svcs.flask.get(First)
    _ = (first,)
    return "done"


@app.get("/three")
def three() -> str:
    first, second, third = svcs.flask.get(First, Second, Third)
    _ = (first, second, third)
    return "done"


@app.get("/six")
def six() -> str:
    first, second, third, fourth, fifth, sixth = svcs.flask.get(
        First, Second, Third, Fourth, Fifth, Sixth
    )
    _ = (first, second, third, fourth, fifth, sixth)
    return "done"
