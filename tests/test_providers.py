"""The kinds of provider of our own: one object a container, one object a request."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from dependency_injector import providers

import quorum
from quorum import Container, NotLoaded, PerRequest, Settings, ThreadSafeSingleton
from quorum.providers import Store, entered_store

DEADLINE = 15


class Counted:
    """A service that counts how many of it were built."""

    built = 0
    lock = threading.Lock()

    def __init__(self):
        with Counted.lock:
            Counted.built += 1


@pytest.mark.parametrize("round_", range(20))
def test_eight_threads_that_ask_first_build_one(round_):
    """All eight are given the same object."""
    Counted.built = 0
    barrier = threading.Barrier(8)

    class Slow(Counted):
        def __init__(self):
            super().__init__()
            threading.Event().wait(0.005)

    class Services(Container):
        service = ThreadSafeSingleton(Slow)

    container = Services(settings=Settings())
    found = []

    def ask():
        barrier.wait(DEADLINE)
        found.append(container.service())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert Counted.built == 1


def test_a_constructor_that_fails_is_tried_again():
    """Nothing is kept of a service that could not be built."""
    failures = [OSError("no"), None]

    def build():
        failure = failures.pop(0)
        if failure is not None:
            raise failure
        return object()

    class Services(Container):
        service = ThreadSafeSingleton(build)

    container = Services(settings=Settings())
    with pytest.raises(OSError, match="no"):
        container.service()
    assert container.service() is container.service()


def test_two_services_may_be_built_at_once_by_threads_that_need_each_other():
    """A constructor may wait for a thread that builds another service."""

    class Waiting:
        def __init__(self, other):
            found = []
            thread = threading.Thread(target=self.ask, args=(other, found))
            thread.start()
            thread.join(DEADLINE)
            self.other = found[0]

        @staticmethod
        def ask(other, found):
            found.append(other())

    class Services(Container):
        other = ThreadSafeSingleton(Counted)
        waiting = ThreadSafeSingleton(Waiting, other.provider)

    container = Services(settings=Settings())
    assert container.waiting().other is container.other()


class Session:
    """An object per request in its three forms."""

    def __init__(self):
        self.told: list[object] = []

    def close(self):
        self.told.append("closed")


log: list[str] = []


@contextmanager
def managed():
    try:
        yield "managed"
    except Exception as error:
        log.append(repr(error))
        raise
    else:
        log.append("left")


def generated():
    try:
        yield "generated"
    except Exception as error:
        log.append(repr(error))
        raise
    else:
        log.append("went on")


class Requests(Container):
    session = PerRequest(Session)
    managed = PerRequest(managed)
    generated = PerRequest(generated)
    user = providers.Factory(lambda session: session, session)
    nested = PerRequest(lambda session: [session], session)


@pytest.fixture
def container():
    log.clear()
    return Requests(settings=Settings())


def test_an_object_per_request_is_the_same_within_and_new_in_the_next(container):
    """A block of `running` is a request."""
    with quorum.running(container):
        first = container.session()
        assert container.session() is first
    with quorum.running(container):
        assert container.session() is not first


def test_another_provider_is_given_the_object_of_the_request(container):
    """As a dependency it is the same object, in a factory and in another object per request."""
    with quorum.running(container):
        assert container.user() is container.session()
        assert container.nested()[0] is container.session()


def test_an_object_with_close_is_closed_at_the_end(container):
    """Once."""
    with quorum.running(container):
        session = container.session()
        assert session.told == []
    assert session.told == ["closed"]


@pytest.mark.parametrize(("name", "ended"), [("managed", "left"), ("generated", "went on")])
def test_a_context_manager_and_a_generator_go_on_at_the_end(container, name, ended):
    """What they give is what is yielded; then they are left."""
    with quorum.running(container):
        assert getattr(container, name)() == name
        assert log == []
    assert log == [ended]


@pytest.mark.parametrize("name", ["managed", "generated"])
def test_the_exception_of_the_block_is_told_to_them(container, name):
    """A transaction can be rolled back; the exception goes on as it was raised."""
    error = ValueError("wrong")

    def fail():
        raise error

    def work():
        with quorum.running(container):
            getattr(container, name)()
            fail()

    with pytest.raises(ValueError, match="wrong") as caught:
        work()
    assert caught.value is error
    assert log == ["ValueError('wrong')"]
    assert "fail" in [entry.name for entry in caught.traceback]


def test_closing_does_not_take_the_traceback_of_the_error():
    """contextlib puts the traceback that it is given on the error."""
    store = Store()
    store.get("key", managed)
    with pytest.raises(ValueError, match="wrong") as caught:
        int("wrong")
    before = caught.value.__traceback__
    store.close(caught.value)
    assert caught.value.__traceback__ is before


def test_objects_are_closed_in_the_reverse_of_their_making(container):
    """What was made last, and may use the others, goes first."""
    with quorum.running(container):
        container.managed()
        container.generated()
    assert log == ["went on", "left"]


def test_one_that_cannot_be_closed_stops_no_other(caplog):
    """It is logged, and the rest is closed."""

    class Failing:
        def close(self):
            raise OSError("no")

    store, session = Store(), Session()
    store.get(1, lambda: session)
    store.get(2, Failing)
    store.close()
    assert session.told == ["closed"]
    assert "could not be closed" in caplog.text


def test_an_error_that_is_raised_again_stops_no_other(caplog):
    """A context manager may raise the block's own error, whatever its class."""

    class Raising:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, traceback):
            raise error

    store, session = Store(), Session()
    store.get(1, lambda: session)
    store.get(2, Raising)
    store.close(KeyboardInterrupt())
    assert session.told == ["closed"]
    assert caplog.records == []


def test_closing_a_store_twice_is_harmless():
    """Nothing is closed again."""
    store, session = Store(), Session()
    store.get(1, lambda: session)
    store.close()
    store.close()
    assert session.told == ["closed"]


def test_one_that_cannot_be_made_leaves_nothing(container):
    """A constructor that raises is tried again at the next call, within the same request."""
    answers: list[object] = [OSError("no"), "made"]

    def build():
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    store = Store()
    with pytest.raises(OSError, match="no"):
        store.get(1, build)
    assert store.get(1, build) == "made"


def test_outside_of_a_request_it_is_an_error_that_says_where_to_ask(container):
    """Never an object that nobody would close."""
    with pytest.raises(NotLoaded, match="no request is running: ask for it in a view"):
        container.session()
    with pytest.raises(NotLoaded):
        entered_store()


def test_an_inner_block_has_objects_of_its_own(container):
    """And the outer one has its own again afterwards."""
    with quorum.running(container):
        outer = container.session()
        with quorum.running(container):
            assert container.session() is not outer
        assert container.session() is outer
        assert outer.told == []


def test_it_may_be_overridden(container):
    """With an object, and with another object per request."""
    with quorum.running(container), container.session.override("fake"):
        assert container.session() == "fake"
    with container.session.override(PerRequest(managed)), quorum.running(container):
        assert container.user() == "managed"
    assert log == ["left"]


def test_two_containers_do_not_share_the_object_of_a_request():
    """Each has its own, in one block too."""
    one, two = Requests(settings=Settings()), Requests(settings=Settings())
    with quorum.running(one):
        assert one.session() is not two.session()
