"""The documented functions of flask-quorum."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest
from aiosmtpd.controller import Controller
from flask import Flask

import quorum
from quorum import NotLoaded, Rejected, Settings
from quorum.testing import fakes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path


class Inbox:
    """Keeps the envelopes that a server received."""

    def __init__(self) -> None:
        self.envelopes: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


class AnyPort(Controller):
    """A server on a free port of the loopback."""

    def __init__(self, handler: Inbox, **options: object) -> None:
        super().__init__(handler, hostname="127.0.0.1", port=0, **options)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def smtp() -> Iterator[AnyPort]:
    """A plain SMTP server, without TLS."""
    controller = AnyPort(Inbox())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """The loaded application, with a template for each part of a mail."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hi.txt.tpl").write_text("Hi {{ name }}")
    (tmp_path / "templates" / "hi.html.tpl").write_text("<p>Hi {{ name }}</p>")
    return quorum.load(app=Flask("shop", root_path=str(tmp_path)))


def parts(message: EmailMessage) -> list[tuple[str, str]]:
    return [(each.get_content_type(), each.get_content().strip()) for each in message.iter_parts()]


def test_send_mail_uses_the_mailer_of_the_application(app: Flask):
    """`send_mail` sends by the mailer of the loaded application."""
    with fakes(app) as twins:
        quorum.send_mail(subject="Hi", receivers=["ana@example.org"], data="Hello")
        twins.mailer.assert_sent(to="ana@example.org", subject="Hi", times=1)


def test_send_mail_takes_an_application():
    """`send_mail(app)` sends by the mailer of that application."""
    apps = [quorum.init_app(Flask(name)) for name in ("left", "right")]
    with fakes(apps[0]) as left, fakes(apps[1]) as right:
        quorum.send_mail(apps[0], receivers=["ana@example.org"], data="Hello")
        left.mailer.assert_sent(times=1)
        right.mailer.assert_nothing_sent()


def test_data_is_the_body_of_both_parts(app: Flask):
    """`data` without templates is the text part and the HTML part."""
    with fakes(app) as twins:
        quorum.send_mail(receivers=["ana@example.org"], data="Hello")
        (message,) = twins.mailer.outbox
    assert parts(message) == [("text/plain", "Hello"), ("text/html", "Hello")]


def test_templates_are_the_bodies(app: Flask):
    """`plain` and `rich` are rendered with `context`; markup in the latter is escaped."""
    with fakes(app) as twins:
        quorum.send_mail(
            receivers=["ana@example.org"],
            plain="hi.txt.tpl",
            rich="hi.html.tpl",
            context={"name": "<Ana>"},
        )
        (message,) = twins.mailer.outbox
    assert parts(message) == [
        ("text/plain", "Hi <Ana>"),
        ("text/html", "<p>Hi &lt;Ana&gt;</p>"),
    ]


def test_encoding_is_that_of_the_bodies(app: Flask):
    """`encoding` is the charset of the bodies."""
    with fakes(app) as twins:
        quorum.send_mail(receivers=["ana@example.org"], data="Olá", encoding="iso-8859-1")
        (message,) = twins.mailer.outbox
    text = next(message.iter_parts())
    assert (text.get_content_charset(), text.get_content().strip()) == ("iso-8859-1", "Olá")


def test_host_is_the_server_for_this_mail(app: Flask, smtp: AnyPort):
    """With `host` and `port` the mail goes by that server."""
    quorum.send_mail(
        sender="shop@example.org",
        receivers=["ana@example.org"],
        data="Hello",
        host="127.0.0.1",
        port=smtp.port,
    )
    ((sender, recipients, _),) = smtp.handler.envelopes
    assert (sender, recipients) == ("shop@example.org", ["ana@example.org"])


def test_host_may_hold_the_port(app: Flask, smtp: AnyPort):
    """`host` may be `host:port`, as SMTP_HOST may."""
    quorum.send_mail(receivers=["ana@example.org"], data="Hello", host=f"127.0.0.1:{smtp.port}")
    assert len(smtp.handler.envelopes) == 1


