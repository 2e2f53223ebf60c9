"""The services of the application: those of Quorum, and ours."""

from dependency_injector.providers import Provider

import quorum
from guestbook.entries import Guestbook


class GuestbookContainer(quorum.Container):
    """Adds the guestbook; `mailer`, `settings` and all the others are there already."""

    guestbook: Provider[Guestbook] = quorum.ThreadSafeSingleton(
        Guestbook, quorum.Container.settings.provided.guestbook
    )
