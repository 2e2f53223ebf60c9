"""The embedded twin: its folder, what others may do to that, and the assertions for tests."""

from __future__ import annotations

import io
import itertools
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import NotFound, Rejected, Unavailable, Unsupported
from quorum.services.storage.folder import FolderStorage
from quorum.services.storage.folder.filenames import file_of, name_of
from quorum.settings import StorageSettings

if TYPE_CHECKING:
    from collections.abc import Callable

forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def build(data_path: Path | None = None) -> FolderStorage:
    return FolderStorage(StorageSettings(), data_path=data_path, locate=str)


def in_child(work: Callable[[], Any]) -> int:
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


def run(code: str, *words: str) -> str:
    """Run code in a fresh process, and return what it prints."""
    head = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from quorum.services.storage.folder import FolderStorage\n"
        "from quorum.settings import StorageSettings\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + code, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def allowed(storage: FolderStorage, url: str, name: str = "a", method: str = "GET") -> bool:
    """Tell whether a storage takes a URL for its own."""
    found = re.search(r"expires=(\d+)&signature=(\w+)$", url)
    assert found is not None
    return storage.allows(method, name, found[1], found[2])


class TestTemporaryFolder:
    """Without DATA_PATH."""

    def test_it_is_made_at_first_use_and_removed_at_close(self, twin: FolderStorage) -> None:
        """Building, and signing a URL, make none."""
        twin.url("a")
        assert not twin.path.exists()
        twin.put("a", b"x")
        assert twin.path.is_dir()
        twin.close()
        assert not twin.path.exists()

    def test_others_may_not_look_into_it(self, twin: FolderStorage) -> None:
        """It is its owner's alone, whatever the umask."""
        before = os.umask(0)
        try:
            twin.put("a", b"x")
        finally:
            os.umask(before)
        assert {path.stat().st_mode & 0o077 for path in [twin.path, *twin.path.rglob("*")]} == {0}

    def test_two_share_nothing(self, twin: FolderStorage) -> None:
        """Each has its own folder and its own key."""
        other = build()
        other.put("a", b"x")
        assert not twin.exists("a")
        assert not allowed(twin, other.url("a"))
        other.close()

    def test_one_that_another_user_made_is_refused(
        self, twin: FolderStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever owns it could read and change what is in it."""
        twin.put("a", b"x")
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        with pytest.raises(Unavailable, match="may not use"):
            twin.get("a")

    def test_it_is_removed_as_the_process_ends(self) -> None:
        """Also one that was never closed."""
        path = run(
            "storage = FolderStorage(StorageSettings())\n"
            "storage.put('a', b'x')\n"
            "assert storage.path.is_dir()\n"
            "print(storage.path)"
        )
        assert path
        assert not Path(path).exists()

    def test_it_is_removed_when_nobody_uses_it_any_more(self) -> None:
        """A storage that was dropped leaves nothing; one of its streams can be read on."""
        storage = build()
        storage.put("a", b"figures")
        path, stream = storage.path, storage.open("a")
        del storage
        with stream:
            assert not path.exists()
            assert stream.read() == b"figures"

    def test_a_close_while_threads_write_leaves_nothing(self, twin: FolderStorage) -> None:
        """Those that are late are refused, and make no new folder."""
        begun = threading.Barrier(5)

        def write_on() -> None:
            begun.wait(10)
            for put in itertools.repeat(twin.put):
                try:
                    put("a", b"x")
                except Unavailable:
                    return

        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write_on) for _ in range(4)]
            begun.wait(10)
            twin.close()
            for each in writing:
                each.result(15)
        assert not twin.path.exists()

    def test_a_child_that_ends_leaves_it(self) -> None:
        """By exit, with all that Python does then, or by close: it is the parent's."""
        code = """if True:
            storage = FolderStorage(StorageSettings())
            storage.put('a', b'parent')
            for close in (True, False):
                child = os.fork()
                if child == 0:
                    assert storage.get('a') == b'parent'
                    storage.put(f'child-{close}', b'x')
                    if close:
                        storage.close()
                    sys.exit(0)
                assert os.waitpid(child, 0)[1] == 0
            print(storage.get('a'), list(storage.names()))
        """
        assert run(code) == "b'parent' ['a', 'child-False', 'child-True']"

    @forks
    def test_children_forked_before_the_first_use_share_it(self, twin: FolderStorage) -> None:
        """What one stores and signs, the others read and take for their own."""
        assert in_child(lambda: twin.put("a", twin.url("a").encode())) == 0
        url = twin.get("a").decode()
        assert allowed(twin, url)
        assert in_child(lambda: allowed(twin, url) or 1 / 0) == 0

    @forks
    def test_a_stream_of_the_parent_is_not_moved_by_a_child(self, twin: FolderStorage) -> None:
        """Both read it from the same place on."""
        twin.put("a", b"0123456789" * 100_000)
        with twin.open("a") as stream:
            assert stream.read(10) == b"0123456789"
            assert in_child(lambda: stream.read() == b"" and 1 / 0) == 0
            assert stream.read() == b"0123456789" * 99_999


class TestKeptFolder:
    """With DATA_PATH."""

    def test_objects_outlive_the_process(self, tmp_path: Path) -> None:
        """With type and metadata; the close removes nothing."""
        first = build(tmp_path / "new" / "data")
        first.put("a/b.txt", b"figures", metadata={"by": "ana"})
        first.close()
        found = build(tmp_path / "new" / "data").stat("a/b.txt")
        assert (found.content_type, dict(found.metadata)) == ("text/plain", {"by": "ana"})

    def test_urls_outlive_the_process(self, kept: FolderStorage, tmp_path: Path) -> None:
        """Another that has the folder takes them for its own."""
        url = kept.url("a")
        assert allowed(build(tmp_path / "data"), url)
        shared = "FolderStorage(StorageSettings(), data_path=Path(sys.argv[1]), locate=str)"
        theirs = run(f"print({shared}.url('a'))", str(tmp_path / "data"))
        assert allowed(kept, theirs)

    def test_of_many_that_begin_at_once_all_have_one_key(self, tmp_path: Path) -> None:
        """The first that makes one wins."""
        storages = [build(tmp_path / "data") for _ in range(16)]
        barrier = threading.Barrier(16)

        def sign(storage: FolderStorage) -> str:
            barrier.wait(10)
            return storage.url("a")

        with ThreadPoolExecutor(16) as pool:
            urls = list(pool.map(sign, storages))
        assert all(allowed(storages[0], url) for url in urls)
        assert [path.name for path in (tmp_path / "data" / "storage").iterdir()] == ["key"]

    def test_the_key_is_its_owners_alone(self, kept: FolderStorage) -> None:
        """32 bytes that no other user reads."""
        kept.url("a")
        key = kept.path / "key"
        assert (key.stat().st_mode & 0o777, len(key.read_bytes())) == (0o600, 32)

    @pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
    def test_a_spoiled_key_signs_nothing(self, kept: FolderStorage, content: bytes) -> None:
        """Who knows it, or its emptiness, could sign; the error says which file to remove."""
        url = kept.url("a")
        (kept.path / "key").write_bytes(content)
        with pytest.raises(Unavailable, match=r"storage/key is no key.* remove it"):
            kept.url("a")
        with pytest.raises(Unavailable, match="is no key"):
            allowed(kept, url)

    def test_a_relative_folder_stays_where_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever changes the working directory later."""
        storage = build(Path("data"))
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        storage.put("a", b"x")
        assert storage.path == tmp_path / "data" / "storage"
        assert not list((tmp_path / "elsewhere").iterdir())

    def test_a_folder_that_was_deleted_is_made_again(self, kept: FolderStorage) -> None:
        """The same storage works on, empty."""
        kept.put("a", b"x")
        (kept.path.parent).rename(kept.path.parent.with_name("moved"))
        assert list(kept.names()) == []
        kept.put("b", b"y")
        assert kept.get("b") == b"y"

    def test_a_process_killed_while_it_writes_leaves_whole_objects(
        self, kept: FolderStorage
    ) -> None:
        """The old one or the new one, and no leftover in the names."""
        bodies = [bytes([65 + number]) * 3_000_000 for number in range(3)]

        def write_on() -> None:
            for turn in range(10_000):
                kept.put("a", bodies[turn % 3], metadata={"turn": str(turn % 3)})

        kept.put("a", bodies[0], metadata={"turn": "0"})
        seen = set()
        for turn in range(12):
            child = os.fork()
            if child == 0:
                try:
                    write_on()
                finally:
                    os._exit(1)
            end = time.monotonic() + 0.02 + turn * 0.007
            while time.monotonic() < end:
                assert kept.get("a") in bodies
            os.kill(child, signal.SIGKILL)
            assert os.waitpid(child, 0)[1] == signal.SIGKILL
            turned = int(kept.stat("a").metadata["turn"])
            seen.add(turned)
            assert kept.get("a") == bodies[turned]
            assert list(kept.names()) == ["a"]
        assert seen

    def test_drafts_that_nobody_writes_on_are_swept(
        self, kept: FolderStorage, tmp_path: Path
    ) -> None:
        """After a day without progress; younger ones may be those of other processes."""
        kept.put("a", b"x")
        drafts = kept.path / "drafts"
        (drafts / "old").write_bytes(b"half")
        (drafts / "young").write_bytes(b"half")
        os.utime(drafts / "old", (time.time() - 90_000,) * 2)
        build(tmp_path / "data").put("b", b"y")
        assert [path.name for path in drafts.iterdir()] == ["young"]


class TestPlantedThings:
    """What somebody put into the folder."""

    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        """A folder outside with a file in it that nobody may read or change."""
        folder = tmp_path / "outside"
        folder.mkdir()
        (folder / "a").write_bytes(b"secret")
        return folder

    def untouched(self, secret: Path) -> None:
        assert [path.name for path in secret.iterdir()] == ["a"]
        assert (secret / "a").read_bytes() == b"secret"

    def test_a_link_to_a_file_is_not_read(self, kept: FolderStorage, secret: Path) -> None:
        """By no verb; nor is it listed."""
        kept.ping()
        kept.put("b", b"x")
        (kept.path / "objects" / "a").symlink_to(secret / "a")
        for verb in (
            kept.get,
            kept.open,
            kept.stat,
            kept.exists,
            lambda name: kept.copy(name, "c"),
        ):
            with pytest.raises(Unavailable, match=r"symbolic link.*remove it"):
                verb("a")
        with pytest.raises(Unavailable, match="symbolic link"):
            kept.download("a", "target")
        assert list(kept.names()) == ["b"]
        self.untouched(secret)

    def test_a_link_to_a_file_is_not_written(self, kept: FolderStorage, secret: Path) -> None:
        """An object takes its place, or it alone is deleted."""
        kept.put("b", b"x")
        for heal in (lambda: kept.put("a", b"own"), lambda: kept.copy("b", "a")):
            (kept.path / "objects" / "a").symlink_to(secret / "a")
            heal()
            assert kept.get("a") in {b"own", b"x"}
            self.untouched(secret)
            kept.delete("a")
        (kept.path / "objects" / "a").symlink_to(secret / "a")
        kept.delete("a")
        assert not kept.exists("a")
        self.untouched(secret)

    @pytest.mark.parametrize("place", ["", "objects", "drafts"])
    def test_a_link_to_a_folder_is_not_entered(
        self, kept: FolderStorage, secret: Path, tmp_path: Path, place: str
    ) -> None:
        """Whichever of ours it stands for."""
        link = kept.path / place if place else kept.path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(secret)
        verbs = [lambda: kept.put("a", b"evil"), lambda: kept.copy("a", "b"), kept.ping]
        if place != "drafts":
            verbs = [*verbs[:1], lambda: kept.get("a"), lambda: kept.delete("a"), kept.clear]
            verbs += [lambda: list(kept.names()), lambda: kept.copy("a", "b")]
        else:
            (kept.path / "objects").mkdir()
            build(tmp_path / "other").put("a", b"x")
            (tmp_path / "other/storage/objects/a").rename(kept.path / "objects" / "a")
        for verb in verbs:
            with pytest.raises(Unavailable, match="symbolic link"):
                verb()
        self.untouched(secret)

    def test_a_link_in_the_place_of_the_key_is_not_read(
        self, kept: FolderStorage, secret: Path
    ) -> None:
        """Who knows that file could sign."""
        (secret / "a").write_bytes(b"k" * 32)
        kept.put("a", b"x")
        (kept.path / "key").symlink_to(secret / "a")
        with pytest.raises(Unavailable, match="symbolic link"):
            kept.url("a")
        assert (secret / "a").read_bytes() == b"k" * 32

    def test_a_pipe_is_refused_at_once(self, kept: FolderStorage) -> None:
        """Reading it would wait for ever."""
        kept.put("b", b"x")
        os.mkfifo(kept.path / "objects" / "a")
        start = time.monotonic()
        with pytest.raises(Unavailable, match="remove it"):
            kept.get("a")
        assert time.monotonic() - start < 6
        assert list(kept.names()) == ["b"]

    def test_a_folder_in_the_place_of_an_object_is_told(self, kept: FolderStorage) -> None:
        """Read, written or deleted, it is in the way; nothing of it is removed."""
        kept.put("b", b"x")
        (kept.path / "objects" / "a" / "below").mkdir(parents=True)
        for verb in (kept.get, kept.delete, lambda name: kept.put(name, b"x")):
            with pytest.raises(Unavailable, match=r"remove it|may not use"):
                verb("a")
        assert (kept.path / "objects" / "a" / "below").is_dir()
        assert not list((kept.path / "drafts").iterdir())

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(b"a file that was copied there"),
            lambda path: path.write_bytes(path.read_bytes()[:-1]),
            lambda path: path.write_bytes(path.read_bytes()[2000:]),
            lambda path: path.write_bytes(path.read_bytes().replace(b'"etag"', b'"gate"')),
            lambda path: path.write_bytes(path.read_bytes().replace(b"{", b"[")),
            lambda path: path.write_bytes(b"x" + b"ffffffff\nquorum 1\n"),
            lambda path: path.write_bytes(b"00000004null\nquorum 1\n"),
            lambda path: path.write_bytes(b"-0000001\nquorum 1\n"),
            lambda path: path.write_bytes((path.parent / "other").read_bytes()),
        ],
        ids=[
            "empty",
            "foreign",
            "cut",
            "headless",
            "key",
            "list",
            "length",
            "null",
            "sign",
            "other",
        ],
    )
    def test_a_file_that_was_changed_is_told(self, kept: FolderStorage, spoil: Any) -> None:
        """It is never taken for the object; it can be put again and deleted."""
        kept.put("a", b"x" * 1500)
        kept.put("other", b"y")
        spoil(kept.path / "objects" / "a")
        for verb in (kept.get, kept.open, kept.stat, kept.exists):
            with pytest.raises(Unavailable, match=r"'a' in .* was changed from outside"):
                verb("a")
        kept.put("a", b"again")
        assert kept.get("a") == b"again"

    def test_files_that_are_not_ours_are_not_listed(self, kept: FolderStorage) -> None:
        """Such as those that desktops leave."""
        kept.put("a", b"x")
        for name in ("Thumbs.db", ".DS_Store", "b%2f", "%ZZ", "~", f"x~{'0' * 64}", "%FF"):
            (kept.path / "objects" / name).write_bytes(b"foreign")
        assert list(kept.names()) == ["a"]


class TestTroubleOfTheSystem:
    """A disk that is full, a folder that may not be used."""

    @forks
    def test_a_full_disk_is_told_and_leaves_the_old_object(self, kept: FolderStorage) -> None:
        """And no draft."""
        kept.put("a", b"old")

        def fill() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            with pytest.raises(Unavailable, match=r"no room left.*make some"):
                kept.put("a", b"x" * 200_000)
            kept.put("b", b"small")

        assert in_child(fill) == 0
        assert kept.get("a") == b"old"
        assert kept.get("b") == b"small"
        assert not list((kept.path / "drafts").iterdir())

    @forks
    def test_a_folder_of_another_user_is_told(self, kept: FolderStorage) -> None:
        """Each verb, and ping."""
        kept.put("a", b"x")
        kept.path.chmod(0)

        def use() -> None:
            if os.geteuid() == 0:
                os.setresuid(65534, 65534, 65534)
            for verb in (kept.ping, lambda: kept.get("a"), lambda: kept.put("a", b"x"), kept.clear):
                with pytest.raises(Unavailable, match=r"may not use .* DATA_PATH"):
                    verb()

        assert in_child(use) == 0
        kept.path.chmod(0o700)
        assert kept.get("a") == b"x"

    def test_a_file_in_the_place_of_the_folder_is_told(self, tmp_path: Path) -> None:
        """Of DATA_PATH itself too."""
        (tmp_path / "file").write_bytes(b"")
        for data_path in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(Unavailable, match="a file or a folder stands"):
                build(data_path).ping()

    def test_no_descriptor_stays_open(self, kept: FolderStorage) -> None:
        """Whether calls succeed or fail."""
        kept.put("a", b"x")
        (kept.path / "objects" / "link").symlink_to("a")
        (kept.path / "objects" / "spoiled").write_bytes(b"x")
        os.mkfifo(kept.path / "objects" / "pipe")

        def use() -> None:
            kept.put("a", b"x")
            kept.get("a")
            kept.copy("a", "b")
            kept.url("a")
            list(kept.names())
            kept.delete("b")
            kept.open("a").close()
            for name in ("link", "spoiled", "pipe", "none"):
                with pytest.raises((Unavailable, NotFound)):
                    kept.get(name)
            with pytest.raises(Rejected):
                kept.put("c", io.StringIO("x"))

        use()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            use()
        assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestStreams:
    """What open gives."""

    def test_a_stream_keeps_its_bytes(self, twin: FolderStorage) -> None:
        """Whatever becomes of the object, and of the storage."""
        twin.put("a", b"0123456789" * 100_000)
        with twin.open("a") as stream:
            assert stream.read(1) == b"0"
            twin.put("a", b"new")
            twin.delete("a")
            twin.clear()
            twin.close()
            assert stream.read() == (b"0123456789" * 100_000)[1:]

    def test_a_stream_can_be_moved(self, twin: FolderStorage) -> None:
        """Within the object, and never past its bytes."""
        twin.put("a", b"0123456789", metadata={"by": "ana"})
        with twin.open("a") as stream:
            assert stream.seekable()
            assert stream.seek(-3, io.SEEK_END) == 7
            assert stream.read() == b"789"
            assert stream.seek(2) == 2
            assert (stream.read(2), stream.tell()) == (b"23", 4)
            assert stream.seek(100) == 100
            assert stream.read() == b""

    def test_a_stream_has_no_descriptor(self, twin: FolderStorage) -> None:
        """The file has more than the object: nobody is to send it whole."""
        twin.put("a", b"x")
        with twin.open("a") as stream, pytest.raises(io.UnsupportedOperation):
            stream.fileno()

    def test_a_file_that_is_cut_while_it_is_read_is_told(self, kept: FolderStorage) -> None:
        """It is no short end."""
        kept.put("a", b"x" * 1_000_000)
        with kept.open("a") as stream:
            stream.read(1)
            os.truncate(kept.path / "objects" / "a", 500_000)
            with pytest.raises(Unavailable, match="was cut while it was read"):
                stream.read()

    def test_large_objects_take_little_memory(self, twin: FolderStorage, tmp_path: Path) -> None:
        """64 MB go in, through and out in pieces."""

        class Large(io.RawIOBase):
            left = 64

            def read(self, size: int = -1) -> bytes:
                self.left -= 1
                return b"\0" * 2**20 if self.left >= 0 else b""

        tracemalloc.start()
        try:
            twin.put("a", Large())
            twin.copy("a", "b")
            twin.download("b", tmp_path / "target")
            assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        finally:
            tracemalloc.stop()
        assert (tmp_path / "target").stat().st_size == 64 * 2**20


def test_bytes_and_metadata_are_of_one_version(kept: FolderStorage) -> None:
    """While eight threads put, nobody sees the bytes of one with the metadata of another."""
    kept.put("a", b"", metadata={"size": "0"})
    ended = threading.Event()

    def write(size: int) -> None:
        for _ in range(10):
            kept.put("a", b"x" * size, metadata={"size": str(size)})

    def read() -> int:
        reads = 0
        while not ended.is_set():
            found, stream = kept.version("a")
            with stream:
                assert len(stream.read()) == found.size == int(found.metadata["size"])
            reads += 1
        return reads

    with ThreadPoolExecutor(10) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        list(pool.map(write, range(10_000, 10_008)))
        ended.set()
        assert all(reader.result() for reader in readers)


class TestNames:
    """How names become files."""

    def test_every_name_has_a_file_of_its_own(self) -> None:
        """On every file system: of plain lower case and at most 255 bytes."""
        pick = random.Random(3)
        letters = "aAzZ09-_.~%/ é\u0301日🎉"
        names = {"".join(pick.choices(letters, k=pick.randint(1, 250))) for _ in range(5000)}
        names |= {"x" * length for length in range(240, 270)}
        names |= {"é" * 500 + each for each in "abc"}
        files = {file_of(name) for name in names}
        assert len(files) == len(names) == len({file.lower() for file in files})
        assert all(len(file) <= 255 and re.fullmatch(r"[a-z0-9._%A-F~-]+", file) for file in files)

    def test_short_names_are_read_back_from_the_file(self) -> None:
        """Without opening it."""
        for name in ("a", "A/b c.txt", "é/日本", "100%", "~"):
            assert name_of(file_of(name)) == name

    def test_ten_thousand_names_come_soon(self, twin: FolderStorage) -> None:
        """Sorted, by a prefix, and the first of them as well."""
        for number in range(10_000):
            twin.put(f"n/{number:05}", b"x")
        start = time.monotonic()
        assert list(twin.names()) == [f"n/{number:05}" for number in range(10_000)]
        assert next(twin.names("n/09")) == "n/09000"
        twin.clear()
        assert time.monotonic() - start < 6
        assert list(twin.names()) == []


class TestTestsOfAnApplication:
    """The assertions."""

    def test_assert_exists_returns_or_lists(self, twin: FolderStorage) -> None:
        """The error says what is there."""
        twin.put("a/photo.png", b"pixels")
        twin.put("b", b"x")
        twin.assert_exists("a/photo.png")
        with pytest.raises(AssertionError) as caught:
            twin.assert_exists("a/photo.jpg")
        assert str(caught.value) == (
            "expected an object 'a/photo.jpg'. Stored:"
            "\n  1. 'a/photo.png' image/png 6 bytes"
            "\n  2. 'b' application/octet-stream 1 bytes"
        )

    def test_assert_missing_returns_or_lists(self, twin: FolderStorage) -> None:
        """The error says what is there."""
        twin.assert_missing("a")
        twin.put("a", b"x")
        with pytest.raises(AssertionError, match=r"^expected no object 'a'\. Stored:\n  1\. 'a'"):
            twin.assert_missing("a")

    def test_an_empty_storage_is_told(self, twin: FolderStorage) -> None:
        """In words."""
        with pytest.raises(AssertionError, match=r"^expected an object 'a'\. Nothing is stored\.$"):
            twin.assert_exists("a")


def test_there_is_no_client(twin: FolderStorage) -> None:
    """The error says what to do instead."""
    with pytest.raises(Unsupported, match=r"no client; set AMAZON_BUCKET"):
        _ = twin.client


def test_urls_need_an_application() -> None:
    """Nothing else serves them."""
    with pytest.raises(Unsupported, match=r"call quorum\.load\(\) first"):
        FolderStorage(StorageSettings()).url("a")
