"""The driver's settings: bounded, confirming, and lazy, whatever the URL says."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.write_concern import WriteConcern

from quorum.errors import ConfigurationError, Rejected, ServiceError, TimedOut, Unavailable
from quorum.services.mongo.options import client_options
from quorum.services.mongo.server import ServerMongo
from quorum.settings import MongoSettings
from tests.servers import LOCAL, free_port
from tests.services.mongo.servers import direct, in_child
from tests.waiting import at_most, wait_until

if TYPE_CHECKING:
    from tests.proxy import Proxy
    from tests.servers import MongoServer

live = pytest.mark.live("mongo")
forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

NOWHERE = f"mongodb://{LOCAL}:1"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "timeoutMS=600000&connectTimeoutMS=600000&serverSelectionTimeoutMS=600000",
        "connectTimeoutMS=0&serverSelectionTimeoutMS=0&socketTimeoutMS=0",
        "waitQueueTimeoutMS=600000",
        "TIMEOUTMS=600000",
        "timeoutMS=%36000000",
    ],
)
def test_no_url_lengthens_a_call(connect: Any, query: str) -> None:
    """No wait is longer than MONGO_TIMEOUT, whatever the URL asks for."""
    options = connect(f"{NOWHERE}/?{query}", timeout=2).client.options
    assert options.timeout == 2
    assert 0 < options.server_selection_timeout <= 2
    assert 0 < options.pool_options.connect_timeout <= 2
    assert 0 < options.pool_options.wait_queue_timeout <= 2


def test_a_url_may_shorten_a_call(connect: Any) -> None:
    """The shorter of two limits holds."""
    options = connect(f"{NOWHERE}/?timeoutMS=300&connectTimeoutMS=200").client.options
    assert (options.timeout, options.pool_options.connect_timeout) == (0.3, 0.2)


@pytest.mark.parametrize(
    ("query", "concern"),
    [
        ("", {"w": "majority", "j": True}),
        ("w=1", {"w": "majority", "j": True}),
        ("w=majority", {"w": "majority", "j": True}),
        ("w=dc1", {"w": "dc1", "j": True}),
        ("w=", {"w": "majority", "j": True}),
        ("journal=false", {"w": "majority", "j": True}),
        ("fsync=true", {"w": "majority", "fsync": True}),
        ("wTimeoutMS=100", {"w": "majority", "j": True, "wtimeout": 100}),
    ],
)
def test_no_url_weakens_a_write(connect: Any, query: str, concern: Any) -> None:
    """A write is acknowledged by a majority, from the disk; a rule of one's own is kept."""
    mongo = connect(f"{NOWHERE}/?{query}")
    assert mongo.client.write_concern == WriteConcern(**concern)
    assert mongo.collection("entries").write_concern.acknowledged


