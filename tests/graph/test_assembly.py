"""Building a container: rebinding in subclasses, and closing in the reverse of building."""

from __future__ import annotations

import logging
import threading

import pytest
from dependency_injector import containers, providers

from quorum import ConfigurationError, Container, Settings, ThreadSafeSingleton
from quorum.graph.assembly import Assembly, Ledger


class Part:
    """A service that keeps what it was given."""

    def __init__(self, *parts, **named):
        self.parts = parts
        self.__dict__.update(named)


class Other(Part):
    """What a subclass puts in the place of a Part."""


class Third(Part):
    """What a subclass of the subclass puts there."""


class Base(Assembly):
    leaf = ThreadSafeSingleton(Part)
    middle = ThreadSafeSingleton(Part, leaf=leaf)
    top = ThreadSafeSingleton(Part, middle=middle)


class Replaced(Base):
    leaf = ThreadSafeSingleton(Other)


class ReplacedAgain(Replaced):
    leaf = ThreadSafeSingleton(Third)


def test_a_service_replaced_in_a_subclass_is_what_the_bases_services_receive():
    """A service two levels inside of the base's gets the subclass's one, the very same object."""
    container = Replaced()
    assert isinstance(container.top().middle.leaf, Other)
    assert container.top().middle.leaf is container.leaf()


def test_a_subclass_of_a_subclass_replaces_again():
    """The last class that names a service decides, however deep."""
    container = ReplacedAgain()
    assert isinstance(container.leaf(), Third)
    assert container.top().middle.leaf is container.leaf()


def test_the_base_is_left_as_it_was():
    """A subclass's container says nothing about that of the base."""
    Replaced()
    assert type(Base().top().middle.leaf) is Part


def test_a_service_replaced_in_the_middle_keeps_its_own_needs():
    """What is replaced between two services is found above, and finds what is below."""

    class Sub(Base):
        middle = ThreadSafeSingleton(Other, leaf=Base.leaf)

    container = Sub()
    assert isinstance(container.top().middle, Other)
    assert container.middle().leaf is container.leaf()


def test_a_service_may_wrap_the_one_that_it_replaces():
    """`mailer = ThreadSafeSingleton(Logging, inner=Container.mailer)` finds the base's inside."""

    class Logged(Base):
        leaf = ThreadSafeSingleton(Other, inner=Base.leaf)

    container = Logged()
    assert type(container.leaf().inner) is Part
    assert container.top().middle.leaf is container.leaf()


def test_a_service_may_wrap_through_a_provider_without_a_name():
    """The one that is replaced is kept in all that is written inside the paragraph."""

    class Logged(Base):
        leaf = ThreadSafeSingleton(
            Other,
            made=providers.Factory(Part, Base.leaf),
            parts=Base.leaf.provided.parts,
            several=providers.List(Base.leaf),
        )

    leaf = Logged().leaf()
    assert type(leaf.made.parts[0]) is Part
    assert leaf.parts == ()
    assert type(leaf.several[0]) is Part


def test_a_wrapper_may_be_wrapped_in_its_turn():
    """Each of three classes finds the one below it, and nobody finds itself."""

    class Logged(Base):
        leaf = ThreadSafeSingleton(Other, inner=Base.leaf)

    class Timed(Logged):
        leaf = ThreadSafeSingleton(Third, inner=Logged.leaf)

    leaf = Timed().leaf()
    assert isinstance(leaf, Third)
    assert isinstance(leaf.inner, Other)
    assert type(leaf.inner.inner) is Part


class EveryKind(Assembly):
    leaf = ThreadSafeSingleton(Part, name="base")
    choice = providers.Object("a")
    attribute = providers.Factory(Part, name=leaf.provided.name)
    item = providers.Factory(Part, first=leaf.provided.parts[0])
    called = providers.Factory(Part, got=leaf.provided.parts.count.call(leaf))
    several = providers.List(leaf, 1)
    mapping = providers.Dict({1: leaf, "two": leaf})
    call = providers.Callable(lambda leaf: leaf, leaf)
    set_on = providers.Factory(Part).add_attributes(leaf=leaf)
    handed_over = providers.Factory(Part, leaf=leaf.provider)
    selected = providers.Selector(choice, a=leaf)
    aggregate = providers.Aggregate(a=leaf)
    needed = providers.Dependency(default=leaf)
    overridden = providers.Factory(Part)
    overridden.override(leaf)
    resource = providers.Resource(Part, leaf)


