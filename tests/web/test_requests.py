"""Objects per request in Flask: made on first use, closed as the application context ends."""

from __future__ import annotations

import flask
import pytest
from flask import Flask, stream_with_context

import quorum
from quorum import Container, PerRequest, Provide, inject
from quorum.web.requests import close_requests


class Session:
    """Notes how it ended."""

    ended: list[object] = []  # noqa: RUF012 - emptied for each test

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        Session.ended.append(error)


class Sessions(Container):
    session = PerRequest(Session)


@pytest.fixture
def app():
    Session.ended.clear()
    return quorum.load(app=Flask("sessions"), container=Sessions)


def test_a_request_has_one_object_and_the_next_another(app):
    """Every function that is injected in one request is given the same."""
    seen = []

    @inject
    def helper(session: Session = Provide[Sessions.session]):
        return session

    @app.before_request
    @inject
    def before(session: Session = Provide[Sessions.session]):
        seen.append(session)

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        seen.append(session)
        assert helper() is session
        return "ok"

    client = app.test_client()
    assert client.get("/").text == "ok"
    assert client.get("/").text == "ok"
    assert seen[0] is seen[1]
    assert seen[2] is seen[3]
    assert seen[0] is not seen[2]
    assert Session.ended == [None, None]


def test_a_request_that_asks_for_none_closes_none(app):
    """Nothing is made, nothing is left at the context."""

    @app.get("/")
    def view():
        return "ok"

    app.test_client().get("/")
    assert Session.ended == []
    assert close_requests not in app.teardown_appcontext_funcs


def test_the_object_is_told_the_exception_of_the_request(app):
    """An unhandled one, as Flask tells it to its teardown functions."""
    error = ValueError("wrong")

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        raise error

    assert app.test_client().get("/").status_code == 500
    assert Session.ended == [error]


def test_an_exception_that_was_answered_is_none(app):
    """As in Flask: what an error handler answers, and `abort`, is no failure."""

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        flask.abort(404)

    assert app.test_client().get("/").status_code == 404
    assert Session.ended == [None]


def test_a_streaming_response_keeps_its_object_until_it_ends(app):
    """With `stream_with_context`, it is open while the response is read, and closed after."""
    open_while_read = []

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        def lines():
            for number in range(3):
                open_while_read.append(not Session.ended)
                yield f"{number}\n"

        return app.response_class(stream_with_context(lines()))

    assert app.test_client().get("/", buffered=True).text == "0\n1\n2\n"
    assert open_while_read == [True, True, True]
    assert Session.ended == [None]


def test_a_stream_without_the_context_keeps_its_object_too(app):
    """A generator view has its service for as long as it yields."""
    open_while_read = []

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        open_while_read.append(not Session.ended)
        yield "a"
        open_while_read.append(not Session.ended)
        yield "b"

    assert app.test_client().get("/", buffered=True).text == "ab"
    assert open_while_read == [True, True]
    assert Session.ended == [None]


def test_a_stream_that_fails_tells_its_object(app):
    """What a transaction began is not kept when the visitor got only a part."""
    error = ValueError("wrong")

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        yield "a"
        raise error

    with pytest.raises(ValueError, match="wrong"):
        app.test_client().get("/", buffered=True)
    assert Session.ended == [error]


def test_a_stream_that_nobody_reads_closes_its_object(app):
    """HEAD has no body."""

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        yield "a"

    app.test_client().head("/").close()
    assert Session.ended == [None]


def test_a_visitor_who_leaves_in_the_middle_of_a_stream_ends_it(app):
    """The object is told that the stream was not read to its end."""

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        yield "a"
        yield "b"

    response = app.test_client().get("/")
    assert next(response.iter_encoded()) == b"a"
    response.close()
    assert [type(each) for each in Session.ended] == [GeneratorExit]


def test_an_application_context_is_enough(app):
    """A command, a job or a test has its objects for as long as its context."""
    with app.app_context():
        first = app.container.session()
        assert app.container.session() is first
        assert Session.ended == []
    assert Session.ended == [None]


def test_an_inner_application_context_has_its_own(app):
    """Each context is closed by itself."""
    with app.app_context():
        outer = app.container.session()
        with app.app_context():
            assert app.container.session() is not outer
        assert Session.ended == [None]
        assert app.container.session() is outer


def test_a_second_teardown_is_harmless(app):
    """An object is closed once."""
    with app.app_context():
        app.container.session()
        close_requests(None)
        close_requests(None)
    assert Session.ended == [None]


def test_a_failure_to_close_does_not_fail_the_request(app, caplog):
    """It is logged; the visitor has the answer already."""

    class Failing:
        def close(self):
            raise OSError("no")

    app.container.session.override(PerRequest(Failing))

    @app.get("/")
    @inject
    def view(session=Provide[Sessions.session]):
        return "ok"

    assert app.test_client().get("/").text == "ok"
    assert "could not be closed" in caplog.text


def test_outside_of_a_context_the_store_is_that_of_running(app):
    """The block is the request."""
    with quorum.running(app.container):
        assert app.container.session() is app.container.session()
    assert Session.ended == [None]


def test_outside_of_everything_it_is_an_error_of_ours(app):
    """It says where an object per request can be asked for."""
    with pytest.raises(quorum.NotLoaded, match="no request is running"):
        app.container.session()


def test_two_applications_in_one_context_stack_keep_theirs_apart(app):
    """An inner context of another application has that one's objects."""
    other = quorum.load(app=Flask("other"), container=Sessions)
    with app.app_context():
        first = app.container.session()
        with other.app_context():
            assert other.container.session() is not first
        assert app.container.session() is first


def test_a_twin_of_a_service_serves_with_an_object_per_request(app):
    """`fakes` leaves objects per request as they are."""
    from quorum.testing import fakes  # noqa: PLC0415 - the door stands above

    with fakes(app), app.app_context():
        assert app.container.session() is app.container.session()
    assert Session.ended == [None]


def test_an_object_of_an_inner_context_does_not_disturb_a_stream(app):
    """A view that injects in a context of its own may stream, and its object is closed."""

    @inject
    def helper(session: Session = Provide[Sessions.session]):
        return session

    @app.get("/")
    def view():
        with app.app_context():
            helper()
        return flask.Response(iter(["a", "b"]))

    assert app.test_client().get("/").text == "ab"
    assert Session.ended == [None]


def test_an_error_after_the_view_closes_the_object_of_a_stream(app):
    """An `after_request` that raises ends the request, and the object with it."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    failure = ValueError("after the view")

    @app.after_request
    def after(response):
        raise failure

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        return flask.Response(iter(["a", "b"]))

    assert app.test_client().get("/").status_code == 500
    assert Session.ended == [failure]


def test_a_stream_that_is_not_read_is_closed_itself(app):
    """The answer to HEAD closes the view's own stream as well as the object."""
    closed = []

    class Stream:
        def __iter__(self):
            return iter(["a"])

        def close(self):
            closed.append("stream")

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        return flask.Response(Stream())

    response = app.test_client().head("/")
    response.close()
    assert closed == ["stream"]
    assert Session.ended == [None]


def test_a_stream_with_the_context_has_the_object_of_its_view(app):
    """Inside of `stream_with_context` the stream is given what the view was given."""
    seen = []

    @inject
    def helper(session: Session = Provide[Sessions.session]):
        return session

    @app.get("/")
    @inject
    def view(session: Session = Provide[Sessions.session]):
        def stream():
            seen.append(helper() is session)
            yield "a"

        return flask.Response(stream_with_context(stream()))

    assert app.test_client().get("/").text == "a"
    assert seen == [True]
