"""The tree of errors, and what a ConfigurationError says."""

from __future__ import annotations

import inspect
import pickle

import pytest

from quorum import errors
from quorum.errors import ConfigurationError, Problem, QuorumError, ServiceError, Unavailable

CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each is not Problem]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_a_quorum_error(error: type[Exception]):
    """One `except QuorumError` catches whatever Quorum raises."""
    assert issubclass(error, QuorumError)


@pytest.mark.parametrize("error", CLASSES)
def test_the_drawing_shows_every_error_under_its_parent(error: type[Exception]):
    """The tree in the docstring of the module is the tree of the classes."""
    lines = (errors.__doc__ or "").splitlines()
    drawn = {
        line.strip("│├└─ ").split(" ")[0]: _depth(line) for line in lines if line[:1] in "Q│├└ "
    }
    ours = [each for each in error.__mro__ if issubclass(each, QuorumError)]

    assert drawn[error.__name__] == len(ours) - 1


def _depth(line: str) -> int:
    return (len(line) - len(line.lstrip("│├└─ "))) // 4


def test_a_problem_says_everything_in_one_line():
    """A problem names the setting, the rule, the source and the variables that would set it."""
    problem = Problem("mailer.port", "must be a number", ".env, SMTP_PORT", ("SMTP_PORT", "PORT"))

    assert str(problem) == (
        "mailer.port: must be a number (set in .env, SMTP_PORT); set SMTP_PORT or PORT"
    )


def test_a_problem_without_a_source_names_none():
    """What nothing has set is reported without a source."""
    assert str(Problem("secret", "field required")) == "secret: field required"


def test_a_configuration_error_lists_all_problems():
    """The text has one line a problem below a head that counts them."""
    error = ConfigurationError([Problem("a", "is wrong"), Problem("b", "is too")])

    assert str(error) == "the configuration has 2 problems:\n  - a: is wrong\n  - b: is too"
    assert [problem.setting for problem in error.problems] == ["a", "b"]


def test_one_problem_is_counted_in_the_singular():
    """A single problem reads as one."""
    assert str(ConfigurationError([Problem("a", "is wrong")])).startswith(
        "the configuration has 1 problem:"
    )


def test_a_configuration_error_can_be_a_sentence():
    """Where there is one thing to say, the error is that sentence and lists no problems."""
    error = ConfigurationError("load() takes Settings")

    assert (str(error), error.problems) == ("load() takes Settings", ())


def test_a_service_error_names_its_service():
    """The noun stands before the sentence, and at `service`."""
    error = Unavailable("mailer", "cannot be reached")

    assert (str(error), error.service) == ("mailer: cannot be reached", "mailer")


@pytest.mark.parametrize(
    "error",
    [
        ServiceError("redis", "went away"),
        ConfigurationError([Problem("a", "is wrong", names=("A",))]),
        ConfigurationError("a sentence"),
    ],
)
def test_errors_cross_processes(error: QuorumError):
    """An error can be pickled and keeps what it says and carries."""
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
