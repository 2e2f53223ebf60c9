"""Redis: what the service promises, whichever driver serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

    import redis


class Lock(Protocol):
    """A lock that one holder has at a time, for as long as the `with` block runs; not re-entrant.

    It is renewed from a thread, so `expires_in` bounds only how long others wait when the holder
    dies. It cannot be held for ever by right: a holder that was stopped, or cut off from the
    server, for longer than that loses it. `held` says so at once, `check` raises, and so does the
    end of the block, which is the promise: a block that ends in silence was never overtaken.
    """

    @property
    def held(self) -> bool:
        """Whether this process holds it now, as far as it can know without asking."""
        ...

    def check(self) -> None:
        """Ask the server. Raises Unavailable if the lock was lost, or if it cannot be asked."""
        ...

    def __enter__(self) -> Self:
        """Wait for the lock, and hold it.

        Raises TimedOut if others hold it for too long, and Unavailable, TimedOut or Rejected if
        the server cannot be asked.
        """
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give it back. Raises Unavailable if it was lost meanwhile, unless the block raised."""
        ...


class Redis(Protocol):
    """Hands out redis-py's own client, set up to be bounded, pooled and fork-safe.

    What is called on the client raises redis-py's own errors, unchanged:
    https://redis.readthedocs.io/en/stable/exceptions.html. A command, or a pipeline, takes at most
    REDIS_TIMEOUT seconds in all, the wait for a free connection included (one of more than
    64 KiB: at most that without 64 KiB of progress), and is never sent twice by itself: after a
    ConnectionError or TimeoutError its outcome is unknown, also that of a `transaction`. A command
    that would block for longer than the connection waits (`blpop`, `xread(block=…)`), or for ever,
    is refused with Rejected, and so are `client.client()` and `client.monitor()`.

    Publish/subscribe gives each message at most once, and loses what is published while a
    subscriber is away: it comes back by itself, and the log of `quorum.redis` says so. Streams, and
    `blmove` to a list of work in progress, lose nothing.
    """

    @property
    def client(self) -> redis.Redis:
        """The client of this process. Raises Unavailable if the service is closed."""
        ...

    def lock(self, name: str, expires_in: float = 30.0, *, wait: float | None = None) -> Lock:
        """Return a lock, to be taken by `with`; its key is `<name of the app>:lock:<name>`.

        `expires_in` is in seconds, `wait` how many seconds to wait for other holders: 0 to give up
        at once, REDIS_TIMEOUT unless it is given. Raises Rejected for a name that is empty, and
        for a time that is not above 0 (at least a second for `expires_in`).
        """
        ...

    def ping(self) -> None:
        """Return within a second if the server answers; else raise Unavailable or TimedOut.

        A password that the server refuses raises Rejected.
        """
        ...

    def close(self) -> None:
        """Let go of all connections. A second call is a no-op."""
        ...
