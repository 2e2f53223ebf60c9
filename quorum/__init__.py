"""The service container of Flask applications."""

from importlib.metadata import version as _version

from quorum.api import send_mail
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
from quorum.services.mailer.base import Attachment, Mailer, Message, Sent
from quorum.settings import Group, Settings

__version__ = _version("quorum")

__all__ = [
    "APP",
    "AccessDenied",
    "Attachment",
    "ConfigurationError",
    "ConfigurationWarning",
    "Conflict",
    "Container",
    "DocumentError",
    "Forbidden",
    "Group",
    "Invalid",
    "Mailer",
    "Message",
    "MissingExtra",
    "NotFound",
    "NotLoaded",
    "PerRequest",
    "Problem",
    "Provide",
    "Quorum",
    "QuorumError",
    "Rejected",
    "Sent",
    "ServiceError",
    "Settings",
    "ThreadSafeSingleton",
    "TimedOut",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "__version__",
    "choose",
    "ensure_context",
    "get_app",
    "has_context",
    "init_app",
    "inject",
    "lazy",
    "load",
    "onrun",
    "run",
    "running",
    "send_mail",
    "unload",
]
