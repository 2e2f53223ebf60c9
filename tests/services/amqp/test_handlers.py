"""The threads that call a handler, without a broker."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import TimedOut
from quorum.services.amqp.deliveries import Answer, OneAnswer
from quorum.services.amqp.handlers import Handlers
from tests.services.amqp.brokers import DEADLINE
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


def delivery(answer: Callable[[Answer], None], message_id: str = "m-1") -> OneAnswer:
    return OneAnswer(b"", "key", "", redelivered=False, answer=answer, message_id=message_id)


@pytest.mark.parametrize(
    "error", [TimedOut("amqp", "no answer came"), OSError("broken"), KeyError()]
)
def test_an_answer_that_fails_ends_no_thread(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the answer cannot be given, it is logged, and the next message is handled."""
    answers: list[Answer] = []

    def fail(_: Answer) -> None:
        raise error

    handlers = Handlers("orders", lambda _: None, nullcontext, threads=1)
    handlers.put(delivery(fail, "first"))
    handlers.put(delivery(answers.append, "second"))
    wait_until(lambda: answers)
    handlers.stop()
    assert handlers.join(DEADLINE)
    assert answers == [Answer(ack=True)]
    assert "message first" in caplog.text


def test_what_waits_is_not_begun_after_stop() -> None:
    """stop leaves what waits unanswered, also what is put afterwards."""
    answers: list[Answer] = []

    def stop(_: Any) -> None:
        handlers.stop()

    handlers = Handlers("orders", stop, nullcontext, threads=1)
    for _ in range(3):
        handlers.put(delivery(answers.append))
    assert handlers.join(DEADLINE)
    handlers.put(delivery(answers.append))
    assert answers == [Answer(ack=True)]


def test_stopping_twice_is_a_no_op() -> None:
    """A second stop, and one after the end, raises nothing."""
    handlers = Handlers("orders", print, nullcontext, threads=2)
    handlers.stop()
    handlers.stop()
    assert handlers.join(DEADLINE)
    handlers.stop()
    assert handlers.join(0)
