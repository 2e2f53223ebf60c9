"""What is checked before anything is sent, without a broker."""

from __future__ import annotations

import enum
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from quorum.errors import Rejected
from quorum.services.amqp import messages
from quorum.services.amqp.deliveries import Answer, OneAnswer
from quorum.services.amqp.headers import checked_headers
from quorum.services.amqp.messages import check_name, check_routing_key, decoded, message_of


def message(body: Any = b"", **given: Any) -> messages.Message:
    names = ("headers", "content_type", "message_id", "expires_in", "priority")
    return message_of(body, *(given.get(name) for name in names))


def delivery(answer: Any) -> OneAnswer:
    return OneAnswer(b"", "key", "", redelivered=False, answer=answer, message_id="m-1")


def test_json_is_short() -> None:
    """JSON has no blanks, and letters as they are."""
    assert message({"a": ["é", 1]}).body == '{"a":["é",1]}'.encode()


def test_the_error_of_a_body_names_its_type_not_its_content() -> None:
    """What a body holds may be secret: the error has its type only."""
    with pytest.raises(Rejected) as caught:
        message({"password": {"hunter2"}})
    assert "hunter2" not in str(caught.value)
    assert "dict" in str(caught.value)


def test_the_error_of_a_header_names_it_not_its_value() -> None:
    """Nor is the value of a header told."""
    for value in ({"hunter2"}, "hunter2\ud800", ["hunter2", object()], {"a": 1.5, "b": "hunter2"}):
        with pytest.raises(Rejected) as caught:
            message(headers={"token": value})
        assert "hunter2" not in str(caught.value)


def test_a_body_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body has at most 128 MiB, of bytes as they travel."""
    assert messages.LARGEST_BODY == 128 * 2**20
    monkeypatch.setattr(messages, "LARGEST_BODY", 10)
    message(b"x" * 10)
    for body in (b"x" * 11, "é" * 6, ["x" * 8]):
        with pytest.raises(Rejected, match="10 are the most"):
            message(body)


@pytest.mark.parametrize(
    ("seconds", "milliseconds"),
    [(1, 1000), (0.3, 300), (1e-9, 1), (math.ulp(0.0), 1), (4_294_967.295, 2**32 - 1)],
)
def test_an_expiry_is_in_whole_milliseconds(seconds: float, milliseconds: int) -> None:
    """An expiry is rounded, and never to nothing."""
    assert message(expires_in=seconds).expires_in == milliseconds


def test_numbers_of_an_enumeration_are_numbers() -> None:
    """What travels is what an enumeration says, of the plain type."""

    class Level(enum.IntEnum):
        HIGH = 9

    class Kind(enum.StrEnum):
        ORDER = "order"

    made = message(priority=Level.HIGH, message_id=Kind.ORDER, headers={Kind.ORDER: Level.HIGH})
    assert (type(made.priority), type(made.message_id)) == (int, str)
    assert [(type(name), type(value)) for name, value in made.headers.items()] == [(str, int)]


def test_headers_are_copied() -> None:
    """What is done to headers after they were published changes nothing."""
    given: dict[str, Any] = {"a": [1], "b": {"c": [2]}}
    made = message(headers=given)
    given["a"].append(9)
    given["b"]["c"].append(9)
    assert made.headers == {"a": [1], "b": {"c": [2]}}


def test_headers_are_measured_as_they_travel() -> None:
    """64 kB is the most, whatever the headers are made of."""
    for fits, large in (
        ({"a": "x" * 65_000}, {"a": "x" * 65_536}),
        ({"a": "é" * 32_000}, {"a": "é" * 32_768}),
        ({"a": b"x" * 65_000}, {"a": b"x" * 65_536}),
        ({"a": [1] * 7_000}, {"a": [1] * 7_400}),
        (
            {"a": {str(each): None for each in range(3_000)}},
            {"a": {str(each): None for each in range(6_000)}},
        ),
    ):
        checked_headers(fits)
        with pytest.raises(Rejected, match="65536 are the most"):
            checked_headers(large)


def test_headers_may_be_nested_32_deep() -> None:
    """Deeper, they are refused, before Python's own limit is met."""

    def nested(depth: int) -> Any:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return value

    checked_headers({"a": nested(32)})
    for depth in (33, 5_000):
        with pytest.raises(Rejected, match="32 deep"):
            checked_headers({"a": nested(depth)})


def test_moments_travel_in_whole_seconds() -> None:
    """Microseconds are cut, as AMQP has none."""
    given = datetime(2026, 1, 2, 3, 4, 5, 999_999, UTC)
    assert checked_headers({"a": given}) == {"a": given.replace(microsecond=0)}


def test_a_routing_key_may_be_empty() -> None:
    """A name may not."""
    assert check_routing_key("") == ""
    with pytest.raises(Rejected, match="the name of the queue is empty"):
        check_name("", "queue")


def test_json_has_no_nan() -> None:
    """What Python's own JSON has beyond JSON is none."""
    for body in (b"NaN", b"[Infinity]", b'{"a": -Infinity}'):
        with pytest.raises(Rejected, match="message m-1 is no JSON"):
            decoded(body, "m-1")


def test_an_answer_that_failed_may_be_given_again() -> None:
    """A delivery whose answer raised is not answered."""
    answers: list[Answer] = []

    def answer(given: Answer) -> None:
        answers.append(given)
        if len(answers) == 1:
            raise ConnectionError

    taken = delivery(answer)
    with pytest.raises(ConnectionError):
        taken.ack()
    assert not taken.answered
    taken.reject(requeue=True)
    assert taken.answered
    assert answers == [Answer(ack=True), Answer(ack=False, requeue=True)]


def test_the_content_of_a_message_is_not_in_its_repr() -> None:
    """Logs that show a message or a delivery show nothing that was in it."""
    made = message(b"hunter2", headers={"a": "hunter2"})
    taken = OneAnswer(made.body, "key", "", False, print, headers=made.headers)
    assert "hunter2" not in repr(made) + repr(taken)
