"""What `import quorum` does, and does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

import quorum


def run(code: str) -> str:
    """Run code in a fresh process, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module",
    [
        "pymongo",
        "redis",
        "pika",
        "boto3",
        "botocore",
        "pusher",
        "requests",
        "urllib3",
        "smtplib",
        "mailbox",
        "fakeredis",
        "mongomock_ng",
        "waitress",
    ],
)
def test_import_loads_no_vendor(module: str):
    """`import quorum` loads no library of a service."""
    assert run(f"import sys, quorum; print({module!r} in sys.modules)") == "False"


def test_import_configures_no_logging():
    """`import quorum` adds no handler and no level."""
    code = """if True:
        import logging
        import quorum
        loggers = [logging.getLogger(name) for name in ("quorum", None)]
        print([(logger.handlers, logger.level) for logger in loggers])
        print(logging.getLevelName(5))
    """
    assert run(code) == "[([], 0), ([], 30)]\nLevel 5"


def test_import_patches_nothing():
    """`import quorum` leaves Flask and json as they were."""
    code = """if True:
        import flask, json
        before = (flask.render_template, json.dumps, json.JSONEncoder.default, flask.Flask.route)
        import quorum
        print(before == (
            flask.render_template, json.dumps, json.JSONEncoder.default, flask.Flask.route
        ))
    """
    assert run(code) == "True"


def test_import_starts_no_thread():
    """`import quorum` starts no thread."""
    assert run("import quorum, threading; print(threading.active_count())") == "1"


def test_public_names_are_sorted_and_real():
    """`quorum.__all__` is sorted, and every name in it exists."""
    assert quorum.__all__ == sorted(quorum.__all__)
    assert [name for name in quorum.__all__ if not hasattr(quorum, name)] == []
