"""What a thread asks of the one that speaks with the broker, and waits for until its deadline."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from quorum.errors import Unavailable

if TYPE_CHECKING:
    from quorum.errors import ServiceError
    from quorum.services.amqp.server.session import Session


class Call:
    """Something to be done on a session, once there is one, within so many seconds.

    All but `wait`, `give_up` and `outcome` are for the link's thread. A call that is `repeatable`
    begins again on the next session when its own breaks; another is sent at most once.
    """

    repeatable = True

    def __init__(self, seconds: float) -> None:
        self.session: Session | None = None
        self.begun_at = 0.0
        self.sent = False
        self.over = False
        self._end = time.monotonic() + seconds
        self._error: ServiceError | None = None
        self._result: Any = None
        self._lock = threading.Lock()
        self._outcome = threading.Lock()
        self._outcome.acquire()

    def begin(self, session: Session) -> None:
        """Do it on this session; it ends in `finish` or `fail`."""
        raise NotImplementedError

    def lost(self, place: str) -> ServiceError:
        """Return the error for a call that was sent when the connection broke."""
        return Unavailable("amqp", f"the connection to {place} was lost")

    def claim(self) -> bool:
        """Tell whether somebody still waits; then it counts as sent."""
        with self._lock:
            self.sent = not self.over
        return self.sent

    def take_back(self) -> None:
        """Count it as not sent, since the broker did not look at it."""
        self.sent = False

    def finish(self, result: Any = None) -> bool:
        """End it with a result; False if nobody waits any more."""
        return self._settle(result, None)

    def fail(self, error: ServiceError) -> bool:
        """End it with an error; False if nobody waits any more."""
        return self._settle(None, error)

    def wait(self) -> bool:
        """Wait for the outcome; False if there was none by the deadline."""
        return self._outcome.acquire(timeout=max(0.0, self._end - time.monotonic()))

    def give_up(self) -> bool:
        """Wait no longer; False if it has an outcome after all."""
        with self._lock:
            over, self.over = self.over, True
        return not over

    def outcome(self) -> Any:
        """Return the result, or raise the error, of one that is over."""
        if self._error is not None:
            raise self._error
        return self._result

    def _settle(self, result: Any, error: ServiceError | None) -> bool:
        if self.session is not None:
            self.session.calls.pop(self, None)
        with self._lock:
            if self.over:
                return False
            self._result, self._error = result, error
            self.over = True
        self._outcome.release()
        return True
