"""One process that stands for the lead, and the thread that asks for it."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from quorum.errors import Unavailable
from quorum.services.tasks.leading.locks import FileLock
from quorum.services.tasks.leading.parents import patience, starts_another

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.tasks.leading.claims import Claim
    from quorum.services.tasks.leading.place import Place

logger = logging.getLogger("quorum.tasks")

_PAUSE = 1.0
# A server that ends its workers, or starts one in the place of another, has none for a while.
_PATIENCE_AFTERWARDS = 6.0
_UNDER = ".under-"


class Candidate:
    """Asks once a second for what makes a leader, and keeps it.

    Its thread alone uses the claim, and ends when nobody has the candidate any more.
    """

    def __init__(self, name: str, place: Place, claim: Claim, changed: Callable[[], None]) -> None:
        self.process = os.getpid()
        self._name = name
        self._place = place
        self._claim = claim
        self._changed = changed
        self._stopping = threading.Event()
        self._waits_until = time.monotonic() + patience()
        self._parent = 0
        self._under: FileLock | None = None
        self._led = self._settled = self._troubled = False
        arguments = (weakref.ref(self), self._stopping)
        self._thread = threading.Thread(
            target=_stand, args=arguments, name="quorum-tasks-leader", daemon=True
        )

    @property
    def leads(self) -> bool:
        return self._claim.held and not self._stopping.is_set()

    @property
    def settled(self) -> bool:
        return self._settled

    def start(self) -> None:
        """Begin to ask. Raises Unavailable if no thread can be started."""
        try:
            self._thread.start()
        except RuntimeError as error:
            raise Unavailable(
                "tasks", f"no schedule can run, since no thread can be started ({error})"
            ) from error

    def stop(self) -> None:
        """Ask no more, and let another lead."""
        self._stopping.set()
        if self._thread is not threading.current_thread():
            # It may be waiting for a server; then the claim ends by itself.
            self._thread.join(_PAUSE)

    @property
    def pause(self) -> float:
        """After how many seconds to ask again."""
        left = self._waits_until - time.monotonic()
        return left if 0 < left < _PAUSE else _PAUSE

    def ask(self) -> None:
        """Take or keep the claim, or leave it to a child; tell of what that changes."""
        settled = False
        try:
            with suppress(OSError):
                self._announce()
            settled = self._stand()
        # Whatever it is, such as an error of a service of the application's own, may pass.
        except Exception as error:  # noqa: BLE001
            self._note_trouble(error)
        else:
            self._troubled = False
        before = self._led, self._settled
        self._led, self._settled = self.leads, settled
        if before != (self._led, settled):
            self._tell(led=before[0])

    def withdraw(self) -> None:
        """Let go of everything."""
        with suppress(Exception):
            self._claim.release()
        if self._under is not None:
            self._under.release()

    def _announce(self) -> None:
        """Let the parent know that a child of it stands."""
        if self._parent != os.getppid():
            if self._under is not None:
                self._under.release()
            self._parent = os.getppid()
            self._under = FileLock(self._place, f"{_UNDER}{self._parent}", shared=True)
        if self._under is not None:
            self._under.take()

    def _stand(self) -> bool:
        """Take or keep the claim, or leave it to a child; tell whether it is known who leads."""
        goes_after = starts_another() or self._child_stands()
        if goes_after:
            self._waits_until = time.monotonic() + _PATIENCE_AFTERWARDS
        elif time.monotonic() >= self._waits_until:
            return self._claim.take()
        self._claim.release()
        return goes_after

    def _child_stands(self) -> bool:
        with suppress(OSError):
            return self._place.is_locked(f"{_UNDER}{self.process}")
        return False

    def _tell(self, *, led: bool) -> None:
        if self._led != led:
            more = "" if self._led else " no more"
            logger.info("this process runs the schedules of %s%s", self._name, more)
        if self._led and not led:
            with suppress(OSError):
                for name in self._place.names(_UNDER):
                    # Those of processes that are gone are removed.
                    self._place.is_locked(name)
        try:
            self._changed()
        except Exception:
            logger.exception("a change of who runs the schedules could not be followed")

    def _note_trouble(self, error: Exception) -> None:
        if not self._troubled:
            self._troubled = True
            logger.warning(
                "the schedules of %s wait until it can be known who runs them: %s",
                self._name,
                error,
            )


def _stand(reference: weakref.ref[Candidate], stopping: threading.Event) -> None:
    """Ask until the candidate is stopped, or collected."""
    goes_on = True
    while (candidate := reference()) is not None:
        if goes_on:
            candidate.ask()
        else:
            candidate.withdraw()
            return
        pause = candidate.pause
        del candidate
        goes_on = not stopping.wait(pause)
