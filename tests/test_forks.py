"""A forked child works, whatever the threads of its parent were doing."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest
from dependency_injector import providers

from quorum import Container, Settings, ThreadSafeSingleton, lazy
from quorum.forks import ForkSafeLock, PerProcess

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    # The very thing that is shown to be safe here.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

DEADLINE = 15


def child_of(work) -> int:
    """Fork, run `work` in the child, and return its exit status; a child that hangs is killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        threading.Event().wait(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


class Slow:
    """A service whose constructor waits until the test lets it go on; not in a child."""

    parent = os.getpid()
    began = threading.Event()
    go_on = threading.Event()

    def __init__(self):
        if os.getpid() == Slow.parent:
            Slow.began.set()
            Slow.go_on.wait(DEADLINE)


class Quick:
    """A service that is built at once."""


class Both(Container):
    ours = ThreadSafeSingleton(Slow)
    stock = providers.ThreadSafeSingleton(Slow)
    quick = ThreadSafeSingleton(Quick)
    stock_quick = providers.ThreadSafeSingleton(Quick)


@pytest.fixture
def building():
    """Build a service in another thread, and hold it in its constructor."""
    Slow.parent = os.getpid()
    Slow.began.clear()
    Slow.go_on.clear()
    threads = []

    def build(provider):
        thread = threading.Thread(target=provider)
        thread.start()
        threads.append(thread)
        assert Slow.began.wait(DEADLINE)

    yield build
    Slow.go_on.set()
    for thread in threads:
        thread.join(DEADLINE)


@pytest.mark.parametrize("name", ["ours", "stock"])
@pytest.mark.parametrize("asked", ["ours", "stock", "quick", "stock_quick"])
def test_a_fork_during_a_slow_constructor_leaves_a_child_that_works(building, name, asked):
    """The child builds the half-built service, and every other, anew."""
    container = Both(settings=Settings())
    building(getattr(container, name))
    assert child_of(getattr(container, asked)) == 0


def test_a_slow_constructor_keeps_no_other_waiting(building):
    """Each of our providers has its own lock."""
    container = Both(settings=Settings())
    building(container.ours)
    found = []
    thread = threading.Thread(target=lambda: found.append(container.quick()))
    thread.start()
    thread.join(DEADLINE)
    assert isinstance(found[0], Quick)


def test_a_constructor_that_forks_leaves_both_sides_with_a_service():
    """The child of a fork in the middle of a constructor goes on with it."""

    class Forking:
        def __init__(self):
            self.child = os.fork()

    class WithForking(Container):
        forking = ThreadSafeSingleton(Forking)

    container = WithForking(settings=Settings())
    made = container.forking()
    if made.child == 0:
        os._exit(0 if container.forking() is made else 1)
    _, status = os.waitpid(made.child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert container.forking() is made


def test_a_fork_while_an_override_is_set_leaves_a_child_that_works():
    """The lock of overrides, one for all providers, is open in the child."""
    container = Both(settings=Settings())
    with providers.Provider.overriding_lock:
        status: list[int] = []
        forking = threading.Thread(
            target=lambda: status.append(child_of(lambda: container.quick.overridden == ()))
        )
        forking.start()
        forking.join(DEADLINE + 1)
    assert status == [0]


def test_a_fork_waits_for_a_lazy_import(tmp_path, monkeypatch):
    """The child can import and use what the parent was importing as it forked."""
    (tmp_path / "slow_import.py").write_text(
        "import threading, slow_import_events as e\n"
        "e.began.set()\n"
        "e.go_on.wait(15)\n"
        "class Made: pass\n"
    )
    (tmp_path / "slow_import_events.py").write_text(
        "import threading\nbegan, go_on = threading.Event(), threading.Event()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import slow_import_events as events  # noqa: PLC0415 - written just now

    build = lazy("slow_import:Made")
    importing = threading.Thread(target=build)
    importing.start()
    assert events.began.wait(DEADLINE)
    letting_go = threading.Timer(0.2, events.go_on.set)
    letting_go.start()
    assert child_of(lambda: build() is not None) == 0
    importing.join(DEADLINE)
    letting_go.join(DEADLINE)
    assert not importing.is_alive()
    for name in ("slow_import", "slow_import_events"):
        sys.modules.pop(name)


def test_a_lock_is_open_in_the_child():
    """Whoever held it in the parent."""
    lock = ForkSafeLock()
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            let_go.wait(DEADLINE)

    def take():
        with lock:
            return True

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(DEADLINE)
    status = child_of(take)
    let_go.set()
    thread.join(DEADLINE)
    assert status == 0


def test_a_lock_may_be_taken_again_by_its_thread():
    """It is re-entrant, and closed to others until the last release."""
    lock = ForkSafeLock()
    order = []

    def take():
        with lock:
            order.append("other")

    with lock:
        with lock:
            pass
        thread = threading.Thread(target=take)
        thread.start()
        order.append("own")
    thread.join(DEADLINE)
    assert order == ["own", "other"]


def test_an_object_per_process_is_built_once_however_many_threads_ask():
    """Eight threads that ask at the same time get one object."""
    built = []

    def build() -> object:
        built.append(object())
        threading.Event().wait(0.05)
        return built[-1]

    owned, found = PerProcess(build), []
    threads = [threading.Thread(target=lambda: found.append(owned.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert (len(built), len(set(map(id, found)))) == (1, 1)


def test_a_child_builds_an_object_of_its_own():
    """It is not the parent's, which the child keeps and does not finalize."""
    finalized = []

    class Client:
        def __init__(self):
            self.pid = os.getpid()

        def __del__(self):
            finalized.append(os.getpid())

    owned = PerProcess(Client)
    parents = owned.get()
    assert child_of(lambda: owned.get().pid == os.getpid() and not finalized) == 0
    assert owned.get() is parents


def test_a_child_may_build_while_a_thread_of_the_parent_was_building():
    """The lock that the parent's thread holds is open in the child."""
    began, go_on, parent = threading.Event(), threading.Event(), os.getpid()

    def build() -> int:
        if os.getpid() == parent:
            began.set()
            go_on.wait(DEADLINE)
        return os.getpid()

    owned = PerProcess(build)
    thread = threading.Thread(target=owned.get)
    thread.start()
    began.wait(DEADLINE)
    status = child_of(lambda: owned.get() == os.getpid())
    go_on.set()
    thread.join(DEADLINE)
    assert status == 0


def test_an_object_that_could_not_be_built_is_built_at_the_next_call():
    """A constructor that raises leaves nothing behind."""
    outcomes = [ValueError("not yet"), "built"]

    def build() -> object:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    owned = PerProcess(build)
    with pytest.raises(ValueError, match="not yet"):
        owned.get()
    assert owned.built is None
    assert owned.get() == owned.built == "built"
