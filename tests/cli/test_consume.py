"""`quorum consume`, as whoever runs the application starts it."""

from __future__ import annotations

import signal
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from quorum import Container, Settings
from tests.programs import run, serving
from tests.servers import LOCAL, AmqpServer, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from quorum import Broker
    from tests.programs import Server

APP = """\
import sys
import time
from pathlib import Path

import quorum
from flask import current_app
from quorum import Container, Mailer, Provide, inject

app = quorum.load(name="shop")

@inject
def tell(delivery, mailer: Mailer = Provide[Container.mailer]):
    print(f"{current_app.name}: {type(mailer).__name__} {delivery.json()}")

def wait(delivery):
    # In one piece: another thread may print at the same time.
    sys.stdout.write(f"begun {delivery.body.decode()}\\n")
    while not Path("go").exists():
        time.sleep(0.02)

def fail(delivery):
    raise RuntimeError("refused by the handler")

async def sleep(delivery):
    pass

@inject
def wrong(delivery, mailer: Mailer = Provide["mailr"]):
    pass

@inject
def forgetful(mailer: Mailer = Provide[Container.mailer]):
    pass

figures = [1, 2]
"""
SECRET = "marker-password"


@pytest.fixture(autouse=True)
def shop(tmp_path: Path) -> Path:
    """An application in `app.py`, where Flask looks for one."""
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


@pytest.fixture
def broker(amqp_server: AmqpServer) -> Iterator[Broker]:
    """Another process of the same application."""
    container = Container(settings=Settings(amqp={"url": amqp_server.url}))
    made = container.amqp()
    yield made
    made.close()


@pytest.fixture
def queue(broker: Broker) -> str:
    """A queue of the test's own."""
    name = f"test-{uuid.uuid4()}"
    broker.declare_queue(name)
    return name


@contextmanager
def consuming(
    folder: Path, server: AmqpServer, *words: str, program: tuple[str, ...] = ("quorum",)
) -> Iterator[Server]:
    """Run the command for the time of the block; it consumes when this yields."""
    with serving(folder / "log", *program, "consume", *words, AMQP_URL=server.url) as started:
        started.wait_for("shop consumes")
        yield started


@pytest.mark.live("amqp")
@pytest.mark.parametrize("program", [("quorum",), ("flask", "quorum")], ids=" ".join)
def test_a_handler_runs_inside_the_application(
    tmp_path: Path, amqp_server: AmqpServer, broker: Broker, queue: str, program: tuple[str, ...]
):
    """Its parameters are injected; what it was given is acknowledged when it returns."""
    broker.publish({"order": 1}, routing_key=queue)
    with consuming(tmp_path, amqp_server, "app:tell", queue, program=program) as started:
        started.wait_for(r"shop: MemoryMailer \{'order': 1\}")
        assert started.stop() == 0
    assert broker.get(queue) is None


@pytest.mark.live("amqp")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_a_handler_that_runs_may_end(
    tmp_path: Path, amqp_server: AmqpServer, broker: Broker, queue: str, number: signal.Signals
):
    """At SIGTERM or Ctrl-C no other message is begun; that of the handler is acknowledged."""
    for body in ("first", "second"):
        broker.publish(body, routing_key=queue)
    with consuming(tmp_path, amqp_server, "app:wait", queue) as started:
        started.wait_for("begun first")
        started.process.send_signal(number)
        started.wait_for("no more messages")
        (tmp_path / "go").touch()
        assert started.process.wait(15) == 0
        assert "second" not in started.output
    left = broker.get(queue, timeout=5)
    assert left is not None
    assert left.body == b"second"
    left.ack()
    assert broker.get(queue) is None


@pytest.mark.live("amqp")
def test_a_handler_that_does_not_end_is_left(
    tmp_path: Path, amqp_server: AmqpServer, broker: Broker, queue: str
):
    """After --timeout seconds: the status is 1, a sentence says so, and the message is back."""
    broker.publish("late", routing_key=queue)
    with consuming(tmp_path, amqp_server, "app:wait", queue, "--timeout", "0.3") as started:
        started.wait_for("begun late")
        assert started.stop() == 1
        assert f"a handler of '{queue}' did not end in time" in started.output
        assert "Traceback" not in started.output
    left = broker.get(queue, timeout=5)
    assert left is not None
    assert (left.body, left.redelivered) == (b"late", True)
    left.ack()


@pytest.mark.live("amqp")
def test_a_second_signal_ends_it_at_once(
    tmp_path: Path, amqp_server: AmqpServer, broker: Broker, queue: str
):
    """Whatever the handler does; the message is delivered again."""
    broker.publish("late", routing_key=queue)
    with consuming(tmp_path, amqp_server, "app:wait", queue, "--timeout", "600") as started:
        started.wait_for("begun late")
        started.process.send_signal(signal.SIGTERM)
        started.wait_for("no more messages")
        assert started.stop() == -signal.SIGTERM
    left = broker.get(queue, timeout=5)
    assert left is not None
    left.ack()


