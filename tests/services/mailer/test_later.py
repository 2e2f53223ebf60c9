"""Mail in the background."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

import quorum
from quorum import Attachment, Message, Rejected, Settings, Unavailable, Unsupported
from quorum.services.mailer.compose import Envelope
from quorum.services.mailer.memory import MemoryMailer
from quorum.settings import MailerSettings
from quorum.testing import fakes
from tests.services.mailer.servers import SmtpServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import RedisServer

DEADLINE = 15
MAIL = {"subject": "Report", "to": "ana@example.org", "text": "Here it is."}


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """The loaded application, with a template that looks at the request."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hi.txt").write_text("Hi {{ name }}, on {{ request.path }}")
    settings = Settings(mailer={"sender": "shop@example.org"})
    return quorum.load(app=Flask("shop", root_path=str(tmp_path)), settings=settings)


def test_it_is_sent_by_a_job(app: Flask):
    """`send_later` returns at once, and a job sends the mail."""
    with fakes(app) as twins:
        twins.mailer.send_later(**MAIL)
        twins.mailer.assert_nothing_sent()
        twins.tasks.assert_submitted("deliver_mail", times=1)
        assert twins.tasks.run_due() == 1
        twins.mailer.assert_sent(to="ana@example.org", subject="Report", times=1)


def test_it_takes_a_message(app: Flask):
    """`send_later` takes a message, and arguments win over its fields, as in `send`."""
    message = Message(subject="Report", to="ana@example.org", text="Here it is.")
    handle = app.container.mailer().send_later(message, subject="Another")
    assert handle.wait(DEADLINE)
    app.container.mailer().assert_sent(subject="Another", to="ana@example.org", times=1)


def test_the_handle_tells_what_became_of_it(app: Flask):
    """The result of its job is what `send` returns, as a dictionary."""
    found = app.container.mailer().send_later(**MAIL).result(DEADLINE)
    (mail,) = app.container.mailer().outbox
    assert found == {
        "message_id": mail["Message-ID"],
        "accepted": ["ana@example.org"],
        "refused": {},
    }


def test_templates_see_the_request(app: Flask):
    """It is rendered where it is sent from: a job has no request."""
    with app.test_request_context("/orders"):
        handle = app.container.mailer().send_later(
            to="ana@example.org", plain="hi.txt", context={"name": Name()}
        )
    assert handle.wait(DEADLINE)
    assert app.container.mailer().outbox[0].get_content().strip() == "Hi Ana, on /orders"


class Name:
    """What JSON could not carry."""

    def __str__(self) -> str:
        return "Ana"


@pytest.mark.parametrize(
    "wrong", [{"to": "nobody"}, {"to": ()}, {"subject": 5}, {"paint": "red"}], ids=str
)
def test_what_is_not_well_formed_is_refused_at_once(app: Flask, wrong: dict[str, Any]):
    """A mail that could never be sent is refused where it is sent from, and no job is made."""
    with fakes(app) as twins:
        with pytest.raises(Rejected):
            twins.mailer.send_later(**MAIL | wrong)
        twins.tasks.assert_nothing_submitted()


def test_a_closed_mailer_takes_none(app: Flask):
    """A mailer that is closed refuses at once."""
    mailer = app.container.mailer()
    mailer.close()
    with pytest.raises(Unavailable, match="closed"):
        mailer.send_later(**MAIL)


def test_what_waits_is_sent_before_the_application_ends(app: Flask):
    """Mail that waits as the application is unloaded is still sent."""
    mailer = app.container.mailer()
    for _ in range(50):
        mailer.send_later(**MAIL)
    quorum.unload(app)
    mailer.assert_sent(times=50)


def test_a_mailer_by_itself_says_that_it_has_no_tasks():
    """A mailer that was built without tasks says so, and what to call."""
    mailer = MemoryMailer(MailerSettings(), lambda template, context: "")
    with pytest.raises(Unsupported, match="send"):
        mailer.send_later(sender="shop@example.org", **MAIL)


def test_it_goes_out_by_smtp():
    """The driver of SMTP sends a mail of the background as any other, and tells who was refused."""
    with SmtpServer(refuses={"eva@example.org": "550 no such mailbox"}.get) as server:
        settings = Settings(mailer={"host": "127.0.0.1", "port": server.port, "sender": "a@b.org"})
        app = quorum.load(app=Flask("shop"), settings=settings)
        handle = app.container.mailer().send_later(**MAIL, cc="eva@example.org")
        assert handle.result(DEADLINE) == {
            "message_id": handle.result()["message_id"],
            "accepted": ["ana@example.org"],
            "refused": {"eva@example.org": "550 no such mailbox"},
        }
        quorum.unload(app)


def test_a_server_that_is_down_is_in_the_log(caplog: pytest.LogCaptureFixture):
    """A mail that cannot go out is logged with the reason; no address is in the log."""
    settings = Settings(mailer={"host": "127.0.0.1", "port": 1, "sender": "shop@example.org"})
    app = quorum.load(app=Flask("shop"), settings=settings)
    handle = app.container.mailer().send_later(**MAIL)
    assert handle.wait(DEADLINE)
    assert isinstance(handle.exception, Unavailable)
    assert "the job deliver_mail" in caplog.text
    assert "ana@example.org" not in caplog.text


def test_an_envelope_travels_as_json():
    """A composed mail is the same after JSON, its bytes too."""
    envelope = Envelope("a@b.org", ("c@d.org", "e@f.org"), bytes(range(256)), "<1@b.org>", True)
    assert Envelope.from_json(json.loads(json.dumps(envelope.as_json()))) == envelope


@pytest.mark.live("redis")
def test_it_travels_to_a_worker(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """With TASKS=dramatiq a worker's mailer sends it, attachments and all."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("TASKS", "dramatiq")
    app = quorum.load(app=Flask(f"later-{tmp_path.name}"))
    tasks: Any = app.container.tasks()
    tasks.work(1)
    attachment = Attachment("all.bin", bytes(range(256)))
    handle = app.container.mailer().send_later(
        **MAIL, sender="shop@example.org", attachments=[attachment]
    )
    assert handle.result(DEADLINE)["accepted"] == ["ana@example.org"]
    (mail,) = app.container.mailer().outbox
    assert mail["Message-ID"] == handle.result(DEADLINE)["message_id"]
    (carried,) = mail.iter_attachments()
    assert carried.get_content() == bytes(range(256))
    quorum.unload(app)