class EveryKindReplaced(EveryKind):
    leaf = ThreadSafeSingleton(Other, 7, name="sub")


@pytest.mark.parametrize(
    ("name", "find"),
    [
        ("several", lambda made: made[0]),
        ("mapping", lambda made: made[1]),
        ("mapping", lambda made: made["two"]),
        ("call", lambda made: made),
        ("set_on", lambda made: made.leaf),
        ("handed_over", lambda made: made.leaf()),
        ("selected", lambda made: made),
        ("needed", lambda made: made),
        ("overridden", lambda made: made),
        ("resource", lambda made: made.parts[0]),
    ],
)
def test_every_kind_of_reference_follows_the_replaced_service(name, find):
    """A list, a mapping, a call, an attribute, a delegate, a selector: each has the new one."""
    container = EveryKindReplaced()
    assert find(getattr(container, name)()) is container.leaf()


def test_references_through_provided_follow_the_replaced_service():
    """Attributes, items and calls of a service are those of the new one."""
    container = EveryKindReplaced()
    assert container.attribute().name == "sub"
    assert container.item().first == 7
    assert container.called().got == 0
    assert container.aggregate("a") is container.leaf()


def test_nothing_is_built_when_a_container_is():
    """A subclass that replaces a service builds neither of the two."""
    built = []

    class Counting(EveryKind):
        leaf = ThreadSafeSingleton(built.append, 1)

    Counting()
    assert built == []


def test_of_two_bases_the_first_wins_as_in_python():
    """`Left.leaf` is what `class Both(Left, Right)` has, in its services too."""

    class Left(Base):
        leaf = ThreadSafeSingleton(Other)

    class Right(Base):
        leaf = ThreadSafeSingleton(Third)

    class Both(Left, Right):
        pass

    container = Both()
    assert isinstance(container.leaf(), Other)
    assert container.top().middle.leaf is container.leaf()


def test_a_container_may_be_handed_to_its_services():
    """`Self` in a base is the container of the subclass, not the class."""

    class Asking(Assembly):
        own = providers.Self()
        asking = providers.Factory(Part, container=own)

    class Sub(Asking):
        more = providers.Object(1)

    container = Sub()
    assert container.asking().container is container
    assert container.own() is container


def test_a_container_may_hold_another():
    """A nested container gets what it depends on from the one around it."""

    class Inner(Assembly):
        leaf = providers.Dependency()
        user = ThreadSafeSingleton(Part, leaf=leaf)

    class Outer(Base):
        inner = providers.Container(Inner, leaf=Base.leaf)

    class OuterReplaced(Outer):
        leaf = ThreadSafeSingleton(Other)

    assert type(Outer().inner.user().leaf) is Part
    container = OuterReplaced()
    assert container.inner.user().leaf is container.leaf()


def test_a_nested_containers_services_are_in_the_ledger_of_their_own_container():
    """Two containers of one class close their own, once."""
    closed = []

    class Closing(Part):
        def close(self):
            closed.append(self)

    class Inner(Assembly):
        leaf = ThreadSafeSingleton(Closing)

    class Outer(Assembly):
        inner = providers.Container(Inner)

    one, two = Outer(), Outer()
    first, second = one.inner.leaf(), two.inner.leaf()
    assert first is not second
    one.ledger.close()
    assert closed == [first]
    two.ledger.close()
    assert closed == [first, second]


def test_a_container_refuses_a_name_that_it_does_not_have():
    """`Container(sttings=…)` names what there is."""
    with pytest.raises(ConfigurationError, match="Container has no sttings; it has settings"):
        Container(sttings=Settings())


def test_a_container_works_without_an_application(caplog):
    """`Container(settings=Settings())` gives services, built once."""
    container = Container(settings=Settings())
    with caplog.at_level(logging.INFO, "quorum"):
        assert container.mailer() is container.mailer()


def test_a_provider_with_a_type_of_its_own_works():
    """A provider class that checks what it provides is none the worse for the ledger."""

    class PartProvider(providers.Singleton):
        provided_type = Part

    class Typed(Assembly):
        leaf = PartProvider(Part)

    container = Typed()
    assert container.leaf() is container.leaf()


