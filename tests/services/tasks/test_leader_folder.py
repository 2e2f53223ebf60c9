"""The folder in which the processes of one machine find who leads."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import tempfile
import threading
from typing import TYPE_CHECKING

import pytest

from quorum.services.tasks.leading.leader import Leader
from quorum.settings import RedisSettings
from tests.services.tasks.leaders import check_that_it_stays, leading, no_redis
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.tasks.leaders import Leaders


@pytest.fixture
def leaders(tmp_path: Path) -> Iterator[Leaders]:
    with leading(tmp_path / "locks") as leaders:
        yield leaders


def test_it_is_the_users_own(leaders):
    """Nobody else may look into it, nor into its files."""
    leader = leaders()
    wait_until(lambda: leader.leads)
    leader.note_run("prune", 1.0)
    assert leaders.folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in leaders.folder.iterdir()} == {0o600}


def test_it_is_with_temporary_files_unless_given(monkeypatch, tmp_path):
    """Its name has the user's number."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    leader = Leader("shop", RedisSettings(), no_redis)
    leader.start(bool)
    wait_until(lambda: leader.leads)
    assert (tmp_path / f"quorum-{os.geteuid()}").is_dir()
    leader.stop()


def test_one_that_others_may_write_to_is_closed_to_them(leaders):
    """Where the user made it so."""
    leaders.folder.mkdir()
    leaders.folder.chmod(0o777)
    leader = leaders()
    wait_until(lambda: leader.leads)
    assert leaders.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("planted", ["link", "file", "foreign", "loop"])
def test_one_that_was_planted_is_not_used(leaders, tmp_path, planted, caplog):
    """Every process leads then, and the log says once why and what to do."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if planted == "link":
        leaders.folder.symlink_to(elsewhere)
    elif planted == "loop":
        leaders.folder.symlink_to(leaders.folder)
    elif planted == "file":
        leaders.folder.touch()
    else:
        if os.geteuid():
            pytest.skip("only root can give a folder away")
        leaders.folder.mkdir()
        os.chown(leaders.folder, 65534, 65534)
    first, second = leaders(), leaders()
    wait_until(lambda: first.leads and second.leads)
    first.note_run("prune", 1.0)
    assert first.last_run("prune") is None
    check_that_it_stays(lambda: first.leads and second.leads)
    assert list(elsewhere.iterdir()) == []
    warned = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warned) == 2
    assert str(leaders.folder) in warned[0].getMessage()
    assert "REDIS_URL" in warned[0].getMessage()


def test_one_lead_is_left_when_the_folder_is_mended(leaders):
    """Nobody needs to restart anything."""
    leaders.folder.touch()
    first, second = leaders(), leaders()
    wait_until(lambda: first.leads and second.leads)
    leaders.folder.unlink()
    wait_until(lambda: first.leads != second.leads)
    check_that_it_stays(lambda: first.leads != second.leads)


@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_one_that_has_no_locks_lets_every_process_lead(leaders, monkeypatch, reason):
    """As some network file systems have none."""

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(reason, "marker")

    monkeypatch.setattr(fcntl, "flock", flock)
    first, second = leaders(), leaders()
    wait_until(lambda: first.leads and second.leads)


def test_a_planted_lock_is_not_followed(leaders, tmp_path):
    """A link in the folder's place of the lock leads nowhere."""
    leader = leaders()
    wait_until(lambda: leader.leads)
    (lock,) = leaders.folder.glob("*.lock")
    leader.stop()
    lock.symlink_to(tmp_path / "target")
    leader.start(bool)
    wait_until(lambda: leader.leads)
    assert not (tmp_path / "target").exists()


def test_a_cleaner_of_temporary_files_makes_no_second_leader(leaders):
    """Who leads takes the lock again, on the file that the others find."""
    first = leaders()
    wait_until(lambda: first.leads)
    second = leaders()
    for file in leaders.folder.iterdir():
        file.unlink()
    wait_until(lambda: list(leaders.folder.glob("*.lock")))
    wait_until(lambda: first.leads != second.leads)
    check_that_it_stays(lambda: first.leads != second.leads)


def test_what_processes_left_that_are_gone_is_removed(leaders):
    """A killed child leaves the file that told its parent of it."""
    first = leaders()
    wait_until(lambda: first.leads)
    (lock,) = leaders.folder.glob("*.lock")
    first.stop()
    left = lock.with_suffix(".under-999999999")
    left.touch()
    second = leaders()
    wait_until(lambda: second.leads)
    wait_until(lambda: not left.exists())


def test_a_process_without_free_descriptors_does_not_lead(leaders, monkeypatch):
    """It cannot know whether another does; it asks again."""
    broken = threading.Event()
    broken.set()
    opened = os.open

    def open_(*args, **kwargs):
        if broken.is_set():
            raise OSError(24, "Too many open files")
        return opened(*args, **kwargs)

    monkeypatch.setattr(os, "open", open_)
    leader = leaders()
    check_that_it_stays(lambda: not leader.leads and not leader.settled)
    broken.clear()
    wait_until(lambda: leader.leads)
