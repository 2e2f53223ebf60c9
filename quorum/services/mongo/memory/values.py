"""Values as MongoDB keeps them: what went through BSON once, and keys that compare as there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import bson
from bson import Decimal128
from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from pymongo.errors import DocumentTooLarge


class _Money(TypeCodec):
    """A Decimal128 is Python's own Decimal in here, which the engine can compare and add."""

    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return value.to_decimal()


# Moments are naive UTC in here, as the engine compares them; the outside sees aware ones.
KEPT: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=False, type_registry=TypeRegistry([_Money()])
)
PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=False)
"""As `KEPT`, with the types of BSON alone."""

_LARGEST_DOCUMENT = 16 * 1024 * 1024


def to_kept(value: Any, options: CodecOptions[Any]) -> Any:
    """Return what a server would hold for a value that a caller gave.

    Raises what the driver does for a value that BSON cannot hold.
    """
    return bson.decode(bson.encode({"": value}, codec_options=options), KEPT)[""]


def to_given(value: Any, options: CodecOptions[Any]) -> Any:
    """Return a kept value as a caller is given it, of the types that the options ask for."""
    return bson.decode(bson.encode({"": value}, codec_options=KEPT), _inner(options))[""]


def documents_given(documents: list[Any], options: CodecOptions[Any]) -> list[Any]:
    """Return kept documents as a caller is given them."""
    return [bson.decode(bson.encode(each, codec_options=KEPT), options) for each in documents]


def copy_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of its own, with the types that come back from a server.

    Raises DocumentTooLarge above 16 MiB.
    """
    data = bson.encode(document, codec_options=KEPT)
    if len(data) > _LARGEST_DOCUMENT:
        raise DocumentTooLarge(
            f"the document has {len(data)} bytes; the most is {_LARGEST_DOCUMENT}"
        )
    return bson.decode(data, KEPT)


def comparable(value: Any) -> Any:
    """Return what is equal, and may be a key, for values that MongoDB holds for equal."""
    if isinstance(value, (dict, list)):
        return bson.encode({"": value}, codec_options=KEPT)
    # Python holds True and 1 for equal.
    return (bool, value) if isinstance(value, bool) else value


def _inner(options: CodecOptions[Any]) -> CodecOptions[Any]:
    # A class of documents that cannot be indexed (RawBSONDocument) is no matter here.
    return options.with_options(document_class=dict)
