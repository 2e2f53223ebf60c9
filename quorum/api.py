"""The documented functions of flask-quorum, each a few lines over the container."""

from __future__ import annotations

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

    from quorum.services.mailer.base import Mailer, Sent
    from quorum.services.mongo.base import Document
    from quorum.services.pusher.base import Pusher
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
    body = data if data is not None else ""
    message = Message(
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
    given = {"host": host, "port": port, "user": username, "password": password}
    asked = {name: value for name, value in given.items() if value is not None}
    mailer = container.mailer()
    # A fake serves for every server: in a test no mail goes out.
    if (not asked and not stls) or container.mailer.last_overriding is not None:
        return mailer.send(message)
    settings = _server(container.settings().mailer, asked)
    encryption = "required" if stls or settings.starttls else "offered"
    own: Mailer = _smtp(settings, container.render(), encryption)
    try:
        return own.send(message)
    finally:
        own.close()


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
