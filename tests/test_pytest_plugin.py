"""The pytest plugin, in a project of its own."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

CONFTEST = """\
import pytest
from flask import Flask
import quorum

@pytest.fixture
def app():
    app = Flask("shop")
    quorum.load(app=app)
    yield app
    quorum.unload(app)
"""


def test_the_plugin_is_an_entry_point():
    """pytest finds the plugin by the entry point `pytest11`."""
    (found,) = [each for each in entry_points(group="pytest11") if each.name == "quorum"]
    assert found.value == "quorum.pytest_plugin"


def test_outbox_holds_what_a_test_sent(pytester: pytest.Pytester):
    """The fixture `outbox` holds the mails that the test sent, and is empty in the next."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("name", ["ana", "rui"])
        def test_mail(app, outbox, name):
            app.container.mailer().send(to=f"{name}@example.org", text="Hello")
            assert [str(mail["To"]) for mail in outbox] == [f"{name}@example.org"]
        """
    )
    pytester.runpytest_subprocess("--no-cov").assert_outcomes(passed=2)


def test_quorum_fakes_yields_the_twins(pytester: pytest.Pytester):
    """The fixture `quorum_fakes` yields the twins, with their assertions."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        def test_mail(app, quorum_fakes):
            app.container.mailer().send(to="ana@example.org", text="Hello")
            quorum_fakes.mailer.assert_sent(to="ana@example.org", times=1)
        """
    )
    pytester.runpytest_subprocess("--no-cov").assert_outcomes(passed=1)


def test_without_an_app_fixture_the_loaded_application_is_faked(pytester: pytest.Pytester):
    """Without a fixture `app`, the fakes are those of the loaded application."""
    pytester.makepyfile(
        """
        import quorum

        app = quorum.load(name=__name__)

        def test_mail(outbox):
            app.container.mailer().send(to="ana@example.org", text="Hello")
            assert len(outbox) == 1
        """
    )
    pytester.runpytest_subprocess("--no-cov").assert_outcomes(passed=1)


def test_a_broken_app_fixture_is_told_as_such(pytester: pytest.Pytester):
    """A fixture `app` that asks for one that is not there is pytest's own error."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def app(databse):
            return databse

        def test_mail(outbox):
            pass
        """
    )
    result = pytester.runpytest_subprocess("--no-cov")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*fixture 'databse' not found*")