@pytest.mark.live("amqp")
def test_what_a_killed_consumer_had_is_delivered_again(
    tmp_path: Path, amqp_server: AmqpServer, broker: Broker, queue: str
):
    """The messages it had begun, and those it had only taken."""
    for body in ("first", "second"):
        broker.publish(body, routing_key=queue)
    with consuming(tmp_path, amqp_server, "app:wait", queue) as started:
        started.wait_for("begun first")
        started.stop(signal.SIGKILL)
    found = [broker.get(queue, timeout=5) for _ in range(2)]
    assert [(each.body, each.redelivered) for each in found if each] == [
        (b"first", True),
        (b"second", True),
    ]
    for each in found:
        each.ack()


@pytest.mark.live("amqp")
def test_what_a_handler_fails_with_ends_in_the_dead_letters(
    tmp_path: Path, amqp_server: AmqpServer, broker: Broker, queue: str
):
    """It is logged, and the command goes on."""
    broker.publish("poison", routing_key=queue)
    with consuming(tmp_path, amqp_server, "app:fail", queue) as started:
        dead = broker.get(f"{queue}.dead", timeout=15)
        assert dead is not None
        dead.ack()
        started.wait_for("RuntimeError: refused by the handler")
        assert started.stop() == 0
    assert dead.body == b"poison"


@pytest.mark.live("amqp")
def test_several_threads_call_the_handler(
    tmp_path: Path, amqp_server: AmqpServer, broker: Broker, queue: str
):
    """With --threads."""
    for body in ("first", "second"):
        broker.publish(body, routing_key=queue)
    with consuming(tmp_path, amqp_server, "app:wait", queue, "--threads", "2") as started:
        started.wait_for("begun first")
        started.wait_for("begun second")
        (tmp_path / "go").touch()
        assert started.stop() == 0


@pytest.mark.live("amqp")
def test_no_more_than_prefetch_is_taken(
    tmp_path: Path, amqp_server: AmqpServer, broker: Broker, queue: str
):
    """What is not leaves the queue to others."""
    for body in ("first", "second"):
        broker.publish(body, routing_key=queue)
    with consuming(tmp_path, amqp_server, "app:wait", queue, "--prefetch", "1") as started:
        started.wait_for("begun first")
        other = broker.get(queue, timeout=5)
        assert other is not None
        other.ack()
        (tmp_path / "go").touch()
        assert started.stop() == 0
    assert other.body == b"second"


@pytest.mark.live("amqp")
def test_a_queue_that_is_not_there_is_an_error(amqp_server: AmqpServer):
    """It names the queue, and the option that declares it; the status is 1."""
    done = run("quorum", "consume", "app:tell", "no-such-queue", AMQP_URL=amqp_server.url)
    assert done.returncode == 1
    assert "'no-such-queue'" in done.stderr
    assert "--declare" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.live("amqp")
def test_a_queue_may_be_declared(tmp_path: Path, amqp_server: AmqpServer, broker: Broker):
    """With --declare, as `Broker.declare_queue` declares it."""
    name = f"test-{uuid.uuid4()}"
    with consuming(tmp_path, amqp_server, "app:tell", name, "--declare") as started:
        broker.declare_queue(name)
        broker.publish([1], routing_key=name)
        started.wait_for(r"MemoryMailer \[1\]")
        assert started.stop() == 0


def test_a_broker_that_cannot_be_reached_is_an_error():
    """The status is 1; the sentence names the address, and no secret."""
    port = free_port()
    url = f"amqp://marker-user:{SECRET}@{LOCAL}:{port}/"
    done = run("quorum", "consume", "app:tell", "orders", AMQP_URL=url)
    assert done.returncode == 1
    assert f"{LOCAL}:{port}" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_embedded_twin_has_no_consumers_of_its_own():
    """Nobody outside could publish to it, and it would wait for ever: the status is 78."""
    for variables in ({}, {"EMBEDDED": "never"}):
        done = run("quorum", "consume", "app:tell", "orders", **variables)
        assert done.returncode == 78
        assert "set AMQP_URL" in done.stderr


@pytest.mark.parametrize(
    ("handler", "sentence"),
    [
        ("app", "write MODULE:HANDLER"),
        (":tell", "write MODULE:HANDLER"),
        ("ap:tell", "there is no module 'ap'"),
        ("app:tel", "app has no 'tel'"),
        ("app:figures", "no plain function"),
        ("app:sleep", "no plain function"),
        ("app:wrong", "mailr"),
        ("app:forgetful", "first parameter 'mailer' has a marker"),
    ],
)
def test_a_handler_that_cannot_be_one_ends_with_78(handler: str, sentence: str):
    """It is found before any message is taken."""
    url = f"amqp://{LOCAL}:{free_port()}/"
    done = run("quorum", "consume", handler, "orders", AMQP_URL=url)
    assert done.returncode == 78
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_that_are_wrong_end_with_78():
    """As in every command."""
    done = run("quorum", "consume", "app:tell", "orders", AMQP_URL="http://mq.example")
    assert done.returncode == 78
    assert "AMQP_URL" in done.stderr


def test_a_module_that_fails_is_told_as_such(tmp_path: Path):
    """Its own error is shown, not that there is none."""
    (tmp_path / "handlers.py").write_text("import no_such_package\n")
    url = f"amqp://{LOCAL}:{free_port()}/"
    done = run("quorum", "consume", "handlers:tell", "orders", AMQP_URL=url)
    assert done.returncode == 1
    assert "No module named 'no_such_package'" in done.stderr
