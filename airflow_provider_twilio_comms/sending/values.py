"""Values of tables and files as the texts that Twilio takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec

__all__ = ["text_of", "texts_of"]


def text_of(value: Any) -> str:
    """A value as one would write it in a text.

    Decimals without an exponent, dates and times as in ISO 8601, booleans as ``true`` and ``false``, what has
    parts (arrays, JSON columns) as JSON. Raises ``ValueError`` for bytes, which are no text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise ValueError("bytes are no text")
    if isinstance(value, (dict, list, tuple)):
        return msgspec.json.encode(value, enc_hook=text_of).decode()
    return str(value)


def texts_of(column: Sequence[Any]) -> Sequence[str | None]:
    """A column's values as texts; None stays None. One look at their kinds spares a look at each."""
    kinds = set(map(type, column))
    if kinds == {str}:
        return column
    if kinds == {int}:
        return list(map(str, column))
    return [None if value is None else text_of(value) for value in column]
