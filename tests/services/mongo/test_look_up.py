"""MONGO_URL as mongodb+srv: the look-up of its servers never holds a call up."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import dns.message
import dns.resolver
import dns.rrset
import pytest

from quorum import Container, Settings
from quorum.errors import ServiceError, TimedOut, Unavailable
from quorum.services.mongo.server import ServerMongo
from quorum.settings import MongoSettings
from tests.servers import LOCAL
from tests.waiting import at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "mongodb+srv://ana:PWSECRET@db.shop.test/?tls=false"


class NameServer:
    """A DNS server that knows one service, and says nothing while `silent`."""

    def __init__(self) -> None:
        self.silent = True
        self.asked = 0
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind((LOCAL, 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, address = self._socket.recvfrom(4096)
            if not data:
                return
            self.asked += 1
            if self.silent:
                continue
            answer = dns.message.make_response(dns.message.from_wire(data))
            question = answer.question[0]
            if question.rdtype == dns.rdatatype.SRV:
                found = dns.rrset.from_text(question.name, 60, "IN", "SRV", "0 0 1 a.shop.test.")
                answer.answer.append(found)
            self._socket.sendto(answer.to_wire(), address)

    def close(self) -> None:
        """End it by an empty datagram."""
        with socket.socket(type=socket.SOCK_DGRAM) as own:
            own.sendto(b"", (LOCAL, self.port))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """The DNS server of this process; silent at first."""
    names = NameServer()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [LOCAL], names.port
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    yield names
    names.close()


@pytest.fixture
def mongo(names: NameServer) -> Iterator[ServerMongo]:
    """A service whose servers stand in the DNS."""
    mongo = ServerMongo(MongoSettings(url=URL, timeout=1), database="shop")
    yield mongo
    mongo.close()


def test_a_silent_dns_server_holds_no_call_up(mongo: ServerMongo) -> None:
    """Eight threads at once wait for one look-up, none longer than MONGO_TIMEOUT."""
    taken: list[float] = []

    def call() -> None:
        start = time.monotonic()
        with pytest.raises(ServiceError, match="look"):
            _ = mongo.client
        taken.append(time.monotonic() - start)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 8
    assert max(taken) < 3


def test_a_ping_waits_for_its_own_limit_only(names: NameServer) -> None:
    """A second at most, and the error tells what to look at."""
    mongo = ServerMongo(MongoSettings(url=URL), database="shop")
    with at_most(1), pytest.raises(TimedOut, match="check its DNS server") as caught:
        mongo.ping()
    assert "PWSECRET" not in str(caught.value)
    mongo.close()


def test_readiness_answers_within_a_second(names: NameServer) -> None:
    """A service that is configured and was never used is down, and holds nothing up."""
    container = Container(settings=Settings(mongo={"url": URL}))
    container.mongo()
    with at_most(1):
        report = container.health().check()
    assert report.status == "down"
    container.ledger.close()


def test_the_same_service_works_once_the_dns_server_answers(
    mongo: ServerMongo, names: NameServer
) -> None:
    """A failed look-up is not kept."""
    with pytest.raises(ServiceError):
        _ = mongo.client
    names.silent = False
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            assert mongo.client.topology_description
        except (TimedOut, Unavailable):
            continue
        return
    pytest.fail("the DNS server answers, and the service does not work")


def test_what_is_known_is_not_looked_up_again(mongo: ServerMongo, names: NameServer) -> None:
    """One client serves every call."""
    names.silent = False
    client = mongo.client
    asked = names.asked
    assert mongo.client is client
    assert names.asked == asked
