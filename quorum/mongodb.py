"""The documented names of flask-quorum's module for MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorum import current

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

    from quorum.services.mongo.base import Document


def get_connection() -> MongoClient[Document]:
    """Return the MongoDB client of the running application. Raises NotLoaded without one."""
    return current.container().mongo().client


def get_db() -> Database[Document]:
    """Return the database of the running application. Raises NotLoaded without one."""
    return current.container().mongo().database
