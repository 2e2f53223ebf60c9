"""The service container of Flask applications."""

from importlib.metadata import version as _version

from quorum import mongodb
from quorum.amazon import (
    clear_amazon_bucket,
    delete_amazon_key,
    exists_amazon_key,
    get_amazon,
    get_amazon_bucket,
    get_amazon_key,
)
from quorum.amqp import get_amqp, properties_amqp
from quorum.api import (
    drop_mongo_db,
    get_mongo,
    get_mongo_db,
    get_pusher,
    get_redis,
    send_mail,
    send_mail_a,
)
from quorum.app import Quorum, ensure_context, init_app, load, onrun, unload
from quorum.choice import choose, lazy
from quorum.containers import Container
from quorum.current import APP, get_app, has_context, running
from quorum.errors import (
    AccessDenied,
    ConfigurationError,
    Conflict,
    DocumentError,
    Forbidden,
    Invalid,
    MissingExtra,
    NotFound,
    NotLoaded,
    Problem,
    QuorumError,
    Rejected,
    ServiceError,
    TimedOut,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from quorum.injection import Provide, inject
from quorum.profiles import ConfigurationWarning
from quorum.providers import PerRequest, ThreadSafeSingleton
from quorum.server import run
from quorum.services.amqp.base import Broker, Consumer, Delivery
from quorum.services.health import Health
from quorum.services.mailer.base import Attachment, Mailer, Message, Sent
from quorum.services.mongo.base import Mongo
from quorum.services.pusher.base import Event, Pusher
from quorum.services.redis.base import Lock, Redis
from quorum.services.storage.base import Storage, StoredObject
from quorum.services.tasks.base import Handle, Job, Schedule, Tasks
from quorum.settings import Group, Settings
from quorum.work import (
    background,
    daily_eval,
    daily_work,
    hourly_eval,
    hourly_work,
    interval_work,
    minutes_eval,
    minutes_work,
    monthly_eval,
    monthly_work,
    run_back,
    run_background,
    seconds_eval,
    seconds_work,
    weekly_eval,
    weekly_work,
)

__version__ = _version("quorum")

__all__ = [
    "APP",
    "AccessDenied",
    "Attachment",
    "Broker",
    "ConfigurationError",
    "ConfigurationWarning",
    "Conflict",
    "Consumer",
    "Container",
    "Delivery",
    "DocumentError",
    "Event",
    "Forbidden",
    "Group",
    "Handle",
    "Health",
    "Invalid",
    "Job",
    "Lock",
    "Mailer",
    "Message",
    "MissingExtra",
    "Mongo",
    "NotFound",
    "NotLoaded",
    "PerRequest",
    "Problem",
    "Provide",
    "Pusher",
    "Quorum",
    "QuorumError",
    "Redis",
    "Rejected",
    "Schedule",
    "Sent",
    "ServiceError",
    "Settings",
    "Storage",
    "StoredObject",
    "Tasks",
    "ThreadSafeSingleton",
    "TimedOut",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "__version__",
    "background",
    "choose",
    "clear_amazon_bucket",
    "daily_eval",
    "daily_work",
    "delete_amazon_key",
    "drop_mongo_db",
    "ensure_context",
    "exists_amazon_key",
    "get_amazon",
    "get_amazon_bucket",
    "get_amazon_key",
    "get_amqp",
    "get_app",
    "get_mongo",
    "get_mongo_db",
    "get_pusher",
    "get_redis",
    "has_context",
    "hourly_eval",
    "hourly_work",
    "init_app",
    "inject",
    "interval_work",
    "lazy",
    "load",
    "minutes_eval",
    "minutes_work",
    "mongodb",
    "monthly_eval",
    "monthly_work",
    "onrun",
    "properties_amqp",
    "run",
    "run_back",
    "run_background",
    "running",
    "seconds_eval",
    "seconds_work",
    "send_mail",
    "send_mail_a",
    "unload",
    "weekly_eval",
    "weekly_work",
]
