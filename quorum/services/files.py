"""Files that a twin keeps: written whole or not at all, and by one process at a time."""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
import signal
import sys
import threading
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from quorum.errors import Unavailable
from quorum.forks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import MethodType

T = TypeVar("T")

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_LOCK = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@contextmanager
def replacing(path: Path, *, mode: int = 0o600, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file to be written in the place of another, which stays as it was until the end.

    `durable`: it is on the disk at the end, which takes its time. If the block raises, nothing is
    left of it. Raises OSError.
    """
    temporary = path.parent / f".quorum-{path.name[:200]}-{secrets.token_hex(8)}"
    descriptor = os.open(temporary, _NEW_FILE, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Without it a power cut could undo the renaming; not every file system can.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class KeptFile:
    """A file that holds all that a twin knows, and that one process keeps from load to release.

    The lock is a `<name>.lock` beside it. A forked child does not inherit it: it may `load` by
    itself once the parent has released it. `variable` names the setting that gives the service a
    server, which is what more than one process needs.
    """

    def __init__(self, noun: str, path: Path, *, variable: str) -> None:
        self.path = path
        self._noun = noun
        self._variable = variable
        self._lock = ForkSafeLock()
        self._held: weakref.finalize[[int], Any] | None = None
        self._at_exit: _AtExit | None = None
        _kept.add(self)

    @property
    def kept(self) -> bool:
        """Whether this process keeps the file."""
        return self._held is not None

    def load(self, parse: Callable[[bytes], T]) -> T | None:
        """Keep the file from now on, and return what `parse` makes of it; None if there is none.

        Raises Unavailable if another process keeps it, if it cannot be read, or if `parse` raises:
        then it is not kept, so that nothing overwrites it.
        """
        with self._lock:
            self._keep()
            self._sweep()
            try:
                return parse(self.path.read_bytes())
            except FileNotFoundError:
                return None
            except Exception as error:
                self.release()
                raise Unavailable(
                    self._noun,
                    f"{self.path} cannot be read ({type(error).__name__}: {error}); mend it, or "
                    "move it away to start with nothing",
                ) from error

    def save(self, dump: Callable[[], bytes]) -> None:
        """Put what `dump` returns in the place of the file; a no-op unless this process keeps it.

        Raises Unavailable if it cannot be written; the file is then as it was.
        """
        with self._lock:
            if not self.kept:
                return
            data = dump()
            try:
                with replacing(self.path) as file:
                    file.write(data)
            except OSError as error:
                raise Unavailable(
                    self._noun, f"{self.path} could not be saved ({error}); it is as it was"
                ) from error

    def save_at_exit(self, save: Callable[[], None]) -> None:
        """Call a bound method as the interpreter exits, if its object is there and this is kept."""
        self._forget_exit()
        self._at_exit = _AtExit(self, save)
        atexit.register(self._at_exit)

    def release(self) -> None:
        """Let go of the file; others may keep it then. A second call is a no-op."""
        with self._lock:
            self._forget_exit()
            held, self._held = self._held, None
            if held is not None:
                held()

    def leave(self) -> None:
        """Let go of what is the parent's, in a child that was just forked."""
        self._forget_exit()
        held, self._held = self._held, None
        found = held.detach() if held is not None else None
        if found is not None:
            # Closing is not unlocking: the lock stays with the parent, and ends with it.
            os.close(*found[2])

    def _forget_exit(self) -> None:
        if self._at_exit is not None:
            atexit.unregister(self._at_exit)
            self._at_exit = None

    def _sweep(self) -> None:
        # Those of a process that was killed as it saved; the lock says that nobody else writes.
        for left in self.path.parent.glob(f".quorum-{self.path.name}-*"):
            with suppress(OSError):
                left.unlink()

    def _keep(self) -> None:
        if self.kept:
            return
        lock = self.path.with_name(f"{self.path.name}.lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(lock, _OPEN_LOCK, 0o600)
        except OSError as error:
            raise Unavailable(self._noun, f"{lock} cannot be opened ({error})") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except OSError as error:
            keeper = os.pread(descriptor, 20, 0).decode("ascii", "replace")
            os.close(descriptor)
            raise self._is_kept_by(keeper, error) from error
        self._held = weakref.finalize(self, _unlock, descriptor)
        # The last save comes at exit, perhaps after this would; the system unlocks it anyway.
        self._held.atexit = False

    def _is_kept_by(self, keeper: str, error: OSError) -> Unavailable:
        if not isinstance(error, BlockingIOError):
            return Unavailable(self._noun, f"{self.path} cannot be locked ({error})")
        own = keeper == str(os.getpid())
        who = "another application of this process" if own else f"process {keeper or 'unknown'}"
        return Unavailable(
            self._noun,
            f"{self.path} is kept by {who}, and only one can; set {self._variable} to share a "
            "server, or DATA_PATH to another folder",
        )


def exit_on_sigterm() -> None:
    """Let SIGTERM end the process as a program ends, so that what is kept is saved.

    A no-op where somebody has a say on SIGTERM, as `quorum run`, Gunicorn and Werkzeug's reloader
    do, and on another thread than the main one.
    """
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


class _AtExit:
    """Calls a bound method at exit, unless its object is gone."""

    def __init__(self, file: KeptFile, save: Callable[[], None]) -> None:
        self._file = weakref.ref(file)
        self._save: weakref.WeakMethod[MethodType] = weakref.WeakMethod(save)  # type: ignore[arg-type]  # typeshed knows no bound method by its signature

    def __call__(self) -> None:
        file, save = self._file(), self._save()
        if file is not None and file.kept and save is not None:
            save()


def _unlock(descriptor: int) -> None:
    # Not by closing alone: a child that was forked a moment ago may still have it open.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


_kept: weakref.WeakSet[KeptFile] = weakref.WeakSet()


def _leave_all() -> None:
    for file in list(_kept):
        file.leave()


os.register_at_fork(after_in_child=_leave_all)
