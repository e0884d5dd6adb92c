"""Ids of the Communications API: ``comms_<kind>_`` and a ULID in lower case.

A message stores no id: its id, and the SIDs of its attempts, are derived from its operation's id and its
place in the operation, and can be read back.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

__all__ = ["KEY", "Place", "downstream_sid", "message_id", "new_id", "place_of_message", "place_of_sid"]

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}
KEY = 19  # letters that an operation's id shares with the ids of its messages: the time, and 45 random bits
_PLACE = 7  # letters left for the place
_ODD = 0x5DEECE66D  # scatters places, so that nobody counts on their order
_MESSAGE = re.compile(rf"comms_message_([0-7][{_LETTERS[10:]}0-9]{{25}})")
_SID = re.compile(r"(?:SM|MM)([0-9a-fA-F]{32})")


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a message: its operation's key, and its index in the operation."""

    key: str
    index: int


def _text(value: int, length: int) -> str:
    return "".join(_LETTERS[value >> shift & 31] for shift in range(5 * (length - 1), -1, -5))


def _value(text: str) -> int:
    value = 0
    for letter in text:
        value = value << 5 | _VALUES[letter]
    return value


def new_id(kind: str, now: float, source: random.Random) -> str:
    """Make a new id; ``kind`` is ``operation``, ``sender``, ``senderpool``."""
    return f"comms_{kind}_{_text(int(now * 1000), 10)}{_text(source.getrandbits(80), 16)}"


def key_of(operation_id: str) -> str:
    return operation_id.rpartition("_")[2][:KEY]


def message_id(key: str, index: int) -> str:
    return f"comms_message_{key}{_text(index * _ODD % 2 ** (5 * _PLACE), _PLACE)}"


def place_of_message(identifier: str) -> Place | None:
    """Read a message's place from its id; None for an id that this emulator never issued."""
    match = _MESSAGE.fullmatch(identifier)
    if match is None:
        return None
    scattered = _value(match[1][KEY:])
    return Place(match[1][:KEY], scattered * pow(_ODD, -1, 2 ** (5 * _PLACE)) % 2 ** (5 * _PLACE))


def downstream_sid(key: str, index: int, attempt: int, media: bool = False) -> str:
    """Derive the SM or MM SID of an attempt."""
    return f"{'MM' if media else 'SM'}{_value(key):024x}{index:06x}{attempt:02x}"


def place_of_sid(sid: str) -> Place | None:
    """Read a message's place from an attempt's SID; None if the message is not of this API."""
    match = _SID.fullmatch(sid)
    if match is None:
        return None
    return Place(_text(int(match[1][:24], 16), KEY), int(match[1][24:30], 16))
