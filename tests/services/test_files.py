"""A file that a twin keeps is whole, private, and kept by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quorum.errors import Unavailable
from quorum.services.files import KeptFile, replacing

PROGRAM = """
import json, sys
from pathlib import Path
from quorum.services.files import KeptFile

class Twin:
    def __init__(self):
        self.file = KeptFile("redis", Path(sys.argv[1]), variable="REDIS_URL")
        self.value = (self.file.load(json.loads) or 0) + 1
        self.file.save_at_exit(self.save)

    def save(self):
        self.file.save(lambda: json.dumps(self.value).encode())

twin = Twin()
"""


def kept(path: Path) -> KeptFile:
    return KeptFile("redis", path, variable="REDIS_URL")


def in_process(path: Path, more: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program whose twin keeps a number, one more at each run."""
    words = [sys.executable, "-c", PROGRAM + more, str(path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)


def in_child(work: Any) -> int:
    """Run something in a forked child, and return its exit status."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def refuses(path: Path, who: str) -> None:
    """Assert that another keeper is told who keeps the file, and what to set."""
    with pytest.raises(Unavailable, match=f"is kept by {who}.*set REDIS_URL"):
        kept(path).load(json.loads)


# Writing


def test_what_is_written_is_in_the_place_of_what_was(tmp_path: Path) -> None:
    """The file has the new bytes, and nothing else is left in the folder."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old, and longer")
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_as_it_was_until_the_end(tmp_path: Path) -> None:
    """A reader in the middle of a write sees what was there."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The file is as it was, and no half of one lies beside it."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """Whatever the mode was before, it is 0600."""
    path = tmp_path / "a.json"
    path.touch(0o644)
    with replacing(path) as file:
        file.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Keeping


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A later keeper reads what the one before saved."""
    path = tmp_path / "a.json"
    first = kept(path)
    assert first.load(json.loads) is None
    first.save(lambda: b"[1]")
    first.release()
    assert kept(path).load(json.loads) == [1]


def test_the_folder_is_made(tmp_path: Path) -> None:
    """DATA_PATH need not exist."""
    path = tmp_path / "data" / "deep" / "a.json"
    file = kept(path)
    file.load(json.loads)
    file.save(lambda: b"[1]")
    assert path.read_bytes() == b"[1]"


def test_nothing_is_touched_before_it_is_loaded(tmp_path: Path) -> None:
    """Building one does no I/O, and saving does nothing."""
    file = kept(tmp_path / "data" / "a.json")
    file.save(lambda: b"[1]")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_parse_is_left_as_it_is(tmp_path: Path) -> None:
    """The error names the file and what to do, and no later save overwrites it."""
    path = tmp_path / "a.json"
    path.write_bytes(b'{"half":')
    file = kept(path)
    with pytest.raises(Unavailable, match=r"a\.json cannot be read .*move it away"):
        file.load(json.loads)
    file.save(lambda: b"[1]")
    assert path.read_bytes() == b'{"half":'


def test_a_file_that_was_mended_is_loaded_by_the_same_object(tmp_path: Path) -> None:
    """Nothing of the failure is remembered."""
    path = tmp_path / "a.json"
    path.write_bytes(b"{")
    file = kept(path)
    with pytest.raises(Unavailable):
        file.load(json.loads)
    path.write_bytes(b"[1]")
    assert file.load(json.loads) == [1]


def test_a_save_that_fails_says_so_and_keeps_the_file(tmp_path: Path) -> None:
    """The error is ours, and what was saved before is still there."""
    path = tmp_path / "deep" / "a.json"
    file = kept(path)
    file.load(json.loads)
    path.mkdir()
    with pytest.raises(Unavailable, match="could not be saved"):
        file.save(lambda: b"[1]")
    assert path.is_dir()


def test_a_folder_that_cannot_be_made_is_our_error(tmp_path: Path) -> None:
    """A file in the place of DATA_PATH is told of."""
    (tmp_path / "data").touch()
    with pytest.raises(Unavailable, match="cannot be opened"):
        kept(tmp_path / "data" / "a.json").load(json.loads)


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    """What it points at is neither made nor changed."""
    (tmp_path / "a.json.lock").symlink_to(tmp_path / "other")
    with pytest.raises(Unavailable, match="cannot be opened"):
        kept(tmp_path / "a.json").load(json.loads)
    assert not (tmp_path / "other").exists()


