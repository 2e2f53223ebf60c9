"""Locks on files, which end with the process that has them."""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from quorum.services.tasks.leading.place import OPEN_FILE

if TYPE_CHECKING:
    from quorum.services.tasks.leading.place import Place


class FileLock:
    """A lock on a file of a place, which one holder has, or any number of those that share it.

    It is not safe under threads, but for `held`. A forked child does not inherit it.
    """

    def __init__(self, place: Place, suffix: str, *, shared: bool = False) -> None:
        self._place = place
        self._suffix = suffix
        self._name = place.key + suffix
        self._mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        self._descriptor: int | None = None
        self._close: weakref.finalize[[int], Any] | None = None
        _locks.add(self)

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def take(self) -> None:
        """Take the lock, or keep it, if nobody else has it.

        Where its file was removed, as old temporary files are, it is taken on the one that others
        find. Raises OSError where the folder cannot be used.
        """
        with self._place.opened() as folder:
            if self._descriptor is not None and self._is_of(self._descriptor, folder):
                return
            self.release()
            while True:
                with _forking:
                    descriptor = os.open(self._name, OPEN_FILE | os.O_CREAT, 0o600, dir_fd=folder)
                    if not self._has_locked(descriptor):
                        return
                    if self._is_of(descriptor, folder):
                        self._keep(descriptor)
                        return
                    os.close(descriptor)

    def release(self) -> None:
        """Let another have it; a file that nobody has is removed. A second call is a no-op."""
        if self._descriptor is None:
            return
        # Not by closing alone: a child that was forked just now may still have it open.
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.leave()
        with suppress(OSError):
            self._place.is_locked(self._suffix)

    def leave(self) -> None:
        """Let go of what is the parent's, in a child that was just forked."""
        close, self._descriptor, self._close = self._close, None, None
        if close is not None:
            # Closing is not unlocking: the parent has it open too.
            close()

    def _has_locked(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, self._mode)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        return True

    def _is_of(self, descriptor: int, folder: int) -> bool:
        with suppress(FileNotFoundError):
            there = os.stat(self._name, dir_fd=folder, follow_symlinks=False)
            return os.path.samestat(os.fstat(descriptor), there)
        return False

    def _keep(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)
        # The system closes it, after all that the process does at its end.
        self._close.atexit = False


# Held while a file is opened and noted, so that no child gets one that it does not know of.
_forking = threading.RLock()
_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _leave_all() -> None:
    _forking.release()
    for lock in list(_locks):
        lock.leave()


os.register_at_fork(
    before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_leave_all
)
