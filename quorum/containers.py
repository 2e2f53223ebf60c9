"""The wiring of an application: one paragraph a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dependency_injector.providers import Dependency, Provider

from quorum.choice import choose, lazy
from quorum.graph.assembly import Assembly
from quorum.providers import ThreadSafeSingleton
from quorum.services.mailer.base import Mailer
from quorum.services.templates import Templates
from quorum.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


class Container(Assembly):
    """The services of one application; subclass it to add your own or to replace one.

    `Container(settings=Settings(...))` works without an application. `load()` puts the
    application's own templates in the place of `render`.
    """

    settings: Provider[Settings] = Dependency(instance_of=Settings)

    render: Provider[Callable[[str, dict[str, Any]], str]] = ThreadSafeSingleton(Templates)

    mailer: Provider[Mailer] = ThreadSafeSingleton(
        choose(
            Mailer,
            memory=lazy("quorum.services.mailer.memory:MemoryMailer"),
            smtp=lazy("quorum.services.mailer.smtp:SmtpMailer"),
        ),
        settings.provided.mailer,
        embedded=settings.provided.embedded,
        render=render,
    )
