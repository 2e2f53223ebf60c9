"""The embedded twin: its outbox, and the assertions for tests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from quorum.errors import Rejected

if TYPE_CHECKING:
    from quorum.services.mailer.memory import MemoryMailer


def send(twin: MemoryMailer, to: str = "ana@example.org", subject: str = "Hello") -> None:
    twin.send(subject=subject, to=to, text="Hello")


def test_the_outbox_holds_mails_in_order(twin: MemoryMailer) -> None:
    """The oldest is first."""
    send(twin, subject="one")
    send(twin, subject="two")
    assert [message["Subject"] for message in twin.outbox] == ["one", "two"]


def test_the_outbox_starts_empty_and_is_its_own(twin: MemoryMailer) -> None:
    """Two twins share no mail."""
    other = type(twin)(twin._settings, twin._render)
    send(twin)
    assert (len(twin.outbox), other.outbox) == (1, [])


def test_sent_says_what_became_of_each(twin: MemoryMailer) -> None:
    """`sent` goes with `outbox`, and has the blind copies."""
    twin.send(to="ana@example.org", bcc="eva@example.org", text="Hello")
    (sent,) = twin.sent
    assert sent.accepted == ("ana@example.org", "eva@example.org")
    assert sent.message_id == twin.outbox[0]["Message-ID"]


def test_clear_forgets(twin: MemoryMailer) -> None:
    """After clear there is nothing."""
    send(twin)
    twin.clear()
    assert (twin.outbox, twin.sent) == ([], [])
    twin.assert_nothing_sent()


def test_the_outbox_may_be_changed_by_a_test(twin: MemoryMailer) -> None:
    """What a test takes out of the outbox was not sent, for the assertions."""
    send(twin, subject="one")
    send(twin, subject="two")
    twin.outbox.pop(0)
    twin.assert_sent(subject="two", times=1)
    twin.assert_sent(subject="one", times=0)


def test_threads_lose_no_mail(twin: MemoryMailer) -> None:
    """Mails of several threads at once are all there, each with its own result."""

    def send_some(thread: int) -> None:
        for number in range(20):
            send(twin, to=f"{thread}-{number}@example.org", subject=f"{thread}-{number}")

    threads = [threading.Thread(target=send_some, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(twin.outbox) == 160
    for message, sent in zip(twin.outbox, twin.sent, strict=True):
        assert sent.accepted == (f"{message['Subject']}@example.org",)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"to": "ana@example.org"},
        {"to": "Ana Silva <ana@example.org>"},
        {"subject": "Hello"},
        {"to": "ana@example.org", "subject": "Hello"},
        {"times": 1},
        {"to": "eva@example.org", "times": 0},
        {"subject": "", "times": 0},
    ],
    ids=str,
)
def test_assert_sent_passes(twin: MemoryMailer, asked: dict[str, object]) -> None:
    """What was sent is found by recipient, subject and number."""
    send(twin)
    twin.assert_sent(**asked)  # type: ignore[arg-type] # a table of arguments


def test_assert_sent_finds_blind_copies(twin: MemoryMailer) -> None:
    """A Bcc recipient was sent the mail too."""
    twin.send(to="ana@example.org", bcc="eva@example.org", text="Hello")
    twin.assert_sent(to="eva@example.org")


def test_assert_sent_lists_what_was_sent(twin: MemoryMailer) -> None:
    """A failure says what was expected, how many matched, and every mail there is."""
    send(twin)
    twin.send(to=["rui@example.org", "eva@example.org"], subject="Bye", text="Bye")
    with pytest.raises(AssertionError) as caught:
        twin.assert_sent(to="ana@example.org", subject="Bye")
    assert str(caught.value) == (
        "expected at least 1 mail with to='ana@example.org', subject='Bye'; 0 matched. Sent:\n"
        "  1. to=ana@example.org subject='Hello'\n"
        "  2. to=rui@example.org, eva@example.org subject='Bye'"
    )


@pytest.mark.parametrize(("times", "expected"), [(1, "expected 1 mail;"), (2, "expected 2 mails;")])
def test_assert_sent_counts(twin: MemoryMailer, times: int, expected: str) -> None:
    """A number is exact; without mail the failure says that there is none."""
    with pytest.raises(AssertionError) as caught:
        twin.assert_sent(times=times)
    assert str(caught.value) == f"{expected} 0 matched. Nothing was sent."


def test_assert_sent_names_an_empty_subject(twin: MemoryMailer) -> None:
    """An empty subject is a condition like any other."""
    send(twin)
    with pytest.raises(AssertionError, match="with subject=''"):
        twin.assert_sent(subject="")


def test_assert_sent_refuses_what_is_no_address(twin: MemoryMailer) -> None:
    """A slip in the test itself is told as such."""
    with pytest.raises(Rejected, match="to is not one address"):
        twin.assert_sent(to="ana")


def test_assert_nothing_sent_lists_what_was_sent(twin: MemoryMailer) -> None:
    """It passes on an empty outbox, and else lists it."""
    twin.assert_nothing_sent()
    send(twin)
    with pytest.raises(AssertionError) as caught:
        twin.assert_nothing_sent()
    assert str(caught.value) == ("expected no mail. Sent:\n  1. to=ana@example.org subject='Hello'")


def test_an_address_is_matched_whatever_its_case(twin: MemoryMailer) -> None:
    """`assert_sent(to=…)` takes ANA@EXAMPLE.ORG for ana@example.org."""
    send(twin)
    twin.assert_sent(to="ANA@EXAMPLE.ORG", times=1)
