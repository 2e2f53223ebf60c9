"""The embedded twin: what it keeps, who can follow, and what it asserts."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import pytest

from quorum import Container, Settings
from quorum.errors import Rejected, Unavailable, Unsupported
from quorum.services.pusher.base import Event
from quorum.services.pusher.followers import MOST_WAITING
from quorum.services.pusher.memory import MOST_KEPT, MemoryPusher
from quorum.settings import PusherSettings


def test_the_twin_serves_without_an_address():
    """Nothing is configured, and the pusher works."""
    container = Container(settings=Settings())

    container.pusher().trigger("guestbook", "entry", {"by": "ana"})

    container.pusher().assert_triggered(channel="guestbook", times=1)


# What it keeps


def test_events_are_kept(twin):
    """One for each channel, the oldest first, with what JSON says of the data."""
    twin.trigger(["a", "b"], "new", {"at": (1, 2)}, socket_id="1.2")
    twin.trigger_batch([Event("c", "more", "text")])

    assert twin.events == [
        Event("a", "new", {"at": [1, 2]}, "1.2"),
        Event("b", "new", {"at": [1, 2]}, "1.2"),
        Event("c", "more", "text"),
    ]


def test_what_is_kept_is_a_copy(twin):
    """Whoever changes the data after it was sent changes no event."""
    data: dict[str, Any] = {"list": []}
    follower = twin.follow("a")
    twin.trigger(["a", "b"], "new", data)
    data["list"].append(1)
    follower.get(5).data["list"].append(2)

    assert [event.data for event in twin.events] == [{"list": []}, {"list": []}]


def test_nothing_that_was_refused_is_kept(twin):
    """Of a batch with one bad event none is sent."""
    with pytest.raises(Rejected):
        twin.trigger_batch([Event("a", "good", 1), Event("a b", "bad", 1)])

    twin.assert_nothing_triggered()


def test_the_last_ten_thousand_are_kept(twin):
    """A process that runs for long does not fill up."""
    for number in range(MOST_KEPT + 3):
        twin.trigger("a", "new", number)

    assert len(twin.events) == MOST_KEPT == 10_000
    assert twin.events[0].data == 3


def test_clear_forgets(twin):
    """After it, nothing was triggered."""
    twin.trigger("a", "new", 1)
    twin.clear()

    assert twin.events == []


def test_there_is_no_client(twin):
    """The twin has no server that a client could ask."""
    with pytest.raises(Unsupported, match="PUSHER_APP_ID"):
        _ = twin.client


# Keys


def test_keys_of_its_own_are_random():
    """Without keys each twin has its own, so that nothing is signed with a known one."""
    first, second = (MemoryPusher(PusherSettings()) for _ in range(2))

    leaves = {pusher.authenticate("private-a", "1.2")["auth"] for pusher in (first, second)}

    assert len(leaves) == 2
    headers, body = first.webhook([])
    with pytest.raises(Rejected):
        second.validate_webhook(headers["X-Pusher-Key"], headers["X-Pusher-Signature"], body)


def test_a_webhook_for_tests_is_genuine(twin):
    """`webhook` makes what a view may be given in a test."""
    headers, body = twin.webhook([{"name": "channel_vacated", "channel": "a"}])

    said = twin.validate_webhook(headers["X-Pusher-Key"], headers["X-Pusher-Signature"], body)

    assert said["events"] == [{"name": "channel_vacated", "channel": "a"}]


# Following


def test_a_follower_has_the_events_of_its_channels(twin):
    """It begins with what is triggered after `follow`."""
    twin.trigger("a", "before", 0)
    with twin.follow("a", "b", timeout=0) as follower:
        twin.trigger("a", "first", 1)
        twin.trigger("c", "other", 2)
        twin.trigger("b", "second", 3)

        assert [event.name for event in follower] == ["first", "second"]


def test_iterating_again_goes_on(twin):
    """An iteration that ended by its time-out is none that ended for good."""
    follower = twin.follow("a", timeout=0)
    assert list(follower) == []
    twin.trigger("a", "new", 1)

    assert [event.name for event in follower] == ["new"]
    assert not follower.closed


def test_a_follower_waits_for_events(twin):
    """Another thread triggers while it waits."""
    follower = twin.follow("a")
    threading.Timer(0.05, twin.trigger, ["a", "new", 1]).start()

    assert next(iter(follower)).name == "new"


def test_a_wait_ends_after_its_timeout(twin):
    """`get` returns None where no event came in time."""
    start = time.monotonic()

    assert twin.follow("a").get(0.05) is None
    assert time.monotonic() - start >= 0.05


def test_each_event_goes_to_one_of_its_readers(twin):
    """Threads that share a follower share its events."""
    follower, found = twin.follow("a"), []
    threads = [threading.Thread(target=lambda: found.extend(follower)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(100):
        twin.trigger("a", "new", number)
    while len(found) < 100:
        threading.Event().wait(0.01)
    follower.close()
    for thread in threads:
        thread.join(5)

    assert sorted(event.data for event in found) == list(range(100))


def test_one_that_does_not_read_loses_the_oldest(twin):
    """1,000 events wait at most; `lost` counts the others."""
    follower = twin.follow("a", timeout=0)
    for number in range(MOST_WAITING + 5):
        twin.trigger("a", "new", number)

    assert follower.lost == 5
    assert [event.data for event in follower] == list(range(5, MOST_WAITING + 5))


def test_an_author_does_not_hear_itself(twin):
    """A follower has a socket id of its own."""
    author, reader = twin.follow("a", timeout=0), twin.follow("a", timeout=0)
    twin.trigger("a", "new", 1, socket_id=author.socket_id)

    assert author.socket_id != reader.socket_id
    assert list(author) == []
    assert [event.name for event in reader] == ["new"]


def test_a_closed_follower_ends(twin):
    """Whoever waits goes on, and its channels are followed by none."""
    follower = twin.follow("a")
    threading.Timer(0.05, follower.close).start()

    assert list(follower) == []
    assert follower.closed
    assert twin.channels() == ()
    follower.close()


def test_closing_the_pusher_ends_every_follower(twin):
    """No thread waits for ever on a pusher that is closed."""
    followers, ended = [twin.follow("a") for _ in range(3)], []
    threads = [
        threading.Thread(target=lambda each=each: ended.append(list(each))) for each in followers
    ]
    for thread in threads:
        thread.start()
    twin.close()
    for thread in threads:
        thread.join(5)

    assert ended == [[], [], []]
    with pytest.raises(Unavailable):
        twin.follow("a")


def test_one_that_was_forgotten_is_none(twin):
    """A follower that nobody holds any more follows nothing."""
    twin.follow("a")
    gc.collect()

    assert twin.channels() == ()


@pytest.mark.parametrize(
    ("channels", "timeout"), [((), None), (("a b",), None), (("a",), -1), (("a",), "1")]
)
def test_what_cannot_be_followed_is_refused(twin, channels, timeout):
    """No channel, a malformed one, and a time-out that is none."""
    with pytest.raises(Rejected):
        twin.follow(*channels, timeout=timeout)


# Assertions


def test_assert_triggered_passes(twin):
    """What is not given matches any."""
    twin.trigger(["a", "b"], "new", {"at": (1, 2)})

    twin.assert_triggered()
    twin.assert_triggered(times=2)
    twin.assert_triggered(channel="a", event="new", data={"at": [1, 2]}, times=1)
    twin.assert_triggered(data={"at": (1, 2)})
    twin.assert_triggered(channel="c", times=0)
    twin.assert_triggered(data=None, times=0)


@pytest.mark.parametrize(
    "asked",
    [{"channel": "b"}, {"event": "old"}, {"data": 2}, {"data": None}, {"times": 2}, {"times": 0}],
)
def test_assert_triggered_fails(twin, asked):
    """It lists what was triggered."""
    twin.trigger("a", "new", {"by": "ana"})

    with pytest.raises(AssertionError) as caught:
        twin.assert_triggered(**asked)

    assert "channel='a' event='new' data={'by': 'ana'}" in str(caught.value)


def test_a_failure_reads_well(twin):
    """It says what was expected, what matched, and what there is."""
    twin.trigger("a", "new", 1)

    with pytest.raises(AssertionError) as caught:
        twin.assert_triggered(channel="b", data={"x": 1}, times=1)

    assert str(caught.value) == (
        "expected 1 event with channel='b', data={'x': 1}; 0 matched. Triggered:\n"
        "  1. channel='a' event='new' data=1"
    )


def test_nothing_was_triggered(twin):
    """`assert_nothing_triggered` fails where something was."""
    twin.assert_nothing_triggered()
    with pytest.raises(AssertionError, match="Nothing was triggered"):
        twin.assert_triggered()
    twin.trigger("a", "new", 1)

    with pytest.raises(AssertionError, match="expected no event"):
        twin.assert_nothing_triggered()
