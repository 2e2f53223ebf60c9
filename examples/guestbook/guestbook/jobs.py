"""What the guestbook does in the background by itself."""

from guestbook.containers import GuestbookContainer
from guestbook.entries import Guestbook
from quorum import Provide, Tasks, inject

NIGHTLY = "0 3 * * *"
"""As in crontab(5), in UTC."""


@inject
def prune(guestbook: Guestbook = Provide[GuestbookContainer.guestbook]) -> None:
    """Let the oldest entries go where the book is over-full; what fails is tried the next night."""
    guestbook.trim()


@inject
def schedule(tasks: Tasks = Provide[GuestbookContainer.tasks]) -> None:
    """Have it done, by one process of all that serve the guestbook."""
    tasks.cron(NIGHTLY, prune)
