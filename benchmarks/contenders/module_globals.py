"""No injection at all: the services are globals of the module."""

from __future__ import annotations

from flask import Flask

from benchmarks.services import Fifth, First, Fourth, Second, Sixth, Third

app = Flask(__name__)

first, second, third = First(), Second(), Third()
fourth, fifth, sixth = Fourth(), Fifth(), Sixth()


@app.get("/one")
def one() -> str:
    _ = (first,)
    return "done"


@app.get("/three")
def three() -> str:
    _ = (first, second, third)
    return "done"


@app.get("/six")
def six() -> str:
    _ = (first, second, third, fourth, fifth, sixth)
    return "done"
