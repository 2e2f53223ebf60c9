"""Where the processes of one application meet: files in a folder of the user's own."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_NAME = 40


class Place:
    """Files of one key in a folder.

    The key is the application's name and the folder that it runs in: applications of one name, such
    as `app`, may be many on a machine. The folder is the user's alone, and made when it is needed:
    in the folder of temporary files, unless one is given.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._folder = folder
        self.key = f"{re.sub('[^A-Za-z0-9_-]', '_', name)[:_LONGEST_NAME]}-{_digest(name)}"

    @property
    def folder(self) -> Path:
        """The folder. Raises OSError where the system has none for temporary files."""
        return self._folder or Path(tempfile.gettempdir()) / f"quorum-{os.geteuid()}"

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Open the folder, made if there is none; nobody else can look into it.

        Raises OSError where it cannot be made, or is a link or somebody else's.
        """
        with suppress(FileExistsError):
            self.folder.mkdir(0o700, parents=self._folder is not None)
        descriptor = os.open(self.folder, _FOLDER)
        try:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "it belongs to another user")
            if stat.S_IMODE(status.st_mode) & 0o077:
                os.fchmod(descriptor, 0o700)
            yield descriptor
        finally:
            os.close(descriptor)

    def is_locked(self, suffix: str) -> bool:
        """Tell whether a living process has the lock of a file; one that nobody has is removed.

        Raises OSError where the folder cannot be used.
        """
        name = self.key + suffix
        with self.opened() as folder:
            try:
                descriptor = os.open(name, OPEN_FILE, dir_fd=folder)
            except FileNotFoundError:
                return False
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
            except BlockingIOError:
                return True
            finally:
                os.close(descriptor)
            return False

    def names(self, prefix: str) -> list[str]:
        """Return the suffixes of the key's files that begin so. Raises OSError as `opened`."""
        with self.opened():
            found = self.folder.glob(f"{self.key}{prefix}*")
            return [path.name.removeprefix(self.key) for path in found]


def _digest(name: str) -> str:
    try:
        folder = os.getcwd()  # noqa: PTH109 - as a text, for a digest
    except OSError:
        # It was removed; those that share the name share the lead.
        folder = ""
    return hashlib.sha256(f"{name}\0{folder}".encode()).hexdigest()[:16]
