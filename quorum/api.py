"""The documented functions of flask-quorum, each a few lines over the container."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from quorum import current
from quorum.choice import lazy
from quorum.errors import Rejected
from quorum.services.mailer.base import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis
    from flask import Flask
    from pymongo import MongoClient
    from pymongo.database import Database

    from quorum.containers import Container
    from quorum.services.mailer.base import Mailer, Sent
    from quorum.services.mongo.base import Document
    from quorum.services.pusher.base import Pusher
    from quorum.services.tasks.base import Handle
    from quorum.settings import MailerSettings

_smtp = lazy("quorum.services.mailer.smtp:SmtpMailer")


def send_mail(
    app: Flask | None = None,
    subject: str = "",
    sender: str | None = None,
    receivers: Sequence[str] = [],
    data: str | None = None,
    plain: str | None = None,
    rich: str | None = None,
    context: dict[str, Any] = {},
    encoding: str = "utf-8",
    host: str | None = None,
    port: int | None = None,
    username: str | None = None,
    password: str | None = None,
    stls: bool = False,
    safe: bool = True,  # noqa: ARG001 - line ends are always made standard
) -> Sent:
    """Send a mail with a text and an HTML part, over the mailer of an application.

    `plain` and `rich` name templates of the parts, rendered with `context`; `data` is the body
    of each part that has no template. `host`, `port`, `username`, `password` or `stls` make it
    travel by that server for this mail: with `stls` or SMTP_STARTTLS=true STARTTLS is required;
    else it is used where it is offered, and a password is refused where it is not. Raises what
    `Mailer.send` does.
    """
    container = current.container() if app is None else current.container_of(app)
    message = _message(subject, sender, receivers, data, plain, rich, context, encoding)
    own = _own_mailer(container, host, port, username, password, stls=stls)
    if own is None:
        return container.mailer().send(message)
    try:
        return own.send(message)
    finally:
        own.close()


def send_mail_a(*args: Any, **kwargs: Any) -> Handle:
    """Send a mail as `send_mail`, whose arguments it takes, in the background.

    It is composed here and now, unless it goes by a server of its own: its templates are then
    rendered by the job, and a worker of another process is sent all arguments, the password too.
    Raises what `Mailer.send_later` does.
    """
    given = inspect.signature(send_mail).bind(*args, **kwargs)
    app = given.arguments.pop("app", None)
    container = current.container() if app is None else current.container_of(app)
    asked = {name: given.arguments.get(name) for name in ("host", "port", "username", "password")}
    if _own_mailer(container, **asked, stls=given.arguments.get("stls", False)) is not None:
        return container.tasks().submit(send_mail_now, **given.arguments)
    given.apply_defaults()
    names = ("subject", "sender", "receivers", "data", "plain", "rich", "context", "encoding")
    return container.mailer().send_later(_message(*(given.arguments[name] for name in names)))


def send_mail_now(**arguments: Any) -> dict[str, Any]:
    """Send a mail of `send_mail_a`, in its job: what becomes of it may go to another process."""
    return send_mail(**arguments).as_json()


def deliver_mail(**envelope: Any) -> dict[str, Any]:
    """Deliver a mail of `Mailer.send_later`, in its job on a worker of another process."""
    mailer: Any = current.container().mailer()
    found: dict[str, Any] = mailer.deliver_packed(envelope)
    return found


def _message(
    subject: str,
    sender: str | None,
    receivers: Sequence[str],
    data: str | None,
    plain: str | None,
    rich: str | None,
    context: dict[str, Any],
    encoding: str,
) -> Message:
    body = data if data is not None else ""
    return Message(
        subject=subject,
        to=receivers,
        sender=sender,
        text=body if plain is None and (data is not None or rich is None) else None,
        html=data if rich is None else None,
        plain=plain,
        rich=rich,
        context=context,
        charset=encoding,
    )


def _own_mailer(
    container: Container,
    host: str | None,
    port: int | None,
    username: str | None,
    password: str | None,
    *,
    stls: bool,
) -> Mailer | None:
    """Return a mailer on the server that a mail is to go by, None for that of the application."""
    given = {"host": host, "port": port, "user": username, "password": password}
    asked = {name: value for name, value in given.items() if value is not None}
    # A fake serves for every server: in a test no mail goes out.
    if (not asked and not stls) or container.mailer.last_overriding is not None:
        return None
    settings = _server(container.settings().mailer, asked)
    encryption = "required" if stls or settings.starttls else "offered"
    mailer: Mailer = _smtp(settings, container.render(), encryption)
    return mailer


def _server(settings: MailerSettings, asked: dict[str, Any]) -> MailerSettings:
    """Return the settings of the server asked for; another host never gets our password."""
    if "host" in asked:
        asked = settings.split_host(str(asked["host"])) | {
            name: value for name, value in asked.items() if name != "host"
        }
        if asked["host"] != settings.host:
            asked = {"user": None, "password": None, "port": None, "tls": False} | asked
    own = settings.user.get_secret_value() if settings.user else None
    if asked.get("user", own) != own:
        # Our password is our user's.
        asked = {"password": None} | asked
    values = {"host": settings.host or "localhost"} | asked
    try:
        return settings.model_validate({**settings.model_dump(), **values})
    except ValidationError as error:
        wrong = ", ".join(str(each["loc"][0]) for each in error.errors(include_input=False))
    # Raised out here, so that no pydantic error, which holds the values, hangs on ours.
    raise Rejected(
        "mailer", f"send_mail() was given a {wrong} that cannot be used; nothing was sent"
    )


def get_mongo() -> MongoClient[Document]:
    """Return the MongoDB client of the running application. Raises NotLoaded without one."""
    return current.container().mongo().client


def get_mongo_db() -> Database[Document]:
    """Return the database of the running application. Raises NotLoaded without one."""
    return current.container().mongo().database


def drop_mongo_db() -> None:
    """Drop every collection of the database of the running application, but those of the system."""
    database = get_mongo_db()
    for name in database.list_collection_names():
        if not name.startswith("system."):
            database.drop_collection(name)


def get_redis() -> redis.Redis:
    """Return the Redis client of the running application. Raises NotLoaded without one."""
    return current.container().redis().client


def get_pusher() -> Pusher:
    """Return the Pusher of the running application. Raises NotLoaded without one.

    `trigger`, `authenticate` and `validate_webhook` take by position what those of the vendor's
    client take, which is at its `client`.
    """
    return current.container().pusher()
