"""Mail that is sent in the background: composed at once, delivered by a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorum.choice import Lazy
from quorum.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.services.mailer.compose import Envelope
    from quorum.services.tasks.base import Handle, Tasks

_in_a_worker = Lazy("quorum.api:deliver_mail")


def submit(tasks: Tasks, deliver: Callable[[Envelope], Any], envelope: Envelope) -> Handle:
    """Have an envelope delivered in the background.

    By `deliver` in this process; where the tasks are another's, by the mailer that is there.
    Raises what `Tasks.submit` does.
    """

    def deliver_mail() -> Any:
        return deliver(envelope)

    try:
        return tasks.submit(deliver_mail)
    except Rejected:
        # It has no import path, by which alone a worker finds a function.
        return tasks.submit(_in_a_worker.load(), **envelope.as_json())
