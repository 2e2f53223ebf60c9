"""Which application and which container are running."""

from __future__ import annotations

import threading

import pytest
from flask import Flask

import quorum
from quorum import APP, Container, NotLoaded, Settings, current


def loaded(name: str) -> Flask:
    """Load an application of one's own, with a container."""
    return quorum.load(app=Flask(name))


def test_without_anything_it_says_how_to_repair_it():
    """NotLoaded names `load`, an application context and `running`."""
    with pytest.raises(NotLoaded) as caught:
        current.container()
    sentence = str(caught.value)
    for repair in ("quorum.load()", "app.app_context()", "quorum.running(container)"):
        assert repair in sentence
    with pytest.raises(NotLoaded):
        quorum.get_app()


def test_the_loaded_applications_container_runs():
    """Without any context it is that of `load()`."""
    app = quorum.load(name="loaded")
    assert current.container() is app.container
    assert quorum.get_app() is app


def test_an_entered_container_comes_before_the_loaded_one():
    """In the block of `running`, and not after."""
    app = quorum.load(name="loaded")
    other = Container(settings=Settings())
    with quorum.running(other) as given:
        assert given is other
        assert current.container() is other
    assert current.container() is app.container


def test_the_active_applications_container_comes_first():
    """Before the one entered, and before the loaded one."""
    quorum.load(name="loaded")
    active = loaded("active")
    with quorum.running(Container(settings=Settings())), active.app_context():
        assert current.container() is active.container
        assert quorum.get_app() is active


def test_an_active_application_without_quorum_has_no_say():
    """Its context changes nothing about the container."""
    app = quorum.load(name="loaded")
    other = Container(settings=Settings())
    with Flask("plain").app_context():
        assert current.container() is app.container
        with quorum.running(other):
            assert current.container() is other


def test_an_active_application_without_quorum_alone_is_not_loaded():
    """There is nothing that could answer."""
    with Flask("plain").app_context(), pytest.raises(NotLoaded):
        current.container()


def test_running_blocks_nest_and_are_undone_by_an_error_too():
    """The outer container runs again."""
    outer, inner = Container(settings=Settings()), Container(settings=Settings())
    with quorum.running(outer):
        with pytest.raises(ValueError, match="wrong"), quorum.running(inner):
            raise ValueError("wrong")
        assert current.container() is outer
    with pytest.raises(NotLoaded):
        current.container()


def test_a_block_in_one_thread_is_not_seen_in_another():
    """Each thread has its own."""
    found = []

    def ask():
        try:
            found.append(current.container())
        except NotLoaded as error:
            found.append(error)

    with quorum.running(Container(settings=Settings())):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(15)
    assert isinstance(found[0], NotLoaded)


def test_leaving_a_block_leaves_its_container_open():
    """It may be entered again, with the same services."""
    container = Container(settings=Settings())
    with quorum.running(container):
        mailer = container.mailer()
    with quorum.running(container):
        assert container.mailer() is mailer
    container.ledger.close()


def test_after_unload_nothing_is_loaded():
    """The application is let go of."""
    quorum.load(name="loaded")
    quorum.unload()
    with pytest.raises(NotLoaded):
        current.container()
    assert current.loaded_app() is None


def test_an_unloaded_application_that_is_active_is_not_loaded():
    """It has no container any more."""
    app = quorum.load(name="loaded")
    quorum.unload()
    with app.app_context(), pytest.raises(NotLoaded):
        current.container()


def test_app_stands_for_the_loaded_application():
    """`quorum.APP` is whichever is loaded when it is used."""
    app = quorum.load(name="loaded")
    assert APP.name == app.name
    assert APP


def test_app_is_false_as_long_as_nothing_is_loaded():
    """It can be asked without an error, and says so when it is used."""
    assert not APP
    assert "unbound" in repr(APP)
    with pytest.raises(NotLoaded, match=r"call quorum\.load"):
        _ = APP.name


def test_has_context_tells_whether_a_context_is_active():
    """Of any Flask application."""
    assert not quorum.has_context()
    with Flask("plain").app_context():
        assert quorum.has_context()
