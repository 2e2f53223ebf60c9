"""The documented names of flask-quorum for AMQP, in the shapes of pika, over the broker.

| name | what it is |
|---|---|
| `get_amqp()` | a `Connection`, whose `channel()` gives a `Channel` |
| `properties_amqp(**kwargs)` | the `pika.BasicProperties` of a message |

They raise what the broker does, where pika raised errors of its own. What has no place here is
Unsupported, by its name. Any thread may use a channel, and none has to serve heartbeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorum import current
from quorum.choice import lazy

if TYPE_CHECKING:
    from pika import BasicProperties

    from quorum.amqp.connection import Connection

# Both are for those who come from flask-quorum; `import quorum` is to cost nobody else their time.
_connection = lazy("quorum.amqp.connection:Connection")
_properties = lazy("pika:BasicProperties")


def get_amqp(force: bool = False, timeout: float = 100) -> Connection:  # noqa: ARG001 - documented
    """Return a connection to the broker of the running application; close it when it has served.

    Each is a new one, as `force` asks for, and costs nothing: they share what the broker holds,
    whose AMQP_TIMEOUT bounds every call, not `timeout`. Raises NotLoaded without an application.
    """
    made: Connection = _connection(current.container().amqp())
    return made


def properties_amqp(**kwargs: Any) -> BasicProperties:
    """Return the properties of a message, for `basic_publish`.

    `content_type`, `headers`, `message_id`, `priority`, `expiration` (text, in milliseconds) and
    `delivery_mode` are taken; publishing with another is Unsupported.
    """
    made: BasicProperties = _properties(**kwargs)
    return made
