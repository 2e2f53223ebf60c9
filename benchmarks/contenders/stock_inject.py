"""dependency-injector: a declarative container, wired, and its own `inject`."""

from __future__ import annotations

import sys

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import ThreadSafeSingleton
from dependency_injector.wiring import Provide, inject
from flask import Flask

from benchmarks.services import Fifth, First, Fourth, Second, Sixth, Third


class Container(DeclarativeContainer):
    """Six services."""

    first = ThreadSafeSingleton(First)
    second = ThreadSafeSingleton(Second)
    third = ThreadSafeSingleton(Third)
    fourth = ThreadSafeSingleton(Fourth)
    fifth = ThreadSafeSingleton(Fifth)
    sixth = ThreadSafeSingleton(Sixth)


app = Flask(__name__)


@app.get("/one")
@inject
def one(first: First = Provide[Container.first]) -> str:
    _ = (first,)
    return "done"


@app.get("/three")
@inject
def three(
    first: First = Provide[Container.first],
    second: Second = Provide[Container.second],
    third: Third = Provide[Container.third],
) -> str:
    _ = (first, second, third)
    return "done"


@app.get("/six")
@inject
def six(
    first: First = Provide[Container.first],
    second: Second = Provide[Container.second],
    third: Third = Provide[Container.third],
    fourth: Fourth = Provide[Container.fourth],
    fifth: Fifth = Provide[Container.fifth],
    sixth: Sixth = Provide[Container.sixth],
) -> str:
    _ = (first, second, third, fourth, fifth, sixth)
    return "done"


container = Container()
container.wire(modules=[sys.modules[__name__]])
