"""Redis over TLS (`rediss://`): verified, and within the same deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis
import trustme

from quorum.errors import TimedOut, Unavailable
from quorum.services.redis import pool as pools
from quorum.services.redis.server import ServerRedis
from quorum.settings import RedisSettings
from tests.proxy import Proxy
from tests.servers import RedisServer, ServerProcess
from tests.waiting import at_most

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
    from pathlib import Path

pytestmark = pytest.mark.live("redis")


class TlsRedisServer(RedisServer):
    """Redis that speaks TLS alone."""

    @property
    def command(self) -> Sequence[str]:
        words = [*super().command, "--tls-port", str(self.port), "--tls-auth-clients", "no"]
        words[words.index("--port") + 1] = "0"
        certificate = str(self.folder / "server.pem")
        words += ["--tls-cert-file", certificate, "--tls-key-file", certificate]
        return [*words, "--tls-ca-cert-file", str(self.folder / "authority.pem")]

    def answers(self) -> bool:
        """Tell whether it accepts connections: it has no data to read."""
        return ServerProcess.answers(self)


@pytest.fixture
def server(stack: ExitStack, tmp_path: Path) -> TlsRedisServer:
    """Start a server whose certificate is for 127.0.0.1."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    return stack.enter_context(TlsRedisServer(tmp_path))


@pytest.fixture
def over_tls(stack: ExitStack, tmp_path: Path) -> Callable[..., ServerRedis]:
    """Build a service that trusts the server's authority."""

    def build(server: Any, query: str | None = None, **settings: Any) -> ServerRedis:
        query = f"?ssl_ca_certs={tmp_path}/authority.pem" if query is None else query
        url = f"rediss://127.0.0.1:{server.port}/0{query}"
        service = ServerRedis(RedisSettings(url=url, **settings), prefix="shop")
        stack.callback(service.close)
        return service

    return build


def test_commands_travel_over_tls(server: Any, over_tls: Any) -> None:
    """Small ones and large ones, pipelines and subscriptions."""
    client = over_tls(server).client
    value = bytes(range(256)) * 2**14
    assert client.set("large", value) is True
    assert client.get("large") == value
    assert client.pipeline().incr("n").incr("n").execute() == [1, 2]
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
        client.publish("news", "hello")
        assert pubsub.get_message(timeout=5)["data"] == b"hello"


def test_one_connection_is_used_again(server: Any, over_tls: Any) -> None:
    """What TLS sends by itself does not make it look dead."""
    client = over_tls(server).client
    assert len({client.client_id() for _ in range(5)}) == 1


def test_an_idle_connection_is_asked(
    server: Any, over_tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on if it answers."""
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)
    client = over_tls(server).client
    assert len({client.client_id() for _ in range(3)}) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(server: Any, over_tls: Any) -> None:
    """The server is verified unless the URL says otherwise."""
    with pytest.raises(Unavailable, match="certificate verify failed"):
        over_tls(server, "").ping()
    over_tls(server, "?ssl_cert_reqs=none").ping()


def test_a_restart_is_not_noticed(server: Any, over_tls: Any) -> None:
    """A connection that the server closed is replaced before anything is sent."""
    client = over_tls(server).client
    client.set("a", 1)
    server.restart()
    assert client.get("a") == b"1"


def test_a_stalled_handshake_is_timed_out(server: Any, over_tls: Any, stack: ExitStack) -> None:
    """The handshake has what is left of the deadline."""
    proxy = stack.enter_context(Proxy(server.port))
    proxy.stalled = True
    service = over_tls(proxy, timeout=1)
    with at_most(1.5), pytest.raises(TimedOut):
        service.ping()
    with at_most(1.5), pytest.raises(redis.TimeoutError):
        service.client.get("a")


def test_a_stalled_large_value_is_timed_out(server: Any, over_tls: Any, stack: ExitStack) -> None:
    """Records of TLS are no progress by themselves."""
    proxy = stack.enter_context(Proxy(server.port))
    client = over_tls(proxy, timeout=1).client
    client.ping()
    proxy.stalled = True
    with at_most(4), pytest.raises(redis.TimeoutError):
        client.set("a", b"x" * 2**25)
