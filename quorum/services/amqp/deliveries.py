"""A delivery that is answered once, whoever carries the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from quorum.errors import Rejected
from quorum.services.amqp.messages import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Answer:
    """What became of a delivery: acknowledged, given up, or given back."""

    ack: bool
    requeue: bool = False


@dataclass(eq=False)
class OneAnswer:
    """A message that was taken; `answer` carries what became of it to the broker.

    `answer` raises errors of ours; if it does, the delivery stays unanswered.
    """

    body: bytes = field(repr=False)
    routing_key: str
    exchange: str
    redelivered: bool
    answer: Callable[[Answer], None] = field(repr=False)
    message_id: str | None = None
    content_type: str | None = None
    headers: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def __post_init__(self) -> None:
        # Whoever takes the turn out may answer; no lock, which a fork could leave shut.
        self._turn = [True]

    @property
    def answered(self) -> bool:
        """Whether it was answered, or is being answered now."""
        return not self._turn

    def json(self) -> Any:
        return decoded(self.body, self.message_id)

    def ack(self) -> None:
        self._answer(Answer(ack=True))

    def reject(self, *, requeue: bool = False) -> None:
        self._answer(Answer(ack=False, requeue=requeue))

    def _answer(self, answer: Answer) -> None:
        try:
            self._turn.pop()
        except IndexError:
            raise Rejected(
                "amqp", f"message {self.message_id} was answered already; answer it once"
            ) from None
        try:
            self.answer(answer)
        except BaseException:
            self._turn.append(True)
            raise