def test_a_password_is_refused_without_starttls(app: Flask, smtp: AnyPort):
    """With a password, and no STARTTLS offered, nothing is sent."""
    with pytest.raises(Rejected, match="STARTTLS"):
        quorum.send_mail(
            receivers=["ana@example.org"],
            data="Hello",
            host=f"127.0.0.1:{smtp.port}",
            username="ana",
            password="marker-password",
        )
    assert smtp.handler.envelopes == []


def test_stls_requires_starttls(app: Flask, smtp: AnyPort):
    """With `stls` a server without STARTTLS is refused, password or not."""
    with pytest.raises(Rejected, match="STARTTLS"):
        quorum.send_mail(
            receivers=["ana@example.org"], data="Hello", host=f"127.0.0.1:{smtp.port}", stls=True
        )
    assert smtp.handler.envelopes == []


def test_another_host_does_not_get_our_password(smtp: AnyPort):
    """The password of the settings is not for a host that only this mail names."""
    settings = Settings(mailer={"host": "mail.invalid", "user": "ana", "password": "marker"})
    quorum.load(app=Flask("shop"), settings=settings)
    quorum.send_mail(
        sender="shop@example.org",
        receivers=["ana@example.org"],
        data="Hello",
        host=f"127.0.0.1:{smtp.port}",
    )
    assert len(smtp.handler.envelopes) == 1


def test_a_fake_serves_for_every_server(app: Flask, smtp: AnyPort):
    """In a test with fakes no mail goes out, whatever server it names."""
    with fakes(app) as twins:
        quorum.send_mail(receivers=["a@example.org"], data="x", host=f"127.0.0.1:{smtp.port}")
        twins.mailer.assert_sent(times=1)
    assert smtp.handler.envelopes == []


def test_send_mail_without_an_application_says_what_to_do():
    """Without a loaded application `send_mail` raises NotLoaded."""
    with pytest.raises(NotLoaded, match=r"quorum\.load"):
        quorum.send_mail(receivers=["ana@example.org"])
    with pytest.raises(NotLoaded, match="'plain' is not loaded"):
        quorum.send_mail(Flask("plain"), receivers=["ana@example.org"])


@pytest.mark.parametrize("wrong", [{"host": "ana:marker@mail.example"}, {"port": "marker"}])
def test_a_server_that_cannot_be_one_is_refused(app: Flask, wrong: dict[str, str]):
    """A malformed `host` or `port` is refused, and not repeated in the error."""
    with pytest.raises(Rejected, match="cannot be used") as caught:
        quorum.send_mail(receivers=["ana@example.org"], data="Hello", **wrong)
    assert (
        "marker" not in "".join(traceback.format_exception(caught.value)).partition("Rejected")[2]
    )
    assert caught.value.__context__ is None


def test_starttls_of_the_settings_holds_for_the_server_of_a_mail(smtp: AnyPort):
    """With SMTP_STARTTLS=true a server that only this mail names must offer it, too."""
    settings = Settings(mailer={"host": "127.0.0.1", "starttls": True})
    quorum.load(app=Flask("shop"), settings=settings)
    with pytest.raises(Rejected, match="STARTTLS"):
        quorum.send_mail(receivers=["ana@example.org"], data="Hello", port=smtp.port)
    assert smtp.handler.envelopes == []


def test_our_password_is_not_sent_for_another_user(smtp: AnyPort):
    """With `username` alone, the password of the settings' own user is not used."""
    settings = Settings(
        mailer={"host": f"127.0.0.1:{smtp.port}", "user": "ana", "password": "marker"}
    )
    quorum.load(app=Flask("shop"), settings=settings)
    quorum.send_mail(
        sender="shop@example.org", receivers=["ana@example.org"], data="Hello", username="rui"
    )
    assert len(smtp.handler.envelopes) == 1


