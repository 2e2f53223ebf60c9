"""Looking at a container: what is missing, unknown, wrong or circular, with nothing built."""

from __future__ import annotations

import datetime as dt
import functools
import socket
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import pytest
from dependency_injector import providers
from pydantic import BaseModel

import quorum
from quorum import Container, Mailer, PerRequest, Settings, ThreadSafeSingleton, choose, lazy
from quorum.graph import problems, provided_class
from quorum.settings import MailerSettings, RedisSettings

if TYPE_CHECKING:
    from fractions import Fraction

T = TypeVar("T")
built: list[object] = []


class Noted:
    """A class that notes its construction, of which there must be none."""

    def __init__(self):
        built.append(self)


class Leaf(Noted):
    """A service without needs."""


class Stone(Noted):
    """Another, that has nothing to do with it."""


class Holder(Noted):
    """A service with one need and one wish."""

    def __init__(self, leaf: Leaf, name: str = "x"):
        super().__init__()
        self.leaf = leaf
        self.name = name


def found(container: type[Container], asked_for=(), **settings) -> list[str]:
    """Return the problems of a container class as they are told; nothing may be built."""
    built.clear()
    made = container(settings=Settings(**settings))
    told = [str(problem) for problem in problems(made, [getattr(made, each) for each in asked_for])]
    assert built == []
    return told


def test_the_container_itself_has_none():
    """As it is delivered, with every service asked for."""
    made = Container(settings=Settings())
    assert problems(made, list(made.providers.values())) == []


class Planted(Container):
    """A mistake of each kind."""

    leaf = ThreadSafeSingleton(Leaf)
    stone = ThreadSafeSingleton(Stone)
    missing = ThreadSafeSingleton(Holder)
    unknown = ThreadSafeSingleton(Holder, leaf, nmae="x")
    wrong = ThreadSafeSingleton(Holder, leaf=stone)
    wrong_place = ThreadSafeSingleton(Holder, stone)
    many = ThreadSafeSingleton(Holder, leaf, "x", "y")
    twice = ThreadSafeSingleton(Holder, leaf, leaf=leaf)
    absent = providers.Dependency(instance_of=Leaf)
    attribute = ThreadSafeSingleton(Leaf.__class__, Container.settings.provided.mialer)
    group = ThreadSafeSingleton(lambda settings: settings, Container.settings.provided.redis)


def test_every_mistake_is_told_at_once():
    """Each names the provider, its class and the argument."""
    assert found(Planted) == [
        "container.missing: Holder needs the argument 'leaf', which nothing gives",
        "container.unknown: Holder takes no argument 'nmae'",
        "container.wrong: Holder takes leaf: Leaf, but is given Stone",
        "container.wrong_place: Holder takes leaf: Leaf, but is given Stone",
        "container.many: Holder takes 2 positional arguments, 3 are given",
        "container.twice: Holder is given the argument 'leaf' twice",
        "container.absent: nothing was given; build the container with absent=…",
        "container.attribute: asks the settings for 'mialer', which Settings lacks",
    ]


@pytest.mark.parametrize(
    "provider",
    [
        providers.Factory(Holder, Planted.stone),
        providers.Singleton(Holder, Planted.stone),
        providers.Callable(Holder, Planted.stone),
        providers.ThreadLocalSingleton(Holder, Planted.stone),
        PerRequest(Holder, Planted.stone),
        providers.List(providers.Factory(Holder, Planted.stone)),
        providers.Factory(Leaf).add_attributes(holder=providers.Factory(Holder, Planted.stone)),
        providers.Factory(Holder, Planted.stone).provider,
    ],
)
def test_every_kind_of_provider_is_looked_at(provider):
    """Those without a name are told under the name they are written in."""

    class Sub(Container):
        stone = Planted.stone
        kind = provider

    assert found(Sub) == ["container.kind: Holder takes leaf: Leaf, but is given Stone"]


def test_a_group_of_another_service_is_told():
    """`settings.provided.redis` where the mailer's group is asked for."""

    def build(group: MailerSettings): ...

    class Sub(Container):
        right = ThreadSafeSingleton(build, Container.settings.provided.mailer)
        wrong = ThreadSafeSingleton(build, Container.settings.provided.redis)

    assert found(Sub) == [
        "container.wrong: build takes group: MailerSettings, but is given RedisSettings"
    ]