def test_an_override_is_seen_and_undone():
    """`override` works as in dependency-injector, as a block too."""
    container = Base()
    fake = Other()
    with container.leaf.override(fake):
        assert container.leaf() is fake
        assert container.middle().leaf is fake
    assert type(container.leaf()) is Part


def test_an_override_in_one_container_is_not_seen_in_another():
    """Two containers of one class share nothing."""
    one, two = Base(), Base()
    one.leaf.override(Other())
    assert type(two.leaf()) is Part
    assert one.middle() is not two.middle()


class Recording:
    """A service that notes its closing."""

    closed: list[str]

    def __init__(self, name, *needs):
        self.name = name

    def close(self):
        self.closed.append(self.name)


@pytest.fixture
def closed(monkeypatch):
    found: list[str] = []
    monkeypatch.setattr(Recording, "closed", found, raising=False)
    return found


class Chain(Assembly):
    pool = ThreadSafeSingleton(Recording, "pool")
    cache = providers.Singleton(Recording, "cache", pool)
    site = ThreadSafeSingleton(Recording, "site", cache)
    unused = ThreadSafeSingleton(Recording, "unused")


def test_services_are_closed_in_the_reverse_of_their_building(closed):
    """What uses another is closed before it; what was never built is not."""
    container = Chain()
    container.site()
    container.ledger.close()
    assert closed == ["site", "cache", "pool"]


def test_closing_twice_is_harmless(closed):
    """Nothing is closed a second time."""
    container = Chain()
    container.site()
    container.ledger.close()
    container.ledger.close()
    assert closed == ["site", "cache", "pool"]


def test_one_failure_to_close_stops_no_other(closed, caplog):
    """It is logged by name, and the rest is closed."""

    class Failing(Recording):
        def close(self):
            raise OSError("no")

    class Sub(Chain):
        cache = ThreadSafeSingleton(Failing, "cache", Chain.pool)

    container = Sub()
    container.site()
    container.ledger.close()
    assert closed == ["site", "pool"]
    assert "cache could not be closed" in caplog.text


def test_a_singleton_without_a_name_is_closed_too(closed):
    """One that is written inside another's paragraph is a service as any."""

    class Nested(Assembly):
        site = ThreadSafeSingleton(
            Recording, "site", providers.Singleton(Recording, "inner"), providers.List(Chain.pool)
        )

    container = Nested()
    container.site()
    container.ledger.close()
    assert closed == ["site", "pool", "inner"]


def test_a_service_that_a_wrapper_holds_is_closed_after_it(closed):
    """The base's own service, wrapped in a subclass, is in the ledger."""

    class Wrapped(Chain):
        pool = ThreadSafeSingleton(Recording, "wrapper", Chain.pool)

    container = Wrapped()
    container.site()
    container.ledger.close()
    assert closed == ["site", "cache", "wrapper", "pool"]


def test_a_service_that_was_reset_is_closed_all_the_same(closed):
    """`reset()` drops it from its provider, not from the ledger."""
    container = Chain()
    container.pool()
    container.pool.reset()
    container.pool()
    container.ledger.close()
    assert closed == ["pool", "pool"]


def test_a_service_that_is_none_is_not_entered():
    """A constructor that gives None is asked again each time, and leaves nothing behind."""

    class Nothing(Assembly):
        nothing = providers.Singleton(lambda: None)

    container = Nothing()
    for _ in range(100):
        container.nothing()
    assert container.ledger.entries == []


def test_the_object_of_a_thread_ends_with_its_thread():
    """The ledger does not keep alive what belongs to a thread."""

    class Local(Assembly):
        local = providers.ThreadLocalSingleton(Part)

    container = Local()
    thread = threading.Thread(target=container.local)
    thread.start()
    thread.join()
    assert container.ledger.entries == []


def test_a_class_in_the_ledger_is_not_closed():
    """`close` of a class is a function that nobody can call."""
    ledger = Ledger()
    ledger.enter("class", Recording)
    ledger.close()
    assert ledger.entries == []


def test_stock_containers_are_what_they_were():
    """Importing Quorum changes nothing for a container that is not one of its own."""

    class Stock(containers.DeclarativeContainer):
        leaf = providers.ThreadSafeSingleton(Part)

    assert not hasattr(Stock(), "ledger")
