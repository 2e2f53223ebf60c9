"""What AMQP_URL may hold, and what is said of the rest."""

from __future__ import annotations

import logging
import threading
import traceback
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from quorum.errors import ConfigurationError
from quorum.services.amqp.server import ServerBroker
from quorum.services.amqp.server.options import Options, options_of, parameters_of
from quorum.settings import AmqpSettings

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "s3cret-" + "Pass"


def broker(url: str, **settings: Any) -> ServerBroker:
    return ServerBroker(AmqpSettings(url=url, **settings), scope=nullcontext)


def options(url: str) -> Options:
    return options_of(AmqpSettings(url=url))


@pytest.mark.parametrize(
    "url",
    ["http://host", "amqp:/host", "amqp//host", "host:5672", "", "amqp://ho st", "amqp://h:99999"],
)
def test_a_url_that_is_malformed_is_refused_by_its_setting(url: str) -> None:
    """Before anything is built, and without the value."""
    with pytest.raises(ValidationError) as caught:
        AmqpSettings(url=url)
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize(
    ("rest", "rule"),
    [
        ("/?colour=blue", "'colour', which is no option"),
        ("/?heartbeat=often", "heartbeat as a number from 0 to 600"),
        ("/?heartbeat=-1", "heartbeat as a number from 0 to 600"),
        ("/?heartbeat=9999", "heartbeat as a number from 0 to 600"),
        ("/?channel_max=1", "channel_max as a number from 16"),
        ("/?frame_max=1", "frame_max as a number from 4096"),
        ("/a/b", "one virtual host; write %2f"),
        (f"/{'v' * 256}", "a virtual host of at most 255 bytes"),
        ("/?cafile=ca.pem", "options of TLS and asks for none; write amqps://"),
    ],
)
def test_an_option_that_is_wrong_stops_the_service(rest: str, rule: str) -> None:
    """As it is built, with the name of the setting, and no part of the URL."""
    with pytest.raises(ConfigurationError, match="AMQP_URL") as caught:
        broker(f"amqp://ana:{PASSWORD}@host{rest}".replace("?cafile=ca.pem", f"?cafile={__file__}"))
    assert rule in str(caught.value)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("cafile=/nowhere/ca.pem", "cafile as the path of a file that is there"),
        ("ssl_options=cafile", "ssl_options as a dict of Python"),
        ("ssl_options={'cert_reqs': 0}", "'cert_reqs' in ssl_options"),
        ("ssl_options={'password': " + f"'{PASSWORD}', 'certfile': '/nowhere'" + "}", "certfile"),
        (f"keyfile={__file__}", "certfile beside keyfile"),
    ],
)
def test_an_option_of_tls_that_is_wrong_stops_the_service(query: str, rule: str) -> None:
    """Verification cannot be switched off; the password of a key is not told."""
    with pytest.raises(ConfigurationError, match="AMQP_URL") as caught:
        broker(f"amqps://host?{query}".replace(" ", "%20"))
    assert rule in str(caught.value)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_a_certificate_that_is_none_is_told_where_it_is_read() -> None:
    """A file that is there, and holds something else."""
    with pytest.raises(ConfigurationError, match="a certificate, a key or ciphers"):
        parameters_of(AmqpSettings(url=f"amqps://host?cafile={__file__}"))


def test_what_is_percent_encoded_is_decoded() -> None:
    """User, password and virtual host."""
    found = options("amqp://an%40a:p%2Fw%3A@host:1234/a%2fb")
    assert (found.user, found.password, found.virtual_host) == ("an@a", "p/w:", "a/b")
    assert (found.host, found.port, found.tls) == ("host", 1234, None)


@pytest.mark.parametrize("path", ["", "/", "/%2f", "/%2F"])
def test_the_default_virtual_host_is_a_slash(path: str) -> None:
    """Named or not."""
    assert options(f"amqp://host{path}").virtual_host == "/"


def test_ports_and_users_have_the_defaults_of_the_field() -> None:
    """5672, 5671 over TLS, and guest."""
    assert (options("amqp://host").port, options("amqps://host").port) == (5672, 5671)
    assert (options("amqp://host").user, options("amqp://host").password) == ("guest", "guest")
    assert options("amqp://ana@host").password == ""


def test_tls_is_verified_whatever_the_options(tmp_path: Path) -> None:
    """The name and the chain; `server_hostname` may say which name."""
    for query in ("", "?server_hostname=broker.example", "?ssl_options={'ciphers':'HIGH'}"):
        tls = parameters_of(AmqpSettings(url=f"amqps://host{query}")).ssl_options
        assert tls.context.check_hostname
        assert tls.context.verify_mode.name == "CERT_REQUIRED"
    named = AmqpSettings(url="amqps://host?server_hostname=broker.example")
    assert parameters_of(named).ssl_options.server_hostname == "broker.example"


def test_heartbeats_are_ours_unless_the_url_gives_one() -> None:
    """10 seconds; none at all is not to be had, for a consumer would never see the end."""
    for query, seconds in (("", 10), ("?heartbeat=30", 30), ("?heartbeat=0", 10)):
        assert parameters_of(AmqpSettings(url=f"amqp://host{query}")).heartbeat == seconds


def test_options_that_would_break_a_promise_are_not_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says which, and what bounds a call instead."""
    url = f"amqp://ana:{PASSWORD}@host?connection_attempts=5&socket_timeout=60&heartbeat=0"
    with caplog.at_level(logging.WARNING, "quorum.amqp"):
        broker(url)
    assert "connection_attempts and socket_timeout" in caplog.text
    assert "heartbeat=0" in caplog.text
    assert PASSWORD not in caplog.text
    parameters = parameters_of(AmqpSettings(url=url, timeout=3))
    assert (parameters.connection_attempts, parameters.socket_timeout) == (1, 3)


def test_no_secret_is_in_what_is_printed() -> None:
    """Of the options, which hold it."""
    assert PASSWORD not in repr(options(f"amqp://ana:{PASSWORD}@host"))


def test_building_a_service_connects_to_nothing() -> None:
    """And begins no thread."""
    before = threading.active_count()
    broker("amqp://nowhere.invalid:1").close()
    assert threading.active_count() == before
