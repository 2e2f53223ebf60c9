"""The folders of the embedded storage, opened so that no symbolic link in them is followed."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe that was planted is opened at once, and then refused.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES = 10


class Places:
    """A folder and those inside it, made when they are first used and whenever they are gone.

    They are opened at each use: nothing is held that a fork or a deleted folder could spoil.
    """

    def __init__(self, data_path: Path | None) -> None:
        self._data_path = data_path.absolute() if data_path is not None else None
        # Chosen before the first use, so that children forked in between share the folder.
        self._token = secrets.token_hex(16)
        self._removed = False

    @property
    def kept(self) -> bool:
        """Whether the folder outlives this process."""
        return self._data_path is not None

    @property
    def root(self) -> Path:
        """The folder in which all others are."""
        if self._data_path is not None:
            return self._data_path / "storage"
        return Path(tempfile.gettempdir()) / f"quorum-storage-{self._token}"

    @contextmanager
    def opened(self, inside: str | None = None) -> Iterator[int]:
        """Give a descriptor of the folder, or of one inside it."""
        with self.errors():
            descriptor = self._open_root()
        try:
            if inside is not None:
                with self.errors():
                    outer, descriptor = descriptor, self._open_inside(inside, descriptor)
                    os.close(outer)
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_root(self) -> int:
        try:
            descriptor = os.open(self.root, _FOLDER)
        except FileNotFoundError:
            if self._removed:
                raise
            self.root.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.root.mkdir(0o700)
            descriptor = os.open(self.root, _FOLDER)
        if not self.kept and os.fstat(descriptor).st_uid != os.geteuid():
            os.close(descriptor)
            raise PermissionError(errno.EACCES, "the temporary folder is another user's")
        return descriptor

    @staticmethod
    def _open_inside(name: str, outer: int) -> int:
        try:
            return os.open(name, _FOLDER, dir_fd=outer)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=outer)
            return os.open(name, _FOLDER, dir_fd=outer)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Make what the system raises in the block an error of ours."""
        try:
            yield
        except OSError as error:
            raise Unavailable("storage", self._sentence(error)) from error

    def _sentence(self, error: OSError) -> str:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return f"there is no room left for {self.root}; make some"
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            return f"this process may not use {self.root}; let it, or set another DATA_PATH"
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EISDIR}:
            return (
                f"in {self.root} a symbolic link, a file or a folder stands where another thing "
                "belongs, and is not followed; remove it"
            )
        return f"{self.root} cannot be used: {error.strerror or type(error).__name__}; mend that"

    def remove(self) -> None:
        """Delete the folder with all that is in it, as well as it goes; it is not made again."""
        self._removed = True
        for _ in range(_TRIES):
            shutil.rmtree(self.root, ignore_errors=True)
            # A thread that was writing may have added a file to what was just emptied.
            if not self.root.exists():
                break


def open_file(name: str, folder: int) -> int:
    """Open a regular file to read. Raises OSError for anything else."""
    descriptor = os.open(name, _FILE, dir_fd=folder)
    if not _regular(descriptor):
        os.close(descriptor)
        raise OSError(errno.EISDIR, "it is no regular file")
    return descriptor


def _regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def new_file(name: str, folder: int) -> int:
    """Open a file to write that is not there yet, and that no other user may read."""
    return os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
