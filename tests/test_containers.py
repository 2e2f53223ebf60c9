"""The container as it is delivered, and as an application extends it."""

from __future__ import annotations

import logging

import pytest
from dependency_injector import providers

import quorum
from quorum import Container, Mailer, Settings, ThreadSafeSingleton
from quorum.services.mailer.memory import MemoryMailer


class Logging:
    """A mailer around another."""

    def __init__(self, inner: Mailer):
        self.inner = inner
        self.subjects: list[str] = []

    def send(self, message=None, **parts):
        self.subjects.append(parts["subject"])
        return self.inner.send(message, **parts)

    def send_later(self, message=None, **parts):
        return self.inner.send_later(message, **parts)

    def ping(self):
        self.inner.ping()

    def close(self):
        """Leave the inner one to the ledger."""


class Newsletter:
    """A service of the application."""

    def __init__(self, mailer: Mailer, sender: str):
        self.mailer = mailer
        self.sender = sender


class AppContainer(Container):
    newsletter = ThreadSafeSingleton(
        Newsletter, mailer=Container.mailer, sender=Container.settings.provided.name
    )


class Logged(AppContainer):
    mailer = ThreadSafeSingleton(Logging, inner=Container.mailer)


def test_a_service_of_ones_own_stands_beside_ours():
    """It is given ours, and the settings."""
    container = AppContainer(settings=Settings(name="letters"))
    assert container.newsletter().mailer is container.mailer()
    assert container.newsletter().sender == "letters"


def test_a_mailer_that_wraps_ours_is_what_every_service_gets():
    """And the mail goes out through the inner one."""
    container = Logged(settings=Settings())
    mailer = container.newsletter().mailer
    assert isinstance(mailer, Logging)
    mailer.send(subject="Hi", to="ana@example.org", sender="me@example.org", text="Hi")
    assert mailer.subjects == ["Hi"]
    assert isinstance(mailer.inner, MemoryMailer)
    assert len(mailer.inner.outbox) == 1


def test_a_container_passes_its_own_check():
    """With a service that was replaced, too."""
    for kind in (Container, AppContainer, Logged):
        app = quorum.load(app=quorum.Quorum(kind.__name__), container=kind)
        app.get("/")(lambda: "ok")
        app.testing = True
        assert app.test_client().get("/").text == "ok"


def test_the_templates_of_the_application_take_the_place_of_render():
    """`render` may be given, as `load` does."""
    container = Container(
        settings=Settings(), render=providers.Object(lambda template, context: f"<{template}>")
    )
    container.mailer().send(to="ana@example.org", sender="me@example.org", plain="hello.txt")
    assert container.mailer().outbox[0].get_content().strip() == "<hello.txt>"


def test_two_containers_share_no_service():
    """Ten of them are ten."""
    containers = [Container(settings=Settings()) for _ in range(10)]
    assert len({id(container.mailer()) for container in containers}) == 10


def test_a_container_names_its_services_in_the_order_of_its_paragraphs():
    """The listing is the one of the file, then that of the subclass."""
    names = list(AppContainer(settings=Settings()).providers)
    assert names[:2] == ["settings", "render"]
    assert names[-1] == "newsletter"


def test_closing_an_application_closes_its_services_and_no_others(caplog):
    """`unload` closes what was built, in the reverse order, and says nothing of it."""
    with caplog.at_level(logging.WARNING):
        app = quorum.load(name="closing", container=Logged)
        other = Container(settings=Settings())
        app.container.newsletter()
        other.mailer()
        quorum.unload()
        assert app.extensions.get("quorum") is None
        assert [name for name, _ in other.ledger.entries] == ["render", "mailer"]
    assert caplog.records == []


def test_an_object_that_is_no_settings_is_refused():
    """Where the container is built, not where a service is."""
    with pytest.raises(
        quorum.ConfigurationError, match=r"Container\(settings=…\) takes Settings, not str"
    ):
        Container(settings="nonsense")