def test_a_contract_is_held_against_what_is_asked_for():
    """The mailer where a Stone is wanted, and a Stone where a Mailer is."""

    class Post:
        def __init__(self, mailer: Mailer): ...

    class Quarry:
        def __init__(self, stone: Stone): ...

    class Sub(Container):
        stone = ThreadSafeSingleton(Stone)
        right = ThreadSafeSingleton(Post, Container.mailer)
        post = ThreadSafeSingleton(Post, stone)
        quarry = ThreadSafeSingleton(Quarry, Container.mailer)

    assert found(Sub) == [
        "container.post: Post takes mailer: Mailer, but is given Stone",
        "container.quarry: Quarry takes stone: Stone, but is given Mailer",
    ]


def test_a_cycle_is_told_with_its_path():
    """Once, from where it begins to where it comes back."""

    class Round(Container):
        first = ThreadSafeSingleton(Leaf)
        second = ThreadSafeSingleton(Holder, first)
        third = ThreadSafeSingleton(Holder, providers.Factory(Holder, second))
        first.add_attributes(back=third)

    told = [line for line in found(Round) if "needs itself" in line]
    assert len(told) == 1
    assert "first -> third -> second -> first" in told[0]


def test_a_cycle_hides_no_other_mistake():
    """All problems are told at once."""

    class Round(Container):
        first = ThreadSafeSingleton(Leaf)
        second = ThreadSafeSingleton(Holder, first)
        first.add_attributes(back=second)
        missing = ThreadSafeSingleton(Holder)

    assert len(found(Round)) == 2


def test_a_replaced_service_that_needs_what_needs_it_is_a_cycle():
    """A subclass may close a circle that neither class has."""

    class Base(Container):
        low = ThreadSafeSingleton(Leaf)
        high = ThreadSafeSingleton(Holder, low)

    class Sub(Base):
        low = ThreadSafeSingleton(Holder, Base.high)

    assert any("low -> high -> low" in line for line in found(Sub))


def test_a_provider_that_is_handed_over_closes_no_circle():
    """`.provider` is asked later: that is how a circle is opened."""

    class Open(Container):
        first = ThreadSafeSingleton(Leaf)
        second = ThreadSafeSingleton(Holder, first)
        first.add_attributes(back=second.provider)
        third = ThreadSafeSingleton(Leaf)
        fourth = providers.DelegatedFactory(Holder, third)
        third.add_attributes(make=fourth)

    assert found(Open) == []


def test_a_singleton_that_would_keep_an_object_per_request_is_told():
    """It would serve every request with the first one's, closed."""

    class Sub(Container):
        session = PerRequest(Leaf)
        keeps = ThreadSafeSingleton(Holder, providers.Factory(Holder, session))
        asks = ThreadSafeSingleton(lambda leaf: leaf, session.provider)
        per_call = providers.Factory(Holder, session)

    told = found(Sub)
    assert len([line for line in told if "keep the object of one request" in line]) == 1
    assert told[0].startswith("container.keeps: would keep the object of one request for all")


def test_an_unknown_driver_is_told():
    """The group's driver, before anything is built."""

    class Sub(Container):
        mailer = ThreadSafeSingleton(
            choose(Mailer, smtp=lazy("quorum.services.mailer.smtp:SmtpMailer")),
            Container.settings.provided.mailer,
        )

    assert found(Sub) == ["container.mailer: there is no driver 'memory'; there are smtp"]


def test_a_choice_without_its_group_is_told():
    """It could pick nothing."""

    class Sub(Container):
        mailer = ThreadSafeSingleton(choose(Mailer))

    assert found(Sub) == [
        "container.mailer: choose(…) needs the settings group as its first argument"
    ]


class Driver(Noted):
    """A driver that needs more than its group."""

    def __init__(self, settings: MailerSettings, render: Leaf, *, extra: int):
        super().__init__()


class Driven(Container):
    mailer = ThreadSafeSingleton(
        choose(Mailer, memory=lazy("tests.graph.test_checks:Driver")),
        Container.settings.provided.mailer,
        embedded=Container.settings.provided.embedded,
        render=ThreadSafeSingleton(Stone),
    )
    missing = ThreadSafeSingleton(
        choose(Mailer, memory=lazy("quorum.no_such_module:Driver")),
        Container.settings.provided.mailer,
    )


