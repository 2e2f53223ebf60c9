"""wireup: singletons, and its integration with Flask, which wraps the views."""

import wireup
from flask import Flask
from wireup import Injected, injectable
from wireup.integration.flask import setup

from benchmarks.services import Fifth, First, Fourth, Second, Sixth, Third

app = Flask(__name__)


@app.get("/one")
def one(first: Injected[First]) -> str:
    _ = (first,)
    return "done"


@app.get("/three")
def three(first: Injected[First], second: Injected[Second], third: Injected[Third]) -> str:
    _ = (first, second, third)
    return "done"


@app.get("/six")
def six(
    first: Injected[First],
    second: Injected[Second],
    third: Injected[Third],
    fourth: Injected[Fourth],
    fifth: Injected[Fifth],
    sixth: Injected[Sixth],
) -> str:
    _ = (first, second, third, fourth, fifth, sixth)
    return "done"


services = [injectable(service) for service in (First, Second, Third, Fourth, Fifth, Sixth)]
setup(wireup.create_sync_container(injectables=services), app)
