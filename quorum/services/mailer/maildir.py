"""A Maildir (https://cr.yp.to/proto/maildir.html): a file for each mail, for other programs too."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import re
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from quorum.errors import Unavailable
from quorum.services.mailer.compose import Envelope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger("quorum.mailer")

# What stands above the header of the mail: who sent it, and who was sent it.
_ENVELOPE = re.compile(
    r"Return-Path: <([^\n]*)>\n((?:Delivered-To: [^\n]*\n)+)X-Quorum-Message-ID: ([^\n]*)\n"
)
# As the page above has it, what is still in `tmp` by then was never delivered.
_ABANDONED = 36 * 3600

_numbers = itertools.count()


class Maildir:
    """The mails in a folder; any number of processes may add and read them at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: set[str] = set()

    def prepare(self) -> None:
        """Make the folders that are missing. Raises Unavailable if mail cannot be written there."""
        with self._errors():
            for name in ("", "tmp", "new", "cur"):
                folder = self._folder / name
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def add(self, envelope: Envelope) -> None:
        """Keep a mail: whole, or not at all. Raises Unavailable if it cannot be written."""
        self.prepare()
        name = _new_name()
        unfinished = self._folder / "tmp" / name
        with self._errors():
            try:
                with unfinished.open("xb") as file:
                    file.write(_written(envelope))
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.rename(self._folder / "new" / name)
            except BaseException:
                with suppress(OSError):
                    unfinished.unlink()
                raise

    def names(self) -> list[str]:
        """Return the names of the mails, the oldest first. Raises Unavailable."""
        return sorted(self._paths(), key=_moment)

    def read(self, names: list[str]) -> Iterator[tuple[str, Envelope]]:
        """Give the mails of these names; one that cannot be read is logged once and left out."""
        paths = self._paths() if names else {}
        for name in names:
            try:
                found = _ENVELOPE.match(text := paths[name].read_bytes().decode())
            except (KeyError, FileNotFoundError):
                # Taken away, or marked as read, by another program.
                continue
            except (OSError, UnicodeDecodeError) as error:
                self._tell(name, type(error).__name__)
                continue
            if found is None:
                self._tell(name, "no mail of this mailer")
                continue
            sender, recipients, message_id = found.groups()
            accepted = tuple(line.partition(": ")[2] for line in recipients.splitlines())
            content = text[found.end() :].encode()
            yield name, Envelope(sender, accepted, content, message_id)

    def clear(self) -> None:
        """Delete every mail, and what was never delivered. Raises Unavailable."""
        with self._errors():
            for path in self._paths().values():
                path.unlink(missing_ok=True)
            for path in (self._folder / "tmp").glob("*"):
                if path.stat().st_mtime < time.time() - _ABANDONED:
                    path.unlink(missing_ok=True)

    def _paths(self) -> dict[str, Path]:
        # First `new`: a program that reads a mail moves it to `cur`, with flags after a colon.
        found: dict[str, Path] = {}
        with self._errors():
            for folder in ("new", "cur"):
                with suppress(FileNotFoundError), os.scandir(self._folder / folder) as listing:
                    files = [each.name for each in listing if each.is_file(follow_symlinks=False)]
                    found |= {
                        name.partition(":")[0]: self._folder / folder / name
                        for name in files
                        if not name.startswith(".")
                    }
        return found

    def _tell(self, name: str, why: str) -> None:
        if name not in self._told:
            self._told.add(name)
            logger.warning("%s in %s is left out of the outbox: %s", name, self._folder, why)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(
                "mailer",
                f"the Maildir {self._folder} cannot be used ({error.strerror}); "
                "make it a folder that can be written, or set another DATA_PATH",
            ) from error


def _new_name() -> str:
    """Return a name that no other mail has, whatever thread, process or machine writes one."""
    seconds, micros = divmod(time.time_ns() // 1000, 10**6)
    host = socket.gethostname().replace("/", r"\057").replace(":", r"\072")
    return f"{seconds}.M{micros:06}P{os.getpid()}Q{next(_numbers)}.{host}"


def _moment(name: str) -> list[int]:
    """Return what orders names: seconds, microseconds, process, number in the process."""
    return [int(digits) for digits in re.findall(r"\d+", name, re.ASCII)[:4]]


def _written(envelope: Envelope) -> bytes:
    lines = [f"Return-Path: <{envelope.sender}>\n"]
    lines += [f"Delivered-To: {each}\n" for each in envelope.recipients]
    lines += [f"X-Quorum-Message-ID: {envelope.message_id}\n"]
    return "".join(lines).encode() + envelope.content.replace(b"\r\n", b"\n")