def test_a_file_system_without_locks_is_our_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nobody could tell who keeps the file."""

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(Unavailable, match=r"cannot be locked .*No locks available"):
        kept(tmp_path / "a.json").load(json.loads)


def test_only_its_owner_can_read_the_lock(tmp_path: Path) -> None:
    """It is 0600 as well."""
    file = kept(tmp_path / "a.json")
    file.load(json.loads)
    assert stat.S_IMODE((tmp_path / "a.json.lock").stat().st_mode) == 0o600


# One process at a time


def test_a_second_keeper_in_the_same_process_is_refused(tmp_path: Path) -> None:
    """Two applications on one folder would overwrite each other."""
    first = kept(tmp_path / "a.json")
    first.load(json.loads)
    refuses(tmp_path / "a.json", "another application of this process")
    assert first.kept


def test_a_second_process_is_told_who_keeps_it(tmp_path: Path) -> None:
    """The error names the process and the setting that makes more than one possible."""
    first = kept(tmp_path / "a.json")
    first.load(json.loads)
    ended = in_process(tmp_path / "a.json")
    assert f"is kept by process {os.getpid()}" in ended.stderr
    assert "set REDIS_URL" in ended.stderr


def test_a_forked_child_is_refused(tmp_path: Path) -> None:
    """It has the parent's object, and not the parent's file."""
    file = kept(tmp_path / "a.json")
    file.load(json.loads)
    parent = os.getpid()

    def ask() -> None:
        assert not file.kept
        file.save(lambda: b"[2]")
        with pytest.raises(Unavailable, match=f"is kept by process {parent}"):
            file.load(json.loads)

    assert in_child(ask) == 0
    file.save(lambda: b"[1]")
    assert (tmp_path / "a.json").read_bytes() == b"[1]"


def test_a_forked_child_keeps_nobody_out(tmp_path: Path) -> None:
    """The lock ends with the parent's release, not with the child."""
    file = kept(tmp_path / "a.json")
    file.load(json.loads)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    try:
        file.release()
        assert kept(tmp_path / "a.json").load(json.loads) is None
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(child, 0)


def test_a_child_may_keep_it_after_the_parent(tmp_path: Path) -> None:
    """The same object loads what the parent saved and let go of."""
    file = kept(tmp_path / "a.json")
    file.load(json.loads)
    file.save(lambda: b"[1]")
    file.release()
    assert in_child(lambda: [1].index((file.load(json.loads) or [0])[0])) == 0


def test_a_process_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    """The lock goes with its process, however that ended."""
    ended = in_process(tmp_path / "a.json", "import os, signal; os.kill(os.getpid(), 9)")
    assert ended.returncode == -9
    assert kept(tmp_path / "a.json").load(json.loads) is None


def test_an_object_that_is_gone_keeps_nobody_out(tmp_path: Path) -> None:
    """A twin that was dropped without a close lets go."""
    file = kept(tmp_path / "a.json")
    file.load(json.loads)
    del file
    assert kept(tmp_path / "a.json").load(json.loads) is None


def test_releasing_twice_does_nothing(tmp_path: Path) -> None:
    """Nor does it close what another opened meanwhile under the same number."""
    file = kept(tmp_path / "a.json")
    file.load(json.loads)
    file.release()
    with (tmp_path / "other").open("wb") as other:
        file.release()
        other.write(b"still open")
    assert not file.kept


# At exit


def test_it_is_saved_as_the_interpreter_exits(tmp_path: Path) -> None:
    """A program that says nothing of its end keeps its data."""
    path = tmp_path / "a.json"
    assert [in_process(path).returncode, in_process(path).returncode] == [0, 0]
    assert path.read_bytes() == b"2"


def test_an_exit_after_the_release_saves_nothing(tmp_path: Path) -> None:
    """What was closed stays as it was closed."""
    path = tmp_path / "a.json"
    assert in_process(path, "twin.file.release()").returncode == 0
    assert not path.exists()


def test_a_twin_that_is_gone_is_not_kept_for_the_exit(tmp_path: Path) -> None:
    """The exit holds no twin alive."""
    ended = in_process(
        tmp_path / "a.json", "import weakref; gone = weakref.ref(twin); del twin; print(gone())"
    )
    assert (ended.stdout, ended.returncode) == ("None\n", 0)


def test_a_child_that_exits_saves_nothing(tmp_path: Path) -> None:
    """Only the process that keeps the file writes it, though the child runs the exit's calls."""
    path = tmp_path / "a.json"
    more = "import os\nif os.fork() == 0:\n    twin.value = 99\n    sys.exit()\nos.wait()"
    assert in_process(path, more).returncode == 0
    assert path.read_bytes() == b"1"


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    """By whoever keeps the file next: nobody else can be writing it."""
    (tmp_path / ".quorum-things.json-0123").write_bytes(b"half of it")
    (tmp_path / ".quorum-others.json-0123").write_bytes(b"another's")
    file = KeptFile("things", tmp_path / "things.json", variable="THINGS_URL")
    assert file.load(bytes) is None
    file.release()
    assert not (tmp_path / ".quorum-things.json-0123").exists()
    assert (tmp_path / ".quorum-others.json-0123").exists()
