"""What happens once, before the first view of an application runs."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import has_request_context, request, request_started

from quorum.check import check
from quorum.forks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

logger = logging.getLogger("quorum")


class StartUp:
    """The check of an application, and then its `onrun` functions."""

    def __init__(self, app: Flask) -> None:
        self._done = False
        self._called = 0
        self._within: int | None = None
        self._failed: Exception | None = None
        self._aside: threading.Thread | None = None
        self._lock = ForkSafeLock()
        request_started.connect(self.run, app)

    def run(self, app: Flask, **_: Any) -> None:
        """Check the application, then call its `onrun` functions; later calls do nothing.

        Raises ConfigurationError, at every request until what is wrong is mended.
        """
        if not self._done and not _asks_after_health():
            failed = self._failed
            with self._lock:
                if self._failed is not failed and self._failed is not None:
                    # Who waited while another thread tried shares its answer, not its wait.
                    raise self._failed
                self._run_once(app)

    def ready(self, app: Flask, within: float) -> bool:
        """Begin it beside, if nobody has, and tell whether it is done within so many seconds.

        What it raises is logged.
        """
        if not self._done:
            # Another probe may replace it at any time.
            aside = self._aside
            if aside is None or not aside.is_alive():
                aside = threading.Thread(
                    target=self._try, args=(app,), name="quorum-start-up", daemon=True
                )
                aside.start()
                self._aside = aside
            aside.join(within)
        return self._done

    def _try(self, app: Flask) -> None:
        try:
            self.run(app)
        except Exception:
            logger.exception("%s is not ready", app.name)

    def _run_once(self, app: Flask) -> None:
        # An `onrun` function may itself make a request; a forked child may not have this thread.
        if self._done or self._within == threading.get_ident():
            return
        self._within = threading.get_ident()
        try:
            check(app)
            with app.app_context():
                while self._called < len(on_run):
                    on_run[self._called]()
                    self._called += 1
        except Exception as error:
            self._failed = error
            raise
        finally:
            self._within = None
        self._done, self._failed = True, None
        # Without the sender: with it, the signal goes on looking the receiver up.
        request_started.disconnect(self.run)

    @contextmanager
    def again(self, app: Flask) -> Iterator[None]:
        """Have the first request within do it anew; afterwards all is as it was."""
        kept = self._done, self._called
        self._done, self._called = False, 0
        request_started.connect(self.run, app)
        try:
            yield
        finally:
            self._done, self._called = kept
            if self._done:
                request_started.disconnect(self.run, app)
            else:
                request_started.connect(self.run, app)

    def forget(self, app: Flask) -> None:
        """Let the application go on without the check."""
        request_started.disconnect(self.run, app)


def _asks_after_health() -> bool:
    # The answer is owed while an `onrun` function takes its time.
    return has_request_context() and request.endpoint == "quorum.health"


on_run: list[Callable[[], Any]] = []
