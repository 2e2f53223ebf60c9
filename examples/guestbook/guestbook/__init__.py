"""A guestbook: visitors sign it, are thanked by mail, and see who signed before."""

from pathlib import Path
from typing import Any

from flask import Flask

import quorum
from guestbook.containers import GuestbookContainer
from guestbook.settings import GuestbookSettings
from guestbook.views import pages

CONFIG = Path(__file__).parents[1] / "config"


def create_app(instance: str | None = None, **config: Any) -> Flask:
    """Make the application of an instance; `config` goes into `app.config`."""
    app = Flask(__name__)
    quorum.init_app(
        app,
        instance=instance,
        settings=GuestbookSettings,
        container=GuestbookContainer,
        config_path=CONFIG,
        **config,
    )
    app.register_blueprint(pages)
    return app
