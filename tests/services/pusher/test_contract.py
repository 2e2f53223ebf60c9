"""What every pusher promises: one suite for the embedded twin and for a real server."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import pickle
import string
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pusher import Pusher as VendorsPusher

from quorum.errors import Rejected, ServiceError, Unavailable, Unsupported
from quorum.services.pusher.base import Event
from tests.servers import PusherServer

ALLOWED = string.ascii_letters + string.digits + "_-=@,.;"
LARGEST = 10 * 1024


class Unlike:
    """What JSON cannot say."""


@pytest.fixture
def vendor() -> VendorsPusher:
    """Build the vendor's client with the keys of the pusher."""
    return VendorsPusher(PusherServer.app_id, PusherServer.key, PusherServer.secret)


# Triggering


@pytest.mark.parametrize(
    "data",
    [
        {"a": [1, 2.5, None, True, {"b": "ü€🎉"}]},
        [],
        {},
        "text",
        "",
        "ünïcödé €🎉\u2028\x00",
        'half of {"JSON',
        0,
        False,
        None,
        10**20,
    ],
)
def test_an_event_comes_with_its_data(pusher, listen, channel, data):
    """Who follows the channel has the event, with text as it was or what JSON says."""
    listener = listen(channel)

    pusher.trigger(channel, "new", data)

    assert listener.hear() == (channel, "new", data)


def test_tuples_come_as_lists(pusher, listen, channel):
    """JSON has no tuples."""
    listener = listen(channel)

    pusher.trigger(channel, "new", {"at": (1, 2)})

    assert listener.hear().data == {"at": [1, 2]}


def test_only_those_who_follow_hear_it(pusher, listen, channel):
    """An event on one channel does not come on another."""
    listener = listen(channel)

    pusher.trigger(f"{channel}-other", "first", 1)
    pusher.trigger(channel, "second", 2)

    assert listener.hear().name == "second"


def test_all_who_follow_hear_it(pusher, listen, channel):
    """Each visitor has every event."""
    listeners = [listen(channel) for _ in range(3)]

    pusher.trigger(channel, "new", 1)

    assert [listener.hear().data for listener in listeners] == [1, 1, 1]


def test_one_event_goes_to_many_channels(pusher, listen, channel):
    """One call reaches as many as 100 channels."""
    names = [f"{channel}-{number}" for number in range(100)]
    listener = listen(names[0], names[99])

    pusher.trigger(names, "new", 1)

    assert {listener.hear().channel, listener.hear().channel} == {names[0], names[99]}


@pytest.mark.parametrize("kind", [list, tuple, iter, dict.fromkeys])
def test_channels_may_be_in_any_list(pusher, listen, channel, kind):
    """A list, a tuple or an iterator names channels; a dictionary does not."""
    listener = listen(channel)
    if kind == dict.fromkeys:
        with pytest.raises(Rejected):
            pusher.trigger(kind([channel]), "new", 1)
    else:
        pusher.trigger(kind([channel]), "new", 1)

        assert listener.hear().channel == channel


def test_a_channel_that_is_named_twice_is_one(pusher, listen, channel):
    """No visitor has an event twice since a channel was named twice."""
    listener = listen(channel)

    pusher.trigger([channel, channel], "first", 1)
    pusher.trigger(channel, "second", 2)

    assert [listener.hear().name, listener.hear().name] == ["first", "second"]


def test_who_caused_it_is_left_out(pusher, listen, channel):
    """Whoever has the socket id does not hear the event; others do."""
    author, reader = listen(channel), listen(channel)

    pusher.trigger(channel, "first", 1, socket_id=author.socket_id)
    pusher.trigger(channel, "second", 2)

    assert author.hear().name == "second"
    assert reader.hear().name == "first"


def test_events_come_in_their_order(pusher, listen, channel):
    """Of one thread, each event comes after the one before."""
    listener = listen(channel)

    for number in range(20):
        pusher.trigger(channel, "new", number)

    assert [listener.hear().data for _ in range(20)] == list(range(20))


def test_threads_share_one_pusher(pusher, listen, channel):
    """8 threads trigger at once, and each event comes once."""
    listener = listen(channel)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: pusher.trigger(channel, "new", number), range(80)))

    assert sorted(listener.hear().data for _ in range(80)) == list(range(80))


def test_the_longest_names_are_taken(pusher, listen, channel):
    """A channel of 164 characters of every kind, and an event of 200."""
    long = (f"{channel}-{ALLOWED}" + "x" * 164)[:164]
    listener = listen(long)

    pusher.trigger(long, "é" * 200, 1)

    assert listener.hear() == (long, "é" * 200, 1)


