"""URLs whose secrets never show, and host names."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from quorum.profiles.urls import (
    AmqpUrl,
    Host,
    HttpUrl,
    MongoUrl,
    RedisUrl,
    SecretUrl,
    is_loopback,
    parse_url,
)


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("redis://user:pw@host:6379/0", "redis://***@host:6379/0"),
        ("redis://:pw@host", "redis://***@host"),
        ("redis://host/0", "redis://host/0"),
        ("redis://host/0?password=pw", "redis://host/0"),
        ("redis://host/0?password=p@w", "redis://***"),
        ("redis://:p#w@host", "redis://***"),
        ("redis://:p/w@host", "redis://***@host"),
        ("redis://:p@w@host", "redis://***@host"),
        ("mongodb://u:p@a:1,b:2/db?x=y", "mongodb://***@a:1,b:2/db"),
        ("no url at all", "***"),
    ],
)
def test_a_secret_url_shows_no_secret(url: str, public: str):
    """User name, password and query are hidden, and everything where their end is in doubt."""
    assert SecretUrl(url).public == public


@pytest.mark.parametrize("form", [str, repr, "{}".format])
def test_every_way_to_print_hides(form):
    """str, repr and format of a secret URL show its public form."""
    assert "pw" not in form(SecretUrl("redis://:pw@host"))
    assert "redis://***@host" in form(SecretUrl("redis://:pw@host"))


def test_the_whole_url_is_asked_for_by_name():
    """`get_secret_value()` gives the URL as it was set."""
    assert SecretUrl("redis://:pw@host").get_secret_value() == "redis://:pw@host"


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (MongoUrl, "mongodb://localhost"),
        (MongoUrl, "mongodb://u:p@one:27017,two:27018,[::1]:27019/shop?replicaSet=rs0"),
        (MongoUrl, "mongodb+srv://u:p@cluster.example.org/shop"),
        (MongoUrl, "mongodb://%2Ftmp%2Fmongodb-27017.sock/shop"),
        (RedisUrl, "redis://"),
        (RedisUrl, "redis:///0"),
        (RedisUrl, "rediss://:p%40w@host:6380/1"),
        (RedisUrl, "unix:///var/run/redis.sock?db=1"),
        (AmqpUrl, "amqp://guest:guest@localhost:5672/%2F?heartbeat=30"),
        (AmqpUrl, "amqps://[::1]:5671/"),
        (HttpUrl, "https://example.org:8443/sub"),
    ],
)
def test_good_urls_are_taken(kind, url: str):
    """Replica sets, sockets, addresses in brackets and percent-encoded passwords are good URLs."""
    taken = TypeAdapter(kind).validate_python(url)

    assert (taken if kind is HttpUrl else taken.get_secret_value()) == url


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (MongoUrl, "http://localhost"),
        (MongoUrl, "mongodb://"),
        (MongoUrl, "mongodb://one,,two"),
        (MongoUrl, "mongodb://one:27017,two:port"),
        (MongoUrl, "localhost:27017"),
        (RedisUrl, "redis:host"),
        (RedisUrl, "redis://one,two"),
        (RedisUrl, "redis://host:99999"),
        (RedisUrl, "redis://host\n"),
        (RedisUrl, "redis://:p w@host"),
        (RedisUrl, "redis://:[@host"),
        (AmqpUrl, "amqp://u:12/3@host"),
        (AmqpUrl, "amqp://u:12#3@host"),
        (AmqpUrl, "amqp://u:12?3@host"),
        (HttpUrl, "https://user:pw@example.org"),
        (HttpUrl, "https://user:12/3@example.org"),
        (HttpUrl, "https://example.org?token=pw"),
        (HttpUrl, "https://"),
        (HttpUrl, "example.org"),
    ],
)
def test_bad_urls_are_refused(kind, url: str):
    """Another scheme, no host, a bad port, blanks, and an @ after the host are refused."""
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(url)


def test_a_public_url_loses_its_last_slash():
    """`https://example.org/` and `https://example.org` are one setting."""
    assert TypeAdapter(HttpUrl).validate_python("https://example.org/") == "https://example.org"


@pytest.mark.parametrize(
    "host", ["mail", "mail.example.org", "127.0.0.1", "::1", "my_mail", "mail."]
)
def test_host_names_and_addresses_are_hosts(host: str):
    """A host is a name or an address of either family."""
    assert TypeAdapter(Host).validate_python(host) == host


@pytest.mark.parametrize(
    "host", ["", "a b", "user@mail", "http://mail", "mail/x", "a:b:c", "-mail"]
)
def test_what_is_more_than_a_host_is_refused(host: str):
    """A host has no scheme, user, path or blank."""
    with pytest.raises(ValidationError):
        TypeAdapter(Host).validate_python(host)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.8.8", "::1", "[::1]"]
)
def test_loopback_is_this_machine(host: str):
    """localhost and the loopback addresses can only be this machine."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["mail", "localhost.example.org", "0.0.0.0", "::", "128.0.0.1", ""]
)
def test_what_may_be_another_machine_is_not_loopback(host: str):
    """A name is never looked up, so any other may be another machine."""
    assert not is_loopback(host)


@pytest.mark.parametrize("url", ["redis://h:99999", "redis://h:port"])
def test_a_place_that_is_none_is_not_blamed_on_the_password(url: str):
    """The sentence is about host and port."""
    with pytest.raises(ValueError, match="host") as caught:
        parse_url(url, ("redis",))
    assert "percent-encode" not in str(caught.value)
