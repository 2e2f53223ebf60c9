"""The services of the application: those of Quorum, and ours."""

from dependency_injector.providers import Provider

import quorum
from guestbook.days import Days
from guestbook.entries import Guestbook
from guestbook.events import EmbeddedConsumer, Events
from guestbook.live import Live
from guestbook.pictures import Pictures
from guestbook.visits import Visits


class GuestbookContainer(quorum.Container):
    """Adds seven services; `amqp`, `mailer`, `mongo` and others are there already."""

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

    days: Provider[Days] = quorum.ThreadSafeSingleton(Days, quorum.Container.mongo)

    events: Provider[Events] = quorum.ThreadSafeSingleton(
        Events,
        broker=quorum.Container.amqp,
        pusher=quorum.Container.pusher,
        pictures=pictures,
    )

    embedded_consumer: Provider[EmbeddedConsumer] = quorum.ThreadSafeSingleton(
        EmbeddedConsumer,
        broker=quorum.Container.amqp,
        # By its name: it asks for a service of this container itself.
        handler=quorum.lazy("guestbook.summary:write"),
    )

    live: Provider[Live] = quorum.ThreadSafeSingleton(
        Live,
        quorum.Container.settings.provided.guestbook,
        guestbook=guestbook,
        events=events,
        pusher=quorum.Container.pusher,
    )