def test_a_weaker_write_concern_is_told(connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A number in the URL is replaced, and the log says so."""
    with caplog.at_level(logging.WARNING, "quorum.mongo"):
        _ = connect(f"{NOWHERE}/?w=1").client
    assert "w=1 in MONGO_URL may be less than a majority" in caplog.text


@pytest.mark.parametrize("query", ["w=0", "W=0", "w=%30", "w=00", "retryWrites=true;w=0"])
def test_an_unconfirmed_write_is_impossible(query: str) -> None:
    """Also where the settings did not see it: what the client is built with wins."""
    assert client_options(f"{NOWHERE}/?{query}", 5, "shop")["w"] == "majority"


def test_repetitions_are_on(connect: Any) -> None:
    """Reads and single writes are repeated by the driver; a URL may turn that off."""
    options = connect(NOWHERE).client.options
    assert (options.retry_writes, options.retry_reads) == (True, True)
    assert connect(f"{NOWHERE}/?retryWrites=false").client.options.retry_writes is False


def test_moments_are_aware_and_the_application_is_named(connect: Any) -> None:
    """`tz_aware` always; `appname` is the database unless the URL names one."""
    options = connect(f"{NOWHERE}/?tz_aware=false").client.options
    assert options.codec_options.tz_aware
    assert options.pool_options.appname == "shop"
    assert connect(f"{NOWHERE}/?appName=till").client.options.pool_options.appname == "till"


def test_other_options_of_the_url_hold(connect: Any) -> None:
    """What breaks no promise is the user's to choose."""
    client = connect(
        f"{NOWHERE}/?maxPoolSize=7&readPreference=secondary&directConnection=true"
    ).client
    assert client.options.pool_options.max_pool_size == 7
    assert client.read_preference.mode == 2


# Bad input

BAD = {
    "given twice": "mongodb://ana:PWSECRET@h/?maxPoolSize=2&MAXPOOLSIZE=3",
    "Unknown option: foo": "mongodb://ana:PWSECRET@h/?foo=bar",
    "maxpoolsize must be an integer": "mongodb://ana:PWSECRET@h/?maxPoolSize=PWSECRET",
    "Bad database name": "mongodb://ana:PWSECRET@h/a/b",
    "must be escaped": "mongodb://ana:b:PWSECRET@h/",
    "key=value pairs": "mongodb://ana:PWSECRET@h/?w",
    "MONGO_URL": "mongodb://ana:PWSECRET@h/?authMechanismProperties=PWSECRET:x",
    "conflicting values": "mongodb://ana:PWSECRET@h/?tls=true&ssl=false",
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_url_that_the_driver_refuses_is_told_without_its_secrets(sentence: str) -> None:
    """An error of ours that names MONGO_URL, when it is first used."""
    mongo = ServerMongo(MongoSettings(url=BAD[sentence]), database="shop")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=sentence) as caught:
            _ = mongo.client
        assert "MONGO_URL" in str(caught.value)
        assert "PWSECRET" not in "".join(traceback.format_exception(caught.value))
    mongo.close()


def test_a_host_that_cannot_be_looked_up_is_unavailable() -> None:
    """A mongodb+srv URL needs DNS."""
    mongo = ServerMongo(MongoSettings(url="mongodb+srv://ana:PWSECRET@h.invalid/"), database="shop")
    with pytest.raises(Unavailable, match="cannot be looked up") as caught:
        mongo.ping()
    assert "PWSECRET" not in "".join(traceback.format_exception(caught.value))
    mongo.close()


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a" * 64, "a\0b", "a$b", "a/b"], ids=ascii)
def test_a_bad_name_of_the_database_is_refused(name: str) -> None:
    """When the service is built, before anything is sent."""
    with pytest.raises(Rejected, match="is no name of a database"):
        ServerMongo(MongoSettings(url=NOWHERE), database=name)


@pytest.mark.parametrize("closed", [False, True])
def test_no_error_and_no_repr_holds_the_password(connect: Any, closed: bool) -> None:
    """Nor does anything that is chained to it."""
    mongo = connect(f"mongodb://ana:PWSECRET@{LOCAL}:{free_port()}/?authSource=admin", timeout=0.3)
    texts = [repr(mongo), repr(mongo.client), repr(mongo.collection("entries"))]
    if closed:
        mongo.close()
    for ask in (mongo.ping, lambda: mongo.collection("entries").find_one()):
        with pytest.raises(Exception, match=r".") as caught:
            ask()
        texts.append("".join(traceback.format_exception(caught.value)))
    assert "PWSECRET" not in "".join(texts)


# Ping


@live
def test_a_ping_with_a_refused_password_is_rejected(
    connect: Any, mongo_server: MongoServer
) -> None:
    """It says what to check, and not the password."""
    mongo = connect(f"mongodb://ana:PWSECRET@{LOCAL}:{mongo_server.port}/")
    with pytest.raises(Rejected, match=r"refused the .* password .*check MONGO_URL") as caught:
        mongo.ping()
    assert "PWSECRET" not in "".join(traceback.format_exception(caught.value))


def test_a_ping_names_the_server(connect: Any) -> None:
    """Its address, without user and password; within a second."""
    port = free_port()
    mongo = connect(f"mongodb://ana:PWSECRET@{LOCAL}:{port}/")
    with (
        at_most(1),
        pytest.raises(Unavailable, match=rf"mongodb://\*\*\*@{LOCAL}:{port}/ cannot be"),
    ):
        mongo.ping()


@live
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "pooled"])
def test_a_ping_of_a_server_that_hangs_is_over_within_a_second(
    connect: Any, proxy: Proxy, used: bool
) -> None:
    """With an idle connection and without."""
    mongo = connect(direct(proxy.port))
    if used:
        mongo.collection("entries").find_one()
    proxy.stalled = True
    with at_most(1), pytest.raises(TimedOut, match="did not answer in time"):
        mongo.ping()


