"""The application, for `flask run`, `quorum run`, Gunicorn and every other WSGI server."""

from guestbook import create_app

import quorum

app = create_app()

if __name__ == "__main__":
    quorum.run()