def test_our_own_user_keeps_our_password(smtp: AnyPort):
    """`username` that is the settings' own user goes with its password, refused in clear here."""
    settings = Settings(
        mailer={"host": f"127.0.0.1:{smtp.port}", "user": "ana", "password": "marker"}
    )
    quorum.load(app=Flask("shop"), settings=settings)
    with pytest.raises(Rejected, match="STARTTLS"):
        quorum.send_mail(receivers=["ana@example.org"], data="Hello", username="ana")
    assert smtp.handler.envelopes == []


# MongoDB, Redis and Pusher.


def test_the_clients_are_those_of_the_loaded_application():
    """`get_mongo`, `get_mongo_db` and `get_redis` give what its services hand out."""
    app = quorum.load(name="shop")
    assert quorum.get_mongo() is app.container.mongo().client
    assert quorum.get_mongo_db() == app.container.mongo().database
    assert quorum.get_redis() is app.container.redis().client


def test_pusher_takes_what_the_client_of_its_vendor_took():
    """`get_pusher` gives the service, which takes the same by position."""
    app = quorum.load(app=Flask("shop"))
    with fakes(app) as twins:
        pusher = quorum.get_pusher()
        assert pusher is twins.pusher
        pusher.trigger(["orders"], "new", {"id": 1})
        twins.pusher.assert_triggered(channel="orders", event="new", data={"id": 1})
        assert pusher.authenticate("private-orders", "1.2").keys() == {"auth"}


def test_the_database_is_named_by_load():
    """`load(mongo_database=…)` names it where nothing else does."""
    quorum.load(name="shop", mongo_database="stock")
    assert quorum.get_mongo_db().name == "stock"


def test_dropping_the_database_leaves_its_system():
    """Every collection goes, but those named system.*."""
    quorum.load(name="shop")
    database = quorum.get_mongo_db()
    for name in ("orders", "system.users", "systems"):
        database[name].insert_one({"a": 1})
    quorum.drop_mongo_db()
    assert database["system.users"].count_documents({}) == 1
    assert database["orders"].count_documents({}) == 0
    assert database["systems"].count_documents({}) == 0


@pytest.mark.parametrize(
    "function",
    [
        quorum.get_mongo,
        quorum.get_mongo_db,
        quorum.drop_mongo_db,
        quorum.get_redis,
        quorum.get_pusher,
        quorum.mongodb.get_connection,
        quorum.mongodb.get_db,
    ],
)
def test_without_an_application_there_is_no_client(function):
    """The error says how to repair it."""
    with pytest.raises(NotLoaded, match=r"quorum\.load"):
        function()


def test_send_mail_a_sends_in_the_background(app: Flask):
    """`send_mail_a` takes what `send_mail` takes, and a job sends the mail."""
    with fakes(app) as twins:
        quorum.send_mail_a(app, "Hi", receivers=["ana@example.org"], data="Hello")
        twins.mailer.assert_nothing_sent()
        twins.tasks.run_due()
        twins.mailer.assert_sent(to="ana@example.org", subject="Hi", times=1)
        assert parts(twins.mailer.outbox[0]) == [("text/plain", "Hello"), ("text/html", "Hello")]


def test_send_mail_a_renders_where_it_is_called(app: Flask):
    """A template that cannot be rendered is told to the caller of `send_mail_a`."""
    with fakes(app) as twins:
        with pytest.raises(Rejected, match="lost"):
            quorum.send_mail_a(receivers=["ana@example.org"], plain="lost.txt.tpl")
        twins.tasks.assert_nothing_submitted()


def test_send_mail_a_goes_by_another_server(app: Flask, smtp: AnyPort):
    """With `host` and `port` a mail of the background goes by that server."""
    handle = quorum.send_mail_a(
        sender="shop@example.org",
        receivers=["ana@example.org"],
        data="Hello",
        host="127.0.0.1",
        port=smtp.port,
    )
    assert handle.result(6)["accepted"] == ["ana@example.org"]
    assert len(smtp.handler.envelopes) == 1


def test_send_mail_a_refuses_what_send_mail_does_not_take(app: Flask):
    """An argument that `send_mail` does not have is an error of the call."""
    with pytest.raises(TypeError, match="paint"):
        quorum.send_mail_a(paint="red")
