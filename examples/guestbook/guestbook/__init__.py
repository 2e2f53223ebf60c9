"""A guestbook: visitors sign it, with a picture if they like, and are thanked by mail."""

from pathlib import Path
from typing import Any

from flask import Flask

import quorum
from guestbook import jobs
from guestbook.containers import GuestbookContainer
from guestbook.settings import GuestbookSettings
from guestbook.views import pages

CONFIG = Path(__file__).parents[1] / "config"


def create_app(instance: str | None = None, **config: Any) -> Flask:
    """Make the application of an instance; `config` is what else `quorum.init_app` takes."""
    app = Flask(__name__)
    # Bytes of a request. Above a picture that is too large, which the form answers more kindly.
    app.config["MAX_CONTENT_LENGTH"] = 8_000_000
    quorum.init_app(
        app,
        instance=instance,
        settings=GuestbookSettings,
        container=GuestbookContainer,
        config_path=CONFIG,
        **config,
    )
    app.register_blueprint(pages)
    with app.app_context():
        jobs.schedule()
    return app
