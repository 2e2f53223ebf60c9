"""An SMTP server with STARTTLS and AUTH that takes every mail, for a process of its own."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = "bench", "bench"


class Accepting:
    """Takes responsibility for every mail, and forgets it."""

    async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - the name is aiosmtpd's
        """Answer the end of a mail."""
        return "250 OK"


def authenticate(*given: Any) -> AuthResult:
    data = given[-1]
    right = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
    return AuthResult(success=right, handled=right)


async def serve(certificate: str) -> None:
    """Print the port, and serve until the standard input ends."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()

    def connection() -> SMTP:
        return SMTP(
            Accepting(),
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=authenticate,
            loop=loop,
        )

    async with await loop.create_server(connection, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    # aiosmtpd warns of its own deprecations at each sign-in.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    asyncio.run(serve(sys.argv[1]))
