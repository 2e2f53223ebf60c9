"""Levels and handlers."""

from __future__ import annotations

import gc
import logging

import pytest

from quorum.services.logs import LogSetup


def nobody_logs(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """Return a logger as in a plain process: pytest has handlers on the root while a test runs."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    return logging.getLogger("till")


def test_one_handler_is_added_where_nobody_logs(monkeypatch: pytest.MonkeyPatch):
    """A logger that nobody set up gets one readable handler."""
    till = nobody_logs(monkeypatch)
    setup = LogSetup(["till", "till"], "INFO")
    assert len(till.handlers) == 1
    setup.undo()


def test_the_line_is_readable(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A line has time, level, logger and message."""
    till = nobody_logs(monkeypatch)
    setup = LogSetup(["till"], "INFO")
    till.warning("the drawer is open")
    setup.undo()
    assert "WARNING  till: the drawer is open\n" in capsys.readouterr().err


def test_a_users_own_handler_is_left_alone():
    """Where the user has a handler, on the logger or above, none is added."""
    own = logging.NullHandler()
    logging.getLogger("till").addHandler(own)
    setup = LogSetup(["till", "till.drawer"], "INFO")
    assert logging.getLogger("till").handlers == [own]
    assert logging.getLogger("till.drawer").handlers == []
    setup.undo()
    logging.getLogger("till").removeHandler(own)


def test_undo_puts_everything_back(monkeypatch: pytest.MonkeyPatch):
    """`undo` puts the level and the handlers back."""
    till = nobody_logs(monkeypatch)
    till.setLevel(logging.ERROR)
    setup = LogSetup(["till"], "DEBUG")
    setup.undo()
    setup.undo()
    assert till.level == logging.ERROR
    assert till.handlers == []
    till.setLevel(logging.NOTSET)


def test_a_shared_logger_keeps_its_handler_until_the_last_is_undone(
    monkeypatch: pytest.MonkeyPatch,
):
    """Of two that share a logger, the first undone leaves the handler to the second."""
    till = nobody_logs(monkeypatch)
    first, second = LogSetup(["till"], "DEBUG"), LogSetup(["till"], "ERROR")
    first.undo()
    assert till.level == logging.ERROR
    assert len(till.handlers) == 1
    second.undo()
    assert till.handlers == []


def test_silent_lets_nothing_through():
    """SILENT is above CRITICAL."""
    setup = LogSetup(["till"], "SILENT")
    assert not logging.getLogger("till").isEnabledFor(logging.CRITICAL)
    setup.undo()


def test_trace_is_below_debug():
    """TRACE is a level of its own, below DEBUG."""
    setup = LogSetup(["till"], "TRACE")
    assert logging.getLogger("till").isEnabledFor(5)
    assert logging.getLevelName(5) == "TRACE"
    setup.undo()


def test_an_application_that_is_dropped_leaves_no_level():
    """A setup that nothing holds any more is undone."""
    setup = LogSetup(["till"], "DEBUG")
    del setup
    gc.collect()
    assert logging.getLogger("till").level == logging.NOTSET
