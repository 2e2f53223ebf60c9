"""One call for all who want it at the same time, on a thread of its own, waited for in limits."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from quorum.forks import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """A call that may take longer than its callers can wait.

    Those who come while it runs share its result or its failure; whoever comes later begins it
    anew. What it was waiting for may still arrive after all have gone.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        # The thread of a call does not live on in a forked child.
        self._flights = PerProcess(lambda: _Flights(call))

    def result(self, seconds: float) -> T:
        """Return what the call does. Raises what it raises, or TimeoutError after `seconds`."""
        return self._flights.get().join().result(seconds)


class _Flights(Generic[T]):
    """The flight of this process, if one is under way."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._flight: Future[T] | None = None

    def join(self) -> Future[T]:
        with self._lock:
            flight = self._flight
            if flight is None or flight.done():
                flight = self._flight = Future()
                threading.Thread(
                    target=self._run, args=(flight,), name="quorum-flight", daemon=True
                ).start()
            return flight

    def _run(self, flight: Future[T]) -> None:
        try:
            flight.set_result(self._call())
        except BaseException as error:  # noqa: BLE001 - it is the waiting threads'
            flight.set_exception(error)