@pytest.mark.parametrize(
    "data",
    ["x" * LARGEST, "é" * (LARGEST // 2), "x" * (LARGEST - 4) + "🎉", ["x" * (LARGEST - 4)]],
)
@pytest.mark.parametrize("way", ["trigger", "trigger_batch"])
def test_the_largest_data_is_taken(pusher, listen, channel, data, way):
    """10 kB are taken, in whatever script, by themselves and in a batch."""
    listener = listen(channel)

    if way == "trigger":
        pusher.trigger(channel, "new", data)
    else:
        pusher.trigger_batch([Event(channel, "new", data)])

    assert listener.hear().data == data


# What is refused


BAD_CHANNELS = [
    "",
    " ",
    "a b",
    "a/b",
    "a#b",
    "#server-to-user-1",
    "a:b",
    "é",
    "a\n",
    "a\x00",
    "\ud800",
    "x" * 165,
    "..%2f",
    None,
    1,
    b"a",
    ["a"],
]


@pytest.mark.parametrize("name", BAD_CHANNELS, ids=ascii)
def test_a_malformed_channel_is_refused(pusher, listen, channel, name):
    """A name that Pusher does not allow is refused, also among good ones."""
    listener = listen(channel)

    for channels in (name, [channel, name]):
        if channels != ["a"]:
            with pytest.raises(Rejected):
                pusher.trigger(channels, "new", 1)
    with pytest.raises(Rejected):
        pusher.trigger_batch([Event(channel, "new", 1), Event(name, "new", 1)])

    assert_nothing_came(pusher, listener, channel)


@pytest.mark.parametrize("name", ["", "x" * 201, None, 1, b"new", "\ud800"], ids=ascii)
def test_a_malformed_event_is_refused(pusher, listen, channel, name):
    """The name of an event is text of 1 to 200 characters."""
    listener = listen(channel)

    with pytest.raises(Rejected):
        pusher.trigger(channel, name, 1)
    with pytest.raises(Rejected):
        pusher.trigger_batch([Event(channel, "good", 1), Event(channel, name, 1)])

    assert_nothing_came(pusher, listener, channel)


def circular() -> list[Any]:
    data: list[Any] = []
    data.append(data)
    return data


def deep() -> list[Any]:
    data: list[Any] = []
    for _ in range(100_000):
        data = [data]
    return data


@pytest.mark.parametrize(
    "data",
    [
        Unlike(),
        b"bytes",
        {1, 2},
        {"a": Unlike()},
        {(1, 2): 3},
        math.nan,
        math.inf,
        "\ud800",
        {"a": "\ud800"},
        circular(),
        deep(),
        "x" * (LARGEST + 1),
        "é" * (LARGEST // 2) + "x",
        ["x" * (LARGEST - 3)],
    ],
    ids=range(14),
)
def test_bad_data_is_refused(pusher, listen, channel, data):
    """What JSON cannot say, and more than 10 kB, is refused."""
    listener = listen(channel)

    with pytest.raises(Rejected):
        pusher.trigger(channel, "new", data)
    with pytest.raises(Rejected):
        pusher.trigger_batch([Event(channel, "good", 1), Event(channel, "new", data)])

    assert_nothing_came(pusher, listener, channel)


@pytest.mark.parametrize(
    "socket_id",
    ["", "1", "1.", "1.2\n", "1.2.3", "a.b", "\u0661.\u0662", 1.2, b"1.2", "1.2:private-x"],
)
def test_a_malformed_socket_id_is_refused(pusher, listen, channel, socket_id):
    """A socket id has the form 1234.5678."""
    listener = listen(channel)

    with pytest.raises(Rejected):
        pusher.trigger(channel, "new", 1, socket_id=socket_id)
    with pytest.raises(Rejected):
        pusher.trigger_batch([Event(channel, "new", 1, socket_id)])
    with pytest.raises(Rejected):
        pusher.authenticate(f"private-{channel}", socket_id)

    assert_nothing_came(pusher, listener, channel)


@pytest.mark.parametrize("count", [0, 101])
def test_the_number_of_channels_is_limited(pusher, channel, count):
    """No channel at all, and more than 100, are refused."""
    with pytest.raises(Rejected):
        pusher.trigger([f"{channel}-{number}" for number in range(count)], "new", 1)


def test_encrypted_channels_are_not_supported(pusher, channel):
    """Their events need a master key, which the error says."""
    name = f"private-encrypted-{channel}"

    with pytest.raises(Unsupported, match="master key"):
        pusher.trigger(name, "new", 1)
    with pytest.raises(Unsupported, match="master key"):
        pusher.trigger([channel, name], "new", 1)
    with pytest.raises(Unsupported, match="master key"):
        pusher.trigger_batch([Event(name, "new", 1)])
    with pytest.raises(Unsupported, match="master key"):
        pusher.authenticate(name, "1.2")


def assert_nothing_came(pusher: Any, listener: Any, channel: str) -> None:
    """Assert that what is triggered now is the first that comes."""
    pusher.trigger(channel, "sentinel", 1)
    assert listener.hear().name == "sentinel"


# Batches


def test_a_batch_sends_ten_events(pusher, listen, channel):
    """10 events go in one call, each to its own channel."""
    listener = listen(channel, f"{channel}-other")
    names = [channel, f"{channel}-other"] * 5

    pusher.trigger_batch([Event(name, f"e{n}", {"n": n}) for n, name in enumerate(names)])

    heard = [listener.hear() for _ in range(10)]
    assert sorted(heard, key=lambda event: event.name) == [
        (name, f"e{n}", {"n": n}) for n, name in enumerate(names)
    ]


def test_a_batch_leaves_out_who_caused_an_event(pusher, listen, channel):
    """The socket id of each event is its own."""
    author = listen(channel)

    pusher.trigger_batch([Event(channel, "first", 1, author.socket_id)])
    pusher.trigger_batch([Event(channel, "second", 2)])

    assert author.hear().name == "second"


def test_an_empty_batch_is_a_no_op(pusher):
    """Nothing is sent for no events."""
    pusher.trigger_batch([])
    pusher.trigger_batch(())


@pytest.mark.parametrize(
    "events", [None, 1, "text", [None], [{"channel": "a", "name": "b", "data": 1}], {"a": 1}]
)
def test_a_batch_of_something_else_is_refused(pusher, events):
    """A batch is a list of events."""
    with pytest.raises(Rejected, match=r"quorum\.Event"):
        pusher.trigger_batch(events)


def test_a_batch_of_eleven_is_refused(pusher, listen, channel):
    """10 events are the most, and none of 11 is sent."""
    listener = listen(channel)

    with pytest.raises(Rejected, match="11 events"):
        pusher.trigger_batch([Event(channel, "new", n) for n in range(11)])

    assert_nothing_came(pusher, listener, channel)


# Who may follow


@pytest.mark.parametrize("prefix", ["private-", "presence-", "private-cache-", "presence-cache-"])
def test_leave_to_follow_is_what_the_vendor_gives(pusher, vendor, channel, prefix):
    """The signature has the same bytes as that of the vendor's library."""
    user = {"user_id": "7", "user_info": {"name": "Añá €🎉"}}
    user_or_none = user if prefix.startswith("presence-") else None

    leave = pusher.authenticate(prefix + channel, "123.456", user_or_none)

    assert leave == vendor.authenticate(prefix + channel, "123.456", user_or_none)
    assert json.loads(json.dumps(leave)) == leave


@pytest.mark.parametrize("prefix", ["private-", "presence-"])
def test_who_has_leave_hears_the_channel(pusher, listen, channel, prefix):
    """With what `authenticate` returns, a visitor follows a private or a presence channel."""
    listener = listen(prefix + channel)

    pusher.trigger(prefix + channel, "new", 1)

    assert listener.hear() == (prefix + channel, "new", 1)


def test_a_private_channel_leaves_the_user_out(pusher, channel):
    """One view may answer for both kinds, with the user that it knows."""
    leave = pusher.authenticate(f"private-{channel}", "1.2", {"user_id": "7"})

    assert leave == pusher.authenticate(f"private-{channel}", "1.2")
    assert leave.keys() == {"auth"}


@pytest.mark.parametrize(
    "user",
    [
        None,
        {},
        "ana",
        {"user_id": ""},
        {"user_id": None},
        {"user_id": True},
        {"user_info": {}},
        {"user_id": 1, "name": "ana"},
        {"user_id": 1, "user_info": Unlike()},
        {"user_id": 1, "user_info": math.nan},
    ],
)
def test_a_presence_channel_needs_a_user(pusher, channel, user):
    """A user has an id, and nothing but that and `user_info`."""
    with pytest.raises(Rejected):
        pusher.authenticate(f"presence-{channel}", "1.2", user)


@pytest.mark.parametrize("name", ["public", "Private-a", "privat-a", *BAD_CHANNELS], ids=ascii)
def test_leave_is_given_for_private_channels_only(pusher, name):
    """Neither a public channel nor a malformed one is signed for."""
    with pytest.raises(Rejected):
        pusher.authenticate(name, "1.2", {"user_id": "7"})


# Webhooks


def webhook(**more: Any) -> bytes:
    said = {"time_ms": int(time.time() * 1000), "events": [{"name": "channel_occupied"}]}
    return json.dumps(said | more).encode()


def signature_of(body: bytes) -> str:
    return hmac.new(PusherServer.secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("kind", [bytes, bytes.decode])
def test_a_webhook_of_the_server_is_read(pusher, vendor, kind):
    """What the vendor's library takes is taken, as bytes or as text."""
    data = webhook(text="ü€")
    body, signature = kind(data), signature_of(data)

    said = pusher.validate_webhook(PusherServer.key, signature, body)

    assert said == vendor.validate_webhook(PusherServer.key, signature, body)
    assert said["events"] == [{"name": "channel_occupied"}]


@pytest.mark.parametrize("key", [None, "", "other", "é", "\ud800", PusherServer.key + "x", 1])
def test_a_webhook_of_another_key_is_refused(pusher, key):
    """It may be that of another application on the same server."""
    with pytest.raises(Rejected):
        pusher.validate_webhook(key, signature_of(webhook()), webhook())


@pytest.mark.parametrize("signature", [None, "", "0" * 64, "pä", "\ud800", 1, b"0"])
def test_a_webhook_with_a_wrong_signature_is_refused(pusher, signature):
    """Whatever is in the header, it is an error of ours."""
    with pytest.raises(Rejected):
        pusher.validate_webhook(PusherServer.key, signature, webhook())


def test_a_webhook_that_was_changed_is_refused(pusher):
    """The signature is that of every byte."""
    body = webhook()

    with pytest.raises(Rejected, match="signature"):
        pusher.validate_webhook(PusherServer.key, signature_of(body), body + b" ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'"text"',
        b'{"time_ms": "now"}',
        b'{"time_ms": NaN}',
        b'{"time_ms": 1' + b"0" * 400 + b"}",
        b"\xc3",
    ],
)
def test_a_signed_body_that_is_no_webhook_is_refused(pusher, body):
    """Even what is rightly signed has to say when it was."""
    with pytest.raises(Rejected):
        pusher.validate_webhook(PusherServer.key, signature_of(body), body)


@pytest.mark.parametrize("body", [None, 5, ["a"], {}])
def test_a_webhook_without_a_body_is_refused(pusher, body):
    """What is neither bytes nor text is no body."""
    with pytest.raises(Rejected):
        pusher.validate_webhook(PusherServer.key, signature_of(b""), body)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_webhook_is_refused(pusher, vendor, seconds):
    """One that is more than 5 minutes from now may have been sent again by somebody else."""
    body = webhook(time_ms=int((time.time() + seconds) * 1000))

    with pytest.raises(Rejected, match="5 minutes"):
        pusher.validate_webhook(PusherServer.key, signature_of(body), body)

    assert vendor.validate_webhook(PusherServer.key, signature_of(body), body) is None


# Channels, ping, close


def test_the_channels_that_somebody_follows_are_listed(pusher, listen, channel):
    """Their names are in order; those that begin otherwise are left out."""
    listener = listen(f"{channel}-b", f"{channel}-a", f"other-{channel}")

    assert pusher.channels(channel) == (f"{channel}-a", f"{channel}-b")
    assert f"other-{channel}" in pusher.channels()
    assert pusher.channels(f"other-{channel}") == (f"other-{channel}",)
    assert pusher.channels(f"{channel}=@,.;_-") == ()
    listener.close()


@pytest.mark.parametrize("prefix", [" ", "a&b=c", "é", "x" * 165, None, 1, b"a"])
def test_a_malformed_prefix_is_refused(pusher, prefix):
    """What no name begins with is asked of no server."""
    with pytest.raises(Rejected):
        pusher.channels(prefix)


def test_a_ping_returns(pusher):
    """The server is there."""
    pusher.ping()


def test_calls_are_counted(pusher, channel):
    """Good ones and failed ones."""
    pusher.trigger(channel, "new", 1)
    with pytest.raises(Rejected):
        pusher.trigger("", "new", 1)

    assert (pusher.counts.calls, pusher.counts.failures) == (2, 1)


VERBS = {
    "trigger": lambda pusher: pusher.trigger("a", "new", 1),
    "trigger_batch": lambda pusher: pusher.trigger_batch([]),
    "authenticate": lambda pusher: pusher.authenticate("private-a", "1.2"),
    "validate_webhook": lambda pusher: pusher.validate_webhook("key", "signature", b""),
    "channels": lambda pusher: pusher.channels(),
    "ping": lambda pusher: pusher.ping(),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_closed_pusher_says_so(pusher, verb):
    """After `close`, which may be called twice, every call raises Unavailable."""
    pusher.ping()
    pusher.close()
    pusher.close()

    with pytest.raises(Unavailable, match="closed"):
        verb(pusher)


def test_errors_can_be_pickled(pusher):
    """They may come from a worker."""
    with pytest.raises(Rejected) as caught:
        pusher.trigger("a b", "new", 1)

    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_no_key_is_in_a_repr(pusher):
    """Neither that of the pusher, nor of what it holds."""
    pusher.ping()

    assert PusherServer.secret not in repr(pusher) + repr(vars(pusher)) + repr(pusher.counts)


def test_errors_are_of_this_service(pusher):
    """`service` names it."""
    with pytest.raises(ServiceError) as caught:
        pusher.trigger("a b", "new", 1)

    assert caught.value.service == "pusher"
