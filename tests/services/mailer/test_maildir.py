"""The outbox that stays: a Maildir under DATA_PATH."""

from __future__ import annotations

import email.policy
import logging
import mailbox
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import quorum
from quorum import Settings
from quorum.errors import Rejected, Unavailable
from quorum.services.mailer.maildir import Maildir
from quorum.services.mailer.memory import MemoryMailer
from quorum.services.templates import Templates
from quorum.settings import MailerSettings
from quorum.testing import fakes
from tests.services.mailer.test_forks import forks, in_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the mails are."""
    return tmp_path / "data" / "mailer"


@pytest.fixture
def start(tmp_path: Path) -> Callable[[], MemoryMailer]:
    """Build a twin on the folder, as each run of an application does."""
    settings = MailerSettings(sender="shop@example.org")
    return lambda: MemoryMailer(settings, Templates(tmp_path), data_path=tmp_path / "data")


def send(twin: MemoryMailer, subject: str = "Hello", to: str = "ana@example.org") -> None:
    twin.send(subject=subject, to=to, text="Hello")


def subjects(twin: MemoryMailer) -> list[str]:
    return [str(message["Subject"]) for message in twin.outbox]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_mails_of_an_earlier_run_are_there(start: Any) -> None:
    """The outbox holds what earlier runs sent, the oldest first."""
    first = start()
    send(first, "one")
    send(first, "two")
    first.close()
    second = start()
    send(second, "three")
    assert subjects(second) == ["one", "two", "three"]


def test_mails_sent_in_the_same_moment_keep_their_order(start: Any) -> None:
    """However fast they are sent."""
    twin = start()
    numbers = [str(number) for number in range(200)]
    for number in numbers:
        send(twin, number)
    assert subjects(start()) == numbers


def test_a_mail_is_read_back_as_it_was_sent(start: Any, twin: MemoryMailer) -> None:
    """Bodies, attachments, names outside ASCII: what a later run reads is what memory keeps."""
    message = quorum.Message(
        subject="Olá, coração",
        to='"Silva, José" <josé@exämple.org>',
        cc="eva@example.org",
        text="From here\r\n.\r\nàé\n\n",
        html="<p>àé</p>",
        attachments=[quorum.Attachment("ficheiro ç.bin", bytes(range(256)))],
        headers={"Message-ID": "<1@example.org>", "Date": "Tue, 01 Sep 2026 09:00:00 +0000"},
    )
    start().send(message)
    twin.send(message)
    kept, remembered = start().outbox[0], twin.outbox[0]
    assert [(n, v) for n, v in kept.items() if n != "Content-Type"] == [
        (name, value) for name, value in remembered.items() if name != "Content-Type"
    ]
    assert kept.get_body(("plain",)).get_content() == remembered.get_body(("plain",)).get_content()
    assert [each.get_content() for each in kept.iter_attachments()] == [bytes(range(256))]


def test_blind_copies_are_remembered(start: Any) -> None:
    """What became of each mail survives, with the Bcc recipients and the Message-ID."""
    was = start().send(to="ana@example.org", bcc=["eva@example.org", "rui@example.org"], text="Hi")
    assert start().sent == [was]
    start().assert_sent(to="rui@example.org", times=1)


def test_an_address_outside_ascii_is_remembered(start: Any) -> None:
    """Recipients are kept as they are."""
    start().send(to="josé@exämple.org", bcc='"a b"@example.org', text="Hi")
    assert start().sent[0].accepted == ("josé@xn--exmple-cua.org", '"a b"@example.org')


def test_the_envelope_is_no_part_of_the_mail(start: Any) -> None:
    """A blind copy is in no header of the outbox, nor is what the file says above the mail."""
    start().send(to="ana@example.org", bcc="eva@example.org", text="Hi")
    (message,) = start().outbox
    assert "eva@example.org" not in message.as_string()
    assert not {"Return-Path", "Delivered-To", "X-Quorum-Message-ID"} & {*message.keys()}


def test_headers_of_the_same_names_stay_the_senders(start: Any) -> None:
    """What a user writes into these headers comes back, and changes no recipient."""
    names = ("Return-Path", "Delivered-To", "X-Quorum-Message-ID")
    start().send(
        to="ana@example.org", text="Hi", headers=dict.fromkeys(names, "<mallory@example.org>")
    )
    twin = start()
    assert [twin.outbox[0][name] for name in names] == ["<mallory@example.org>"] * 3
    assert twin.sent[0].accepted == ("ana@example.org",)


def test_other_programs_read_the_folder(start: Any, folder: Path) -> None:
    """The standard library finds each mail in it, with its subject and text."""
    send(start(), "one")
    send(start(), "two")
    maildir = mailbox.Maildir(folder, create=False)
    found = {str(message["Subject"]): message.get_payload() for message in maildir}
    assert found == {"one": "Hello\n", "two": "Hello\n"}


def test_a_mail_that_was_read_elsewhere_stays(start: Any, folder: Path) -> None:
    """A program that marks a mail as seen moves it; it is still one mail, in its place."""
    twin = start()
    send(twin, "one")
    send(twin, "two")
    before = list(twin.outbox)
    (path, _) = files(folder)
    path.rename(folder / "cur" / f"{path.name}:2,S")
    assert twin.outbox == before
    assert subjects(start()) == ["one", "two"]


def test_a_mail_that_was_deleted_elsewhere_is_gone(start: Any, folder: Path) -> None:
    """The folder is what counts."""
    twin = start()
    send(twin, "one")
    send(twin, "two")
    assert len(twin.outbox) == 2
    files(folder)[0].unlink()
    assert subjects(twin) == ["two"]


def test_a_mail_that_goes_away_while_the_outbox_is_read_is_left_out(
    start: Any, folder: Path
) -> None:
    """Another process may clear the folder between the listing and the reading."""
    twin = start()
    send(twin, "one")
    send(twin, "two")
    maildir = Maildir(folder)
    names = maildir.names()
    files(folder)[0].unlink()
    assert [name for name, _ in maildir.read(names)] == names[1:]


def test_a_mail_is_read_once(start: Any) -> None:
    """The outbox gives the same objects each time, so that tests may compare them."""
    twin = start()
    send(twin)
    assert twin.outbox[0] is twin.outbox[0]


def test_nothing_is_written_before_a_mail_is_sent(start: Any, folder: Path) -> None:
    """To build a twin, and to look at its outbox, makes no folder."""
    assert start().outbox == []
    assert not folder.exists()


def test_the_folder_is_for_its_owner_only(start: Any, folder: Path) -> None:
    """Mail is private: nobody else may enter."""
    send(start())
    assert folder.stat().st_mode & 0o777 == 0o700


def test_clear_empties_the_folder(start: Any, folder: Path) -> None:
    """After clear no run finds a mail; the folder itself stays."""
    twin, other = start(), start()
    send(twin)
    assert len(other.outbox) == 1
    twin.clear()
    assert (files(folder), twin.outbox, other.outbox, start().sent) == ([], [], [], [])
    send(other, "again")
    assert subjects(twin) == ["again"]


def test_clear_before_the_first_mail_does_nothing(start: Any, folder: Path) -> None:
    """There is nothing to clear, and nothing is made."""
    start().clear()
    assert not folder.exists()


def test_clear_leaves_what_is_being_written(start: Any, folder: Path) -> None:
    """Only what has lain in `tmp` for 36 hours was abandoned."""
    twin = start()
    send(twin)
    old, recent = folder / "tmp" / "old", folder / "tmp" / "recent"
    old.touch()
    recent.touch()
    os.utime(old, (0, time.time() - 37 * 3600))
    twin.clear()
    assert files(folder) == [recent]


def test_a_mail_that_is_being_written_is_in_no_outbox(start: Any, folder: Path) -> None:
    """A reader sees whole mails only."""
    twin = start()
    send(twin, "whole")
    text = files(folder)[0].read_bytes()
    (folder / "tmp" / "1.M1P1Q1.host").write_bytes(text[:-3])
    assert subjects(twin) == ["whole"]


def test_a_refused_mail_leaves_no_file(start: Any, folder: Path) -> None:
    """What is not well formed is refused before anything is written."""
    with pytest.raises(Rejected):
        start().send(to="ana", text="Hi")
    assert not folder.exists()


DAMAGED = {
    "empty": b"",
    "binary": bytes(range(256)),
    "foreign": b"From: ana@example.org\nSubject: mine\n\nHello\n",
    "cut": b"Return-Path: <shop@example.org>\nDelivered-To: ana@exam",
    "no utf-8": b"Return-Path: <a@b.c>\nDelivered-To: a@b.c\nX-Quorum-Message-ID: <1@b.c>\n\n\xff",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_does_not_hide_the_others(
    start: Any, folder: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """It is left out, named once in the log, and left where it is."""
    caplog.set_level(logging.WARNING, "quorum.mailer")
    twin = start()
    send(twin, "one")
    damaged = folder / "new" / "0.M0P0Q0.host"
    damaged.write_bytes(content)
    send(twin, "two")
    assert [subjects(twin), subjects(twin)] == [["one", "two"]] * 2
    assert len(twin.sent) == 2
    assert [record.message.partition(" ")[0] for record in caplog.records] == [damaged.name]
    assert damaged.exists()


def test_what_is_no_file_is_left_alone(start: Any, folder: Path, tmp_path: Path) -> None:
    """A folder, a link and a hidden file among the mails are no mails, and are not deleted."""
    twin = start()
    send(twin)
    secret = tmp_path / "secret"
    secret.write_bytes(files(folder)[0].read_bytes())
    (folder / "new" / "sub").mkdir()
    (folder / "new" / "link").symlink_to(secret)
    (folder / "cur" / ".hidden").touch()
    assert len(twin.outbox) == 1
    twin.clear()
    assert secret.exists()
    assert (folder / "cur" / ".hidden").exists()


@pytest.mark.parametrize("taken", ["data", "data/mailer", "data/mailer/new", "data/mailer/tmp"])
def test_a_folder_that_cannot_be_made_is_named(start: Any, tmp_path: Path, taken: str) -> None:
    """Sending raises Unavailable that names the folder and the setting; so does the ping."""
    (tmp_path / taken).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / taken).touch()
    twin = start()
    for ask in (twin.ping, lambda: send(twin)):
        with pytest.raises(Unavailable, match=r"mailer.*cannot be used.*DATA_PATH") as caught:
            ask()
        assert isinstance(caught.value.__cause__, OSError)


def test_a_folder_that_may_not_be_written_is_named(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As is one whose permissions forbid it; root, who may run this, is forbidden nothing."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(Unavailable, match="Permission denied"):
        start().ping()


def test_a_folder_that_cannot_be_read_is_named(start: Any, folder: Path) -> None:
    """The outbox raises Unavailable rather than seem empty."""
    folder.mkdir(parents=True)
    (folder / "new").touch()
    with pytest.raises(Unavailable, match="cannot be used"):
        _ = start().outbox


def test_a_full_disk_leaves_nothing_behind(
    start: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail that could not be written whole is not there at all, and counts as a failure."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    twin = start()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        send(twin)
    assert (files(folder), twin.counts.failures) == ([], 1)


def test_a_folder_that_was_deleted_is_made_again(start: Any, folder: Path) -> None:
    """The same twin sends and clears on after its folder went away."""
    twin = start()
    send(twin, "one")
    folder.rename(folder.with_name("elsewhere"))
    assert twin.outbox == []
    send(twin, "two")
    assert subjects(twin) == ["two"]


def test_a_closed_twin_still_shows_its_outbox(start: Any) -> None:
    """Sending is refused; reading is not."""
    twin = start()
    send(twin)
    twin.close()
    with pytest.raises(Unavailable, match="closed"):
        send(twin)
    assert subjects(twin) == ["Hello"]


def test_threads_and_twins_lose_no_mail(start: Any) -> None:
    """Two twins of four threads each write at once, while others read."""
    twins = [start(), start()]

    def send_some(number: int) -> None:
        for each in range(25):
            send(twins[number % 2], f"{number}-{each}", to=f"{number}-{each}@example.org")
            assert twins[(number + 1) % 2].outbox

    threads = [threading.Thread(target=send_some, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for twin in twins:
        assert sorted(subjects(twin)) == sorted(f"{n}-{e}" for n in range(8) for e in range(25))
        assert all(
            sent.accepted == (f"{message['Subject']}@example.org",)
            for message, sent in zip(twin.outbox, twin.sent, strict=True)
        )


PROGRAM = """
from pathlib import Path
import sys
from quorum import Container, Settings
mailer = Container(settings=Settings(data_path=Path("data"))).mailer()
for number in range(25):
    mailer.send(to="ana@example.org", subject=f"{sys.argv[1]}-{number}", text="Hello")
