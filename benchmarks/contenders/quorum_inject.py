"""Quorum: a subclass of its container, and its own `inject`."""

from __future__ import annotations

from flask import Flask

import quorum
from benchmarks.services import Fifth, First, Fourth, Second, Sixth, Third
from quorum import Provide, ThreadSafeSingleton, inject


class Container(quorum.Container):
    """Quorum's services and six more."""

    first = ThreadSafeSingleton(First)
    second = ThreadSafeSingleton(Second)
    third = ThreadSafeSingleton(Third)
    fourth = ThreadSafeSingleton(Fourth)
    fifth = ThreadSafeSingleton(Fifth)
    sixth = ThreadSafeSingleton(Sixth)


app = quorum.load(Flask(__name__), container=Container)


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
