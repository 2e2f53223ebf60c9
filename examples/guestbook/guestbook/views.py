"""The page: the form, and what was signed before."""

import logging
import re
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from guestbook.containers import GuestbookContainer
from guestbook.days import Days
from guestbook.entries import CLOSED, Guestbook
from guestbook.events import EmbeddedConsumer, Events
from guestbook.forms import SignForm
from guestbook.live import Live
from guestbook.pictures import Pictures
from guestbook.visits import Visits
from quorum import Mailer, Provide, ServiceError, Settings, inject

pages = Blueprint("pages", __name__)
logger = logging.getLogger(__name__)


@pages.app_context_processor
@inject
def for_templates(
    guestbook: Guestbook = Provide[GuestbookContainer.guestbook],
    pictures: Pictures = Provide[GuestbookContainer.pictures],
    settings: Settings = Provide[GuestbookContainer.settings],
) -> dict[str, Any]:
    """Let every template, of the page and of mail, use these."""
    return {"guestbook": guestbook, "pictures": pictures, "settings": settings}


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show the form and the entries; the URL says what became of what a visitor sent."""
    return show(SignForm(), {})


@pages.post("/")
@inject
def sign(
    guestbook: Guestbook = Provide[GuestbookContainer.guestbook],
    pictures: Pictures = Provide[GuestbookContainer.pictures],
    mailer: Mailer = Provide[GuestbookContainer.mailer],
    events: Events = Provide[GuestbookContainer.events],
    consumer: EmbeddedConsumer = Provide[GuestbookContainer.embedded_consumer],
) -> ResponseReturnValue:
    """Add an entry, tell of it and thank for it, or show the form again with what is wrong."""
    form = SignForm.read(request.form, request.files)
    errors = form.errors(pictures.limit)
    if errors:
        return show(form, errors, status=422)
    picture, kept = add(form, pictures)
    try:
        entry = guestbook.sign(form.name, form.message, form.key, picture)
    except CLOSED as error:
        # The picture stays: the entry may have been written though no answer came.
        logger.warning("an entry could not be written: %s", error)
        return closed(form, {})
    if entry is None:
        if picture:
            pictures.discard(picture)
        return redirect(url_for("pages.index", signed="before"), code=303)
    events.signed(entry)
    consumer.start()
    mail = thank(form, guestbook, mailer) if form.email else "none"
    # After a redirect, loading the page again does not sign again.
    return redirect(url_for("pages.index", signed="now", picture=kept, mail=mail), code=303)


@inject
def show(
    form: SignForm,
    errors: dict[str, str],
    status: int = 200,
    guestbook: Guestbook = Provide[GuestbookContainer.guestbook],
    visits: Visits = Provide[GuestbookContainer.visits],
    days: Days = Provide[GuestbookContainer.days],
) -> ResponseReturnValue:
    """Answer with the page, and count the visit."""
    try:
        entries = guestbook.entries()
    except CLOSED as error:
        logger.warning("the entries could not be read: %s", error)
        return closed(form, errors)
    page = render_template(
        "index.html",
        form=form,
        errors=errors,
        entries=entries,
        day=days.today(),
        visits=visits.count(),
    )
    return page, status


def closed(form: SignForm, errors: dict[str, str]) -> ResponseReturnValue:
    """Answer that the book cannot be opened now, with the form as it was typed."""
    page = render_template("index.html", form=form, errors=errors, entries=None)
    return page, 503, {"Retry-After": "10"}


@pages.get("/live")
@inject
def follow(live: Live = Provide[GuestbookContainer.live]) -> ResponseReturnValue:
    """Stream the entries since a stamp, which the page has and then the browser, and new ones."""
    after = request.headers.get("Last-Event-ID") or request.args.get("after", "")
    # Of later years than one has to think of, a moment could not be made.
    messages = live.stream(int(after)) if re.fullmatch("[0-9]{1,13}", after) else None
    if messages is None:
        abort(404)
    # No proxy should keep them back: https://nginx.org/en/docs/http/ngx_http_proxy_module.html
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(stream_with_context(messages), headers=headers, mimetype="text/event-stream")


@pages.errorhandler(RequestEntityTooLarge)
def too_large(_: RequestEntityTooLarge) -> ResponseReturnValue:
    """Answer to more than MAX_CONTENT_LENGTH, of which nothing was read: not even the form."""
    return render_template("too_large.html"), 413


def add(form: SignForm, pictures: Pictures) -> tuple[str | None, str]:
    """Keep the picture; say its name, and whether it is "kept", "failed" or there is "none"."""
    if not form.picture:
        return None, "none"
    try:
        return pictures.add(form.picture), "kept"
    except ServiceError as error:
        logger.warning("a picture could not be kept: %s", error)
        return None, "failed"


def thank(form: SignForm, guestbook: Guestbook, mailer: Mailer) -> str:
    """Have the mail sent in the background, and say whether it is "sent" or "failed".

    The entry stands either way. Where the mail server is down it is in the log, and nobody waits.
    """
    try:
        mailer.send_later(
            subject=f"Thank you for signing {guestbook.title}",
            to=form.email,
            reply_to=guestbook.owner,
            plain="mail/welcome.txt.tpl",
            rich="mail/welcome.html.tpl",
            context={"form": form, "page": url_for("pages.index", _external=True)},
        )
    except ServiceError as error:
        logger.warning("a visitor could not be thanked: %s", error)
        return "failed"
    return "sent"
