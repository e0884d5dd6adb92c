"""Sets of numbers, eight bytes for each: a million take 16 to 32 MiB, where Python's own set takes 80."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from typing import Any

from airflow_provider_twilio_comms._core.recipients.reader import Address, Members, Profile
from airflow_provider_twilio_comms.exceptions import InvalidInput


def compile_patterns(patterns: Any) -> Callable[[str], object]:
    """Compile an allow list: a list of patterns such as ``+1500555*``, or a text with commas between them.

    Raises :class:`InvalidInput` where there is none, or an empty one: it would allow everybody.
    """
    listed = patterns.split(",") if isinstance(patterns, str) else patterns
    if not isinstance(listed, Sequence) or not all(isinstance(each, str) for each in listed):
        raise InvalidInput.at(
            "allowed_recipients", "is not a list of patterns", "Give one such as ['+1500555*']"
        )
    if not listed or not all(each.strip() for each in listed):
        raise InvalidInput.at(
            "allowed_recipients",
            "has no pattern, or an empty one: nothing was sent, since that would allow everybody",
            "Give patterns such as ['+1500555*'], or leave the argument out",
        )
    return re.compile("|".join(translate(each.strip()) for each in listed)).match


_GOLDEN, _BITS = 0x9E3779B97F4A7C15, 64
_MASK = (1 << _BITS) - 1
_LOAD = 0.6  # of the slots that are taken, before there are twice as many


class NumberSet:
    """A set of whole numbers from 1 to 2**64 - 1: a table with open addressing."""

    def __init__(self, keys: Iterable[int] = (), slots: int = 1 << 12) -> None:
        self._make(slots)
        self.add(keys)

    def __len__(self) -> int:
        return self._count

    def add(self, keys: Iterable[int]) -> list[int]:
        """Add keys. Returns the places of those that were there already."""
        again: list[int] = []
        table, mask, shift = self._table, self._slots - 1, self._shift
        for place, key in enumerate(keys):
            slot = (key * _GOLDEN & _MASK) >> shift
            while (there := table[slot]) and there != key:
                slot = (slot + 1) & mask
            if there:
                again.append(place)
                continue
            table[slot] = key
            self._count += 1
            if self._count > self._most:
                self._grow()
                table, mask, shift = self._table, self._slots - 1, self._shift
        return again

    def among(self, keys: Iterable[int]) -> list[int]:
        """The places of the keys that are in the set."""
        found: list[int] = []
        table, mask, shift = self._table, self._slots - 1, self._shift
        for place, key in enumerate(keys):
            slot = (key * _GOLDEN & _MASK) >> shift
            while (there := table[slot]) and there != key:
                slot = (slot + 1) & mask
            if there:
                found.append(place)
        return found

    def _make(self, slots: int) -> None:
        self._slots, self._count = slots, 0
        self._most = int(slots * _LOAD)
        self._shift = _BITS - (slots.bit_length() - 1)
        self._table = array("Q", bytes(8 * slots))

    def _grow(self) -> None:
        old = self._table
        self._make(self._slots * 2)
        self.add(filter(None, old))


def key_of(address: str) -> int:
    """Eight bytes that stand for an address: its digits, which are exact; a hash for what is no number."""
    plus, digits = address[:1], address[1:]
    if plus == "+" and digits.isdecimal() and len(digits) <= 15:
        return int(digits)
    return int.from_bytes(hashlib.blake2b(address.encode(), digest_size=8).digest(), "big") | 1 << 63


def keys_of(recipients: Sequence[Any]) -> list[int]:
    """The key of each recipient: of one with several addresses, the first address's."""
    if set(map(type, recipients)) == {Address}:
        return [int(recipient.address[1:]) for recipient in recipients]
    return [key_of(numbers_of(recipient)[0]) for recipient in recipients]


def numbers_of(recipient: Any) -> list[str]:
    """The addresses of a recipient; a profile or group stands for itself, since it hides them."""
    if isinstance(recipient, Address):
        return [recipient.address]
    if isinstance(recipient, Profile):
        return [recipient.profile_id]
    if isinstance(recipient, Members):
        return [recipient.name]
    return [party.address for party in recipient.addresses]
