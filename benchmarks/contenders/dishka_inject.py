"""dishka: a provider of scope APP, and its integration with Flask."""

from dishka import Provider, Scope, make_container
from dishka.integrations.flask import FromDishka, inject, setup_dishka
from flask import Flask

from benchmarks.services import Fifth, First, Fourth, Second, Sixth, Third

app = Flask(__name__)


@app.get("/one")
@inject
def one(first: FromDishka[First]) -> str:
    _ = (first,)
    return "done"


@app.get("/three")
@inject
def three(first: FromDishka[First], second: FromDishka[Second], third: FromDishka[Third]) -> str:
    _ = (first, second, third)
    return "done"


@app.get("/six")
@inject
def six(
    first: FromDishka[First],
    second: FromDishka[Second],
    third: FromDishka[Third],
    fourth: FromDishka[Fourth],
    fifth: FromDishka[Fifth],
    sixth: FromDishka[Sixth],
) -> str:
    _ = (first, second, third, fourth, fifth, sixth)
    return "done"


provider = Provider(scope=Scope.APP)
provider.provide_all(First, Second, Third, Fourth, Fifth, Sixth)
setup_dishka(make_container(provider), app)
