"""The services of the application: those of Quorum, and ours."""

from dependency_injector.providers import Provider

import quorum
from guestbook.entries import Guestbook
from guestbook.pictures import Pictures
from guestbook.visits import Visits


class GuestbookContainer(quorum.Container):
    """Adds three services; `mailer`, `mongo`, `redis`, `storage` and others are there already."""

    pictures: Provider[Pictures] = quorum.ThreadSafeSingleton(
        Pictures,
        quorum.Container.settings.provided.guestbook,
        storage=quorum.Container.storage,
    )

    guestbook: Provider[Guestbook] = quorum.ThreadSafeSingleton(
        Guestbook,
        quorum.Container.settings.provided.guestbook,
        mongo=quorum.Container.mongo,
        pictures=pictures,
    )

    visits: Provider[Visits] = quorum.ThreadSafeSingleton(
        Visits,
        quorum.Container.redis,
        name=quorum.Container.settings.provided.name,
    )