"""


def test_processes_lose_no_mail(start: Any) -> None:
    """Several processes write at once; each mail is there once, each process's own in order."""
    processes = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(number)]) for number in range(4)
    ]
    assert [process.wait(60) for process in processes] == [0] * 4
    found = subjects(start())
    assert len(found) == 100
    for number in range(4):
        mine = [each for each in found if each.startswith(f"{number}-")]
        assert mine == [f"{number}-{each}" for each in range(25)]


@forks
def test_a_forked_child_writes_too(start: Any) -> None:
    """A child's mails are in the parent's outbox."""
    twin = start()
    send(twin, "parent")
    assert in_child(lambda: send(twin, "child")) == 0
    assert subjects(twin) == ["parent", "child"]


def test_the_container_gives_the_twin_its_folder(tmp_path: Path) -> None:
    """DATA_PATH is all that it takes."""
    container = quorum.Container(settings=Settings(data_path=tmp_path / "data"))
    container.mailer().send(to="ana@example.org", text="Hi")
    assert len(mailbox.Maildir(tmp_path / "data" / "mailer", create=False)) == 1


def test_fakes_neither_read_nor_write_it(tmp_path: Path) -> None:
    """A test starts with an empty outbox, and leaves the folder as it was."""
    app = quorum.load(name="shop", settings=Settings(data_path=tmp_path / "data"))
    app.container.mailer().send(to="ana@example.org", text="Hi")
    with fakes(app) as twins:
        twins.mailer.assert_nothing_sent()
        app.container.mailer().send(to="eva@example.org", text="Hi")
    assert len(app.container.mailer().outbox) == 1


def test_the_file_holds_the_mail_as_the_wire_carries_it(start: Any, folder: Path) -> None:
    """Below the envelope: the same fields, with the line ends of a file."""
    start().send(to="ana@example.org", subject="Hi", text="one\r\ntwo\n")
    content = files(folder)[0].read_bytes()
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert b"\r" not in content
    assert message["Delivered-To"] == "ana@example.org"
    assert message.get_content() == "one\ntwo\n"
