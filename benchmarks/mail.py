"""Mails per second over STARTTLS and AUTH, one thread: `python -m benchmarks.mail`."""

from __future__ import annotations

import os
import smtplib
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import trustme

from benchmarks.measure import at_least
from benchmarks.smtp_server import PASSWORD, USER
from quorum import Container, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quorum import Mailer

NAIVE, QUORUM = "smtplib, connecting each time", "quorum's mailer"
ROUNDS, MAILS = 41, 20
SENDER, RECIPIENT = "bench@example.org", "ana@example.org"
SUBJECT, TEXT = "Welcome", "Good to have you, Ana.\n" * 20


@contextmanager
def server() -> Iterator[int]:
    """Run the server in its own process, so that what is measured is the client; give its port."""
    with TemporaryDirectory() as folder:
        authority, certificate = Path(folder, "authority.pem"), Path(folder, "server.pem")
        issuer = trustme.CA()
        issuer.cert_pem.write_to_path(str(authority))
        issuer.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(certificate)
        )
        os.environ["SSL_CERT_FILE"] = str(authority)
        program = [sys.executable, "-m", "benchmarks.smtp_server", str(certificate)]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            yield int(process.stdout.readline())
            process.stdin.close()


def message() -> EmailMessage:
    """Write by hand what the mailer writes itself."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = SENDER, RECIPIENT, SUBJECT
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="example.org")
    mail.set_content(TEXT)
    return mail


def connect(port: int, context: ssl.SSLContext) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", port, local_hostname="localhost", timeout=5)
    client.starttls(context=context)
    client.login(USER, PASSWORD)
    return client


def connecting_each_time(port: int, context: Callable[[], ssl.SSLContext]) -> Callable[[], object]:
    """Connect, sign in and quit for each mail."""

    def send() -> None:
        with connect(port, context()) as client:
            client.send_message(message())

    return send


def through(mailer: Mailer) -> Callable[[], object]:
    return lambda: mailer.send(subject=SUBJECT, sender=SENDER, to=RECIPIENT, text=TEXT)


def batch(send: Callable[[], object]) -> tuple[float, float]:
    """Send a batch; return the seconds of a mail by the clock, and those of this process."""
    clock, process = time.perf_counter(), time.process_time()
    for _ in range(MAILS):
        send()
    return (time.perf_counter() - clock) / MAILS, (time.process_time() - process) / MAILS


def measure() -> list[dict[str, tuple[float, float]]]:
    """Send a batch each way in every round."""
    with server() as port:
        sign_in = {"user": USER, "password": PASSWORD}
        settings = Settings(mailer={"host": "127.0.0.1", "port": port} | sign_in)
        container = Container(settings=settings)
        context = ssl.create_default_context()
        kept = connect(port, context)
        senders: dict[str, Callable[[], object]] = {
            NAIVE: connecting_each_time(port, lambda: context),
            "the same, loading certificates too": connecting_each_time(
                port, ssl.create_default_context
            ),
            QUORUM: through(container.mailer()),
            "smtplib, one connection kept": lambda: kept.send_message(message()),
        }
        for send in senders.values():
            send()
        rounds = [{name: batch(send) for name, send in senders.items()} for _ in range(ROUNDS)]
        kept.quit()
        container.ledger.close()
    return rounds


def main() -> None:
    rounds = measure()
    ratios = {}
    print("one server, one thread             mails a second   ratio   client's CPU, ms a mail")
    for name in rounds[0]:
        clock, process = (median(each[name][kind] for each in rounds) for kind in (0, 1))
        ratios[name] = median(each[NAIVE][0] / each[name][0] for each in rounds)
        print(f"{name:34} {1 / clock:14.0f} {ratios[name]:7.2f} {process * 1000:25.2f}")
    print()
    print(at_least(f"mails a second, to {NAIVE}", ratios[QUORUM], 4))


if __name__ == "__main__":
    main()
