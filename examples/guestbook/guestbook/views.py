"""The page: the form, and what was signed before."""

import logging
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook.containers import GuestbookContainer
from guestbook.entries import Guestbook
from guestbook.forms import SignForm
from quorum import Mailer, Provide, ServiceError, Settings, inject

pages = Blueprint("pages", __name__)
logger = logging.getLogger(__name__)


@pages.app_context_processor
@inject
def for_templates(
    guestbook: Guestbook = Provide[GuestbookContainer.guestbook],
    settings: Settings = Provide[GuestbookContainer.settings],
) -> dict[str, Any]:
    """Let every template, of the page and of mail, use these."""
    return {"guestbook": guestbook, "settings": settings}


@pages.get("/")
def index() -> str:
    """Show the form and the entries; `mail` in the URL says what became of a visitor's mail."""
    return render_template("index.html", form=SignForm(), errors={}, mail=request.args.get("mail"))


@pages.post("/")
@inject
def sign(
    guestbook: Guestbook = Provide[GuestbookContainer.guestbook],
    mailer: Mailer = Provide[GuestbookContainer.mailer],
) -> ResponseReturnValue:
    """Add an entry and thank for it, or show the form again with what is wrong."""
    form = SignForm.read(request.form)
    errors = form.errors()
    if errors:
        return render_template("index.html", form=form, errors=errors), 422
    guestbook.sign(form.name, form.message)
    mail = thank(form, guestbook, mailer) if form.email else "none"
    # After a redirect, loading the page again does not sign again.
    return redirect(url_for("pages.index", mail=mail), code=303)


def thank(form: SignForm, guestbook: Guestbook, mailer: Mailer) -> str:
    """Send the mail, and say whether it is "sent" or "failed"; the entry stands either way."""
    try:
        mailer.send(
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
