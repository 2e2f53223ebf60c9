"""Names that MongoDB takes: checked before anything is sent, the same for every driver."""

from __future__ import annotations

from quorum.errors import Rejected

# https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
_LONGEST_DATABASE = 63
_LONGEST_NAMESPACE = 255


def check_database(name: str) -> str:
    """Return the name of a database. Raises Rejected if MongoDB does not allow it."""
    if not 0 < _bytes(name) <= _LONGEST_DATABASE or set(name) & set('/\\. "$*<>:|?\0'):
        raise Rejected(
            "mongo",
            f'{_shown(name)} is no name of a database: 1 to 63 bytes, without / \\ . " $ * < > : | '
            "? and blanks; mend MONGO_DATABASE, or the one in MONGO_URL",
        )
    return name


def check_collection(database: str, name: object) -> str:
    """Return the name of a collection. Raises Rejected if MongoDB does not allow it."""
    if not isinstance(name, str):
        raise Rejected("mongo", f"a collection is named by text, not {type(name).__name__}")
    if not name or "$" in name or "\0" in name or ".." in name or "." in {name[0], name[-1]}:
        raise Rejected(
            "mongo",
            f"{_shown(name)} is no name of a collection: it must not be empty, hold $ or NUL, "
            "begin or end with a dot, or have two dots in a row",
        )
    if not name.isascii() or len(name) > _LONGEST_NAMESPACE // 2:
        _check_length(database, name)
    return name


def _check_length(database: str, name: str) -> None:
    if _bytes(f"{database}.{name}") > _LONGEST_NAMESPACE:
        raise Rejected(
            "mongo",
            f"{_shown(name)} is too long a name: a database and a collection have "
            f"{_LONGEST_NAMESPACE} bytes together",
        )


def _bytes(name: str) -> int:
    try:
        return len(name.encode())
    except UnicodeEncodeError:
        raise Rejected("mongo", f"{_shown(name)} cannot be written in UTF-8") from None


def _shown(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:40]}…")  # noqa: PLR2004 - enough to find it