@live
def test_a_ping_is_no_longer_than_the_time_limit(connect: Any, proxy: Proxy) -> None:
    """A limit below a second holds for it too."""
    proxy.stalled = True
    with at_most(0.8), pytest.raises(ServiceError):
        connect(direct(proxy.port), timeout=0.1).ping()


# Laziness, closing, forking


def test_nothing_is_connected_before_it_is_used(connect: Any) -> None:
    """Neither thread nor connection, and a close of what was never used is nothing."""
    before = set(threading.enumerate())
    mongo = connect(NOWHERE)
    assert set(threading.enumerate()) <= before
    assert mongo._connected.built is None
    mongo.close()


@live
def test_threads_that_race_build_one_client(connect: Any, mongo_server: MongoServer) -> None:
    """Eight ask first at once, and get the same."""
    mongo = connect(mongo_server.url)
    together = threading.Barrier(8)
    clients: list[int] = []

    def ask() -> None:
        together.wait()
        clients.append(id(mongo.client))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clients) == 8
    assert len(set(clients)) == 1


@live
def test_a_close_ends_its_threads(connect: Any, mongo_server: MongoServer) -> None:
    """Nothing of the driver runs on."""
    before = set(threading.enumerate())
    mongo = connect(mongo_server.url)
    mongo.collection("entries").find_one()
    own = set(threading.enumerate()) - before
    assert own
    mongo.close()
    wait_until(lambda: not any(thread.is_alive() for thread in own))


@live
def test_a_close_of_a_server_that_hangs_is_short(connect: Any, proxy: Proxy) -> None:
    """It says goodbye, and waits a second at most for an answer."""
    mongo = connect(direct(proxy.port))
    with mongo.client.start_session() as session:
        mongo.collection("entries").find_one({}, session=session)
    proxy.stalled = True
    with at_most(2):
        mongo.close()


@live
def test_a_close_while_threads_ask_leaves_no_client(
    connect: Any, mongo_server: MongoServer
) -> None:
    """Whoever comes late is refused, and nothing stays open."""
    for _ in range(10):
        mongo = connect(mongo_server.url)
        threads = [threading.Thread(target=lambda m=mongo: _ask(m)) for _ in range(4)]
        for thread in threads:
            thread.start()
        mongo.close()
        for thread in threads:
            thread.join()
        built = mongo._connected.built
        assert built is None or built.client._closed


def _ask(mongo: ServerMongo) -> None:
    try:
        _ = mongo.client
    except Unavailable as error:
        assert "closed" in str(error)  # noqa: PT017 - in a thread


@live
@forks
def test_a_process_that_ends_unclosed_is_quiet(mongo_server: MongoServer) -> None:
    """An application that is not unloaded ends without a word, in its forked child too."""
    code = f"""if True:
        import os
        from quorum.services.mongo.server import ServerMongo
        from quorum.settings import MongoSettings
        mongo = ServerMongo(MongoSettings(url="{mongo_server.url}"), database="shop")
        mongo.ping()
        child = os.fork()
        mongo.ping()
        if child:
            os.waitpid(child, 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""


@live
def test_only_the_driver_is_asked(connect: Any, mongo_server: MongoServer) -> None:
    """What the driver refuses by itself reaches the caller as it is."""
    with pytest.raises(DriverConfigurationError):
        connect(mongo_server.url).client.get_default_database()


@live
@forks
def test_a_child_that_closes_does_not_end_the_parents_connection(
    connect: Any, mongo_server: MongoServer
) -> None:
    """The client of the parent is left alone."""
    mongo = connect(mongo_server.url)
    mongo.collection("entries").find_one()
    assert in_child(mongo.close) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mongo.collection("entries").find_one({"_id": "missing"}) is None


def test_a_file_of_the_url_that_is_not_there_is_a_configuration_error(connect: Any) -> None:
    """As every option that the driver refuses."""
    mongo = connect("mongodb://127.0.0.1:1/?tls=true&tlsCAFile=/nowhere/authority.pem")
    with pytest.raises(ConfigurationError, match="MONGO_URL"):
        mongo.ping()