def test_the_driver_that_would_serve_is_looked_at():
    """With all that its paragraph gives it, if something injects the service."""
    assert found(Driven, ["mailer"]) == [
        "container.mailer: Driver needs the argument 'extra', which nothing gives",
        "container.mailer: Driver takes render: Leaf, but is given Stone",
    ]


def test_a_driver_that_nobody_asks_for_is_not_imported():
    """A vendor's library is not loaded for the sake of the check."""
    assert found(Driven) == []
    (told,) = found(Driven, ["missing"])
    assert told.startswith("container.missing: lazy('quorum.no_such_module:Driver'): there is no")


def test_never_asks_an_address_of_what_is_asked_for_alone():
    """EMBEDDED=never, with the mailer asked for, and with nothing."""
    assert found(Container, embedded="never") == []
    told = found(Container, ["mailer"], embedded="never")
    assert len(told) == 1
    assert "EMBEDDED=never" in told[0]


def test_what_is_overridden_is_not_looked_at():
    """A fake stands for the service and for all that it needed."""
    made = Planted(settings=Settings(embedded="never"))
    for name in ("missing", "unknown", "wrong", "wrong_place", "many", "twice", "attribute"):
        getattr(made, name).override("fake")
    made.absent.override(providers.Factory(Leaf))
    made.mailer.override("fake")
    assert problems(made, [made.mailer]) == []


def test_a_nested_container_is_looked_at():
    """Under the name that it has in the outer one."""

    class Outer(Container):
        inner = providers.Container(Planted, settings=Container.settings)

    assert any(line == "container.inner: Holder takes no argument 'nmae'" for line in found(Outer))


class Speaks(Protocol):
    name: str

    def speak(self) -> str: ...


class Dog(Noted):
    """Speaks, without saying so."""

    def __init__(self):
        super().__init__()
        self.name = "Rex"

    def speak(self) -> str:
        return "woof"


class Puppy(Dog):
    """A dog."""


class Box(Generic[T]):
    """Holds one."""

    def __init__(self, content: T): ...


@dataclass
class Kennel:
    """A dataclass with a need, a default and a factory of its own."""

    dog: Dog
    name: str = "home"


class Model(BaseModel):
    """A model of pydantic, whose constructor is its own business."""

    dog: Any
    size: int = 1


class ByNew:
    """A class that is made in `__new__`."""

    def __new__(cls, dog: Dog, *more: object, **named: object):
        return super().__new__(cls)


class Caller:
    """An object that is called, with fields that are not its arguments."""

    dog: Stone

    def __call__(self, dog: Dog): ...


