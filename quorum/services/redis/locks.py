"""A lock that is renewed while it is held, and never lost without a word."""

from __future__ import annotations

import math
import os
import random
import secrets
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, Self

import redis

from quorum.errors import Rejected, ServiceError, TimedOut, Unavailable
from quorum.services.redis.failures import explain, explained

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# Each is done by the server in one piece, and asks whose the lock is by its token. A second
# `_TAKE` of the same holder does no harm, so that one whose answer was lost may be repeated.
_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
if holder then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.005, 0.05
# Of the time until it expires, after which it is renewed.
_RENEWAL_PART = 1 / 3


class Ask(Protocol):
    """Runs a command within so many seconds; raises redis-py's errors."""

    def __call__(self, seconds: float, *args: Any) -> Any: ...


class _Hold:
    """One time that the lock was taken: its token, and until when it is surely held."""

    def __init__(self, token: str, until: float) -> None:
        self.token = token
        self.until = until
        self.lost = False
        self.ended = threading.Event()


class RenewedLock:
    """A lock under one key; an object of it is held once at a time in its process."""

    def __init__(
        self, key: str, expires_in: float, wait: float, *, ask: Ask, renew: Ask, place: str
    ) -> None:
        self._key = key
        self._expires_in = expires_in
        self._wait = wait
        self._ask = ask
        self._ask_to_renew = renew
        self._place = place
        self._hold: _Hold | None = None
        self._renew_for_process()

    @property
    def held(self) -> bool:
        hold = self._own_hold()
        return hold is not None and not hold.lost and time.monotonic() < hold.until

    def check(self) -> None:
        hold = self._own_hold()
        if hold is None:
            raise Unavailable("redis", f"{self._name} is not held by this process")
        with explained(self._place):
            self._renew(hold, self._ask, math.inf)
        if hold.lost:
            raise self._lost()

    def __enter__(self) -> Self:
        end = time.monotonic() + self._wait
        self._renew_for_process()
        # One `with` of this object at a time, or two would mix their tokens up.
        if not self._entered.acquire(timeout=min(self._wait, threading.TIMEOUT_MAX)):
            raise self._taken()
        try:
            hold = self._take(end)
        except BaseException:
            self._entered.release()
            raise
        self._hold = hold
        arguments = (weakref.ref(self), hold, self._expires_in * _RENEWAL_PART)
        try:
            threading.Thread(
                target=_keep_renewing, args=arguments, name="quorum-redis-lock", daemon=True
            ).start()
        except RuntimeError:
            # The process may have as many threads as it may have.
            self._release(hold)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        hold = self._own_hold()
        try:
            if hold is None:
                raise Unavailable(
                    "redis", f"{self._name} is held by the process that took it, and not by this"
                )
            self._release(hold)
        except ServiceError:
            # The error of the block says more than that of its end.
            if error is None:
                raise

    @property
    def _name(self) -> str:
        return f"the lock {self._key!r}"

    def _renew_for_process(self) -> None:
        if getattr(self, "_process", None) != os.getpid():
            self._process = os.getpid()
            self._entered = threading.Lock()
            self._hold = None

    def _own_hold(self) -> _Hold | None:
        return self._hold if self._process == os.getpid() else None

    def _take(self, end: float) -> _Hold:
        token = secrets.token_hex(16)
        pause = _SHORTEST_PAUSE
        while True:
            start = time.monotonic()
            failure: redis.RedisError | None = None
            try:
                taken = self._eval(
                    self._ask, max(end - start, 1.0), _TAKE, token, self._milliseconds
                )
            except (redis.AuthenticationError, redis.TimeoutError, redis.ResponseError) as error:
                raise self._not_taken(error) from error
            except redis.ConnectionError as error:
                # It may have been taken: with the same token it may be asked for again.
                taken, failure = 0, error
            if taken:
                return _Hold(token, start + self._expires_in)
            left = end - time.monotonic()
            if left <= 0:
                raise self._taken() if failure is None else self._not_taken(failure) from failure
            time.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - no secret
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _release(self, hold: _Hold) -> None:
        self._hold = None
        hold.ended.set()
        try:
            if hold.lost or not self._eval(self._ask, math.inf, _RELEASE, hold.token):
                raise self._lost()
        except redis.RedisError as error:
            raise Unavailable(
                "redis",
                f"{self._name} could not be given back, so whether it was held to the end is "
                f"unknown; it ends by itself within {self._expires_in:g} s ({error})",
            ) from error
        finally:
            self._entered.release()

    def renew(self, hold: _Hold, seconds: float) -> None:
        """Renew it from the thread that does so, within so many seconds."""
        self._renew(hold, self._ask_to_renew, seconds)

    def _renew(self, hold: _Hold, ask: Ask, seconds: float) -> None:
        start = time.monotonic()
        if self._eval(ask, seconds, _RENEW, hold.token, self._milliseconds):
            hold.until = start + self._expires_in
        else:
            hold.lost = True

    def _eval(self, ask: Ask, seconds: float, script: str, *args: Any) -> int:
        return int(ask(seconds, "EVAL", script, 1, self._key, *args))

    @property
    def _milliseconds(self) -> int:
        return round(self._expires_in * 1000)

    def _taken(self) -> TimedOut:
        return TimedOut("redis", f"{self._name} was held by others for all of {self._wait:g} s")

    def _not_taken(self, error: redis.RedisError) -> ServiceError:
        explained = explain(error, self._place)
        return type(explained)(
            "redis",
            f"{self._name} was not taken: {explained.args[1]}; should the server have taken it all "
            f"the same, it ends by itself within {self._expires_in:g} s",
        )

    def _lost(self) -> Unavailable:
        return Unavailable(
            "redis",
            f"{self._name} was lost before the end of its block, which others may have entered: "
            f"its holder or {self._place} stood still for more than {self._expires_in:g} s, or the "
            "server lost its data",
        )


def _keep_renewing(lock: Callable[[], RenewedLock | None], hold: _Hold, pause: float) -> None:
    """Renew until the block ends, the lock is lost, or nobody has it any more."""
    while not hold.ended.wait(pause):
        held = lock()
        if held is None or hold.lost:
            return
        # It is asked again until it is known; `held` says meanwhile what is sure.
        with suppress(redis.RedisError, ServiceError):
            held.renew(hold, pause)
        del held


def check_lock(name: str, expires_in: float, wait: float) -> None:
    """Raise Rejected for what cannot be a lock."""
    if not name or not isinstance(name, str):
        raise Rejected("redis", "a lock needs a name that is not empty")
    for seconds in (expires_in, wait):
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
            raise Rejected("redis", f"a time is a number of seconds, not {seconds!r:.40}")
    if not 1 <= expires_in < math.inf:
        raise Rejected("redis", f"a lock must expire after a second or more, not {expires_in} s")
    if not wait >= 0:
        raise Rejected("redis", f"a lock can be waited for 0 s or more, not {wait} s")
