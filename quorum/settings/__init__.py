"""The settings of an application: one typed model, a group for each noun."""

from quorum.settings.base import Group
from quorum.settings.groups import (
    AmqpSettings,
    MongoSettings,
    PusherSettings,
    RedisSettings,
    StorageSettings,
    TasksSettings,
)
from quorum.settings.mailer import MailerSettings
from quorum.settings.model import Settings

__all__ = [
    "AmqpSettings",
    "Group",
    "MailerSettings",
    "MongoSettings",
    "PusherSettings",
    "RedisSettings",
    "Settings",
    "StorageSettings",
    "TasksSettings",
]