def takes_protocol(dog: Speaks): ...
def takes_optional(dog: Dog | None = None): ...
def takes_float(size: float): ...
def takes_anything(*args: Stone, **kwargs: Stone): ...
def takes_any(dog: Any): ...
def takes_object(dog: object): ...
def takes_what_is_not_there(amount: Fraction, dog: Dog): ...
def takes_text_that_is_none(dog: "No Such Type"): ...  # noqa: F722 - the very thing
def takes_positional(dog: Dog, /, **more: object): ...
def takes_list(dogs: list[Dog]): ...
def gives_dog() -> Dog: ...
def gives_maybe() -> Dog | None: ...
def gives_any() -> Any: ...
def gives_nothing(): ...
async def gives_later() -> Stone: ...
def yields_dog():
    yield Dog()


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Right(Container):
    """All that may look wrong, and is not."""

    dog = ThreadSafeSingleton(Dog)
    puppy = ThreadSafeSingleton(Puppy)
    protocol = providers.Factory(takes_protocol, dog)
    declared = providers.Factory(takes_protocol, dog=providers.Dependency(Speaks, default=dog))
    optional = providers.Factory(takes_optional, dog)
    left_out = providers.Factory(takes_optional)
    none = providers.Factory(takes_optional, None)
    subclass = providers.Factory(Kennel, puppy)
    superclass = providers.Factory(lambda puppy: puppy, dog)
    box = providers.Factory(Box, dog)
    boxed = providers.Factory(Box[int], 1)
    dataclass = providers.Factory(Kennel, dog=dog)
    model = providers.Factory(Model, dog=dog, size=providers.Object("1"))
    by_new = providers.Factory(ByNew, dog, 1, 2, any=3)
    anything = providers.Factory(takes_anything, dog, dog=dog)
    any = providers.Factory(takes_any, dog)
    object = providers.Factory(takes_object, dog)
    not_there = providers.Factory(takes_what_is_not_there, dog, dog=dog).set_args(1)
    no_type = providers.Factory(takes_text_that_is_none, dog)
    positional = providers.Factory(takes_positional, dog, dog=1)
    several = providers.Factory(takes_list, providers.List(dog))
    whole = providers.Factory(takes_float, providers.Object(1))
    partial = providers.Factory(functools.partial(Kennel, name="x"), dog)
    filled = providers.Factory(functools.partial(Kennel, None))
    wrapped = providers.Factory(decorated(takes_protocol), dog)
    called = providers.Factory(Caller(), dog)
    method = providers.Factory(Dog().speak)
    of_method = providers.Callable(str.upper, "a")
    anonymous = providers.Factory(lambda *args: args, dog)
    written_in_c = providers.Factory(dict, dog=dog)
    moment = providers.Factory(dt.datetime, 2026, 1, day=1)
    amount = providers.Factory(Decimal, "1")
    ordered = providers.Factory(OrderedDict, dog=dog)
    path = providers.Factory(Path, "a", "b")
    integer = providers.Factory(int, "1")
    exception = providers.Factory(ValueError, dog)
    connection = providers.Factory(socket.socket, socket.AF_INET)
    given = providers.Factory(Kennel, providers.Callable(gives_dog))
    maybe = providers.Factory(Kennel, providers.Callable(gives_maybe))
    whatever = providers.Factory(Kennel, providers.Callable(gives_any))
    nothing = providers.Factory(Kennel, providers.Callable(gives_nothing))
    later = providers.Factory(Kennel, providers.Coroutine(gives_later))
    yielded = providers.Factory(Kennel, PerRequest(yields_dog))
    attribute = providers.Factory(Kennel, dog.provided.friend)
    delegated = providers.Factory(takes_any, dog.provider)
    factory = providers.Factory(takes_any, providers.DelegatedFactory(Dog))
    secret = providers.Factory(lambda key: key, Container.settings.provided.secret_key)
    port = providers.Factory(takes_float, Container.settings.provided.port)
    selector = providers.Selector(lambda: "a", a=dog)
    aggregate = providers.Aggregate(a=dog)
    nested = providers.Singleton(providers.Factory(Kennel, dog))
    settings_group = providers.Factory(lambda group: group, MailerSettings())
    string = providers.Factory("quorum.settings.RedisSettings")


def test_nothing_that_may_be_right_is_told():
    """Protocols, optional and generic types, dataclasses, C classes, partials, lambdas and all."""
    right = Dog()
    assert right.speak() == "woof"
    assert found(Right) == []


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        (providers.Factory(Dog), Dog),
        (providers.Object(Dog()), Dog),
        (providers.Callable(gives_dog), Dog),
        (providers.Callable(gives_maybe), None),
        (providers.Callable(gives_nothing), None),
        (providers.Dependency(instance_of=Dog), Dog),
        (providers.List(), None),
        (PerRequest(Dog), Dog),
        (PerRequest(yields_dog), None),
        (PerRequest(socket.socket), None),
        (ThreadSafeSingleton(choose(Mailer)), Mailer),
        (providers.DelegatedFactory(Dog), None),
    ],
)
def test_the_class_of_what_a_provider_gives_is_known_as_far_as_it_is_declared(provider, expected):
    """Otherwise nothing is said about it."""
    assert provided_class(provider) is expected


def test_the_class_of_a_setting_is_that_of_its_value():
    """As far as it is set."""
    made = Container(settings=Settings())
    assert provided_class(made.settings.provided.redis) is RedisSettings
    assert provided_class(made.settings.provided.secret_key) is None
    assert provided_class(made.settings) is Settings


def test_the_class_of_what_is_overridden_is_not_known():
    """A fake may be of any class."""
    made = quorum.Container(settings=Settings())
    made.mailer.override(Stone)
    assert provided_class(made.mailer) is None
