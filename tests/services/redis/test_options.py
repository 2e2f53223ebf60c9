"""What REDIS_URL may hold, and what is said of the rest."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import redis
from pydantic import ValidationError

from quorum.errors import ConfigurationError
from quorum.services.redis.server import ServerRedis
from quorum.settings import RedisSettings
from tests.servers import RedisServer

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "s3cret-" + "Pass"
live = pytest.mark.live("redis")


def service(url: str, **settings: Any) -> ServerRedis:
    return ServerRedis(RedisSettings(url=url, **settings), prefix="shop")


@pytest.mark.parametrize(
    "url",
    [
        "http://host",
        "redis:/host",
        "redis//host",
        "host:6379",
        "",
        "redis://ho st",
        "redis://h:99999",
    ],
)
def test_a_url_that_is_malformed_is_refused_by_its_setting(url: str) -> None:
    """Before anything is built, and without the value."""
    with pytest.raises(ValidationError) as caught:
        RedisSettings(url=url)
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("/0?colour=blue", "'colour', which is no option"),
        ("/0?max_connections=many", "max_connections as a number from 1"),
        ("/0?max_connections=0", "max_connections as a number from 1"),
        ("/0?max_connections=-1", "max_connections as a number from 1"),
        ("/0?protocol=4", "protocol as a number from 2 to 3"),
        ("/0?decode_responses=perhaps", "decode_responses as true or false"),
        ("/0?socket_read_size=big", "holds an option that is wrong"),
        ("/0?single_connection_client=true", "must not hold single_connection_client"),
        ("/shop", "must name its database by a number"),
        ("/1/2", "must name its database by a number"),
        ("/0?db=x", "db as a number from 0"),
        ("/0?ssl_ca_certs=ca.pem", "'ssl_ca_certs' and asks for no TLS; write rediss://"),
        ("/0?connection_class=x", "'connection_class', which is no option"),
    ],
)
def test_an_option_that_is_wrong_stops_the_service(query: str, rule: str) -> None:
    """As it is built, with the name of the setting, and no part of the URL."""
    with pytest.raises(ConfigurationError, match="REDIS_URL") as caught:
        service(f"redis://ana:{PASSWORD}@host{query}")
    assert rule in str(caught.value)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ("ssl_cert_reqs=maybe", "required, optional or none"),
        ("ssl_min_version=1.2", "771 (TLS 1.2) or 772 (TLS 1.3)"),
        ("ssl_check_hostname=perhaps", "ssl_check_hostname as true or false"),
    ],
)
def test_an_option_of_tls_that_is_wrong_stops_the_service(option: str, rule: str) -> None:
    """Rather than the first command, with an error that is redis-py's."""
    with pytest.raises(ConfigurationError, match="REDIS_URL") as caught:
        service(f"rediss://:{PASSWORD}@host?{option}")
    assert rule in str(caught.value)


def test_options_that_would_break_a_promise_are_not_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says which, and what bounds a call instead."""
    with caplog.at_level(logging.WARNING, "quorum.redis"):
        client = service(
            f"redis://:{PASSWORD}@host?socket_timeout=60&retry_on_timeout=true"
            "&health_check_interval=0"
        ).client
    options = client.connection_pool.connection_kwargs
    assert not {"socket_timeout", "retry_on_timeout", "health_check_interval"} & options.keys()
    assert "health_check_interval and retry_on_timeout and socket_timeout" in caplog.text
    assert PASSWORD not in caplog.text


def test_building_a_service_connects_to_nothing() -> None:
    """Neither the service, nor its client, nor a lock."""
    service("redis://nowhere.invalid:1").lock("job")
    assert isinstance(service("redis://nowhere.invalid:1").client, redis.Redis)


@live
def test_options_are_taken(redis_server: RedisServer) -> None:
    """Decoding, name, protocol, database and number of connections."""
    query = "?decode_responses=true&client_name=shop&protocol=2&max_connections=7&db=3"
    built = service(f"{redis_server.url}{query}".replace("/0?", "/?"))
    built.client.set("a", "Olá")
    assert built.client.get("a") == "Olá"
    about = built.client.client_info()
    assert (about["name"], about["resp"], about["db"]) == ("shop", "2", 3)
    assert built.client.connection_pool.max_connections == 7
    built.client.flushdb()
    built.close()


@live
def test_decoding_may_be_switched_off(redis_server: RedisServer) -> None:
    """redis-py would take any text for true."""
    built = service(f"{redis_server.url}?decode_responses=false")
    built.client.set("a", 1)
    assert built.client.get("a") == b"1"
    built.close()


@live
def test_a_socket_of_this_machine_is_spoken_to(tmp_path: Path, stack: Any) -> None:
    """`unix://`, within the same deadline."""

    class Local(RedisServer):
        @property
        def command(self) -> list[str]:
            return [*super().command, "--unixsocket", str(tmp_path / "redis.sock")]

    server = stack.enter_context(Local(tmp_path))
    built = service(f"unix://{tmp_path}/redis.sock?db=1", timeout=0.5)
    stack.callback(built.close)
    assert built.client.set("a", 1) is True
    assert built.client.client_info()["db"] == 1
    server.pause()
    with pytest.raises(redis.TimeoutError):
        built.client.get("a")
    server.resume()
    server.stop()
    with pytest.raises(redis.ConnectionError):
        built.client.get("a")
