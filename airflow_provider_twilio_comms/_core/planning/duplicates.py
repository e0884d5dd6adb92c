"""Deduplicate rows that are wholly equal, and count those of one number that differ.

Nearly every list has each number once, so only that is found out while it streams past: eight bytes a row.
If a number comes twice, the encoded recipients are read once more before anything is sent, and those that are
equal to an earlier one are taken out of their chunk.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

import msgspec

from airflow_provider_twilio_comms._core.recipients.number_sets import NumberSet, numbers_of
from airflow_provider_twilio_comms._core.recipients.reader import Address, Reject

_EQUAL = "is the same as an earlier row"
PARTS = 64  # of the hashes, so that the set of one part is small whatever the length of the list
_KEY = (1 << 64) - 1


class _Chunk(Protocol):
    @property
    def number(self) -> int: ...

    @property
    def count(self) -> int: ...

    @property
    def section(self) -> Hashable: ...


C = TypeVar("C", bound=_Chunk)


class _Spool(Protocol[C]):
    def read(self, chunk: C) -> bytes: ...

    def rewrite(self, chunk: C, number: int, lines: Sequence[bytes] | None) -> C: ...


class _Party(msgspec.Struct):
    address: str = ""


class _Encoded(msgspec.Struct, rename="camel"):
    """The fields that tell an encoded recipient from another, read back."""

    address: str = ""
    addresses: list[_Party] = []
    profile_id: str = ""
    variables: dict[str, str] | None = None

    @property
    def number(self) -> str:
        """The number that stands for it, as for a recipient that is not encoded yet."""
        return self.address or (self.addresses[0].address if self.addresses else self.profile_id)


class EqualRows:
    """The rows of a list, by what tells whether one of them may be equal to another."""

    def __init__(self) -> None:
        self.differing = 0  # rows with the number of an earlier one and other values
        self._parts = [array("q") for _ in range(PARTS)]
        self._add = [part.append for part in self._parts]
        self._rows: dict[Hashable, list[Sequence[int]]] = {}

    def add(self, section: Hashable, recipients: Sequence[Any], rows: Sequence[int]) -> None:
        """Add recipients in the order in which they go to the chunks of this section."""
        if set(map(type, recipients)) == {Address}:
            numbers = [recipient.address for recipient in recipients]
        else:
            numbers = [numbers_of(recipient)[0] for recipient in recipients]
        add = self._add
        for key in map(hash, numbers):
            add[key & (PARTS - 1)](key)
        self._rows.setdefault(section, []).append(rows if isinstance(rows, range) else array("Q", rows))

    def count(self) -> int:
        """Count the different numbers so far."""
        return sum(len(set(part)) for part in self._parts)

    def remove(
        self, chunks: Sequence[C], spool: _Spool[C], leave_out: Callable[[Reject, Address], None]
    ) -> Sequence[C]:
        """The chunks without what is equal to an earlier recipient, which ``leave_out`` is told of."""
        twice = self._twice()
        if not twice:
            return chunks
        rows = {section: chain.from_iterable(listed) for section, listed in self._rows.items()}
        seen = NumberSet()
        found: list[C] = []
        for chunk in chunks:
            own_rows = list(islice(rows[chunk.section], chunk.count))
            body = b"[" + spool.read(chunk) + b"]"
            people = msgspec.json.decode(body, type=list[_Encoded])
            raw = msgspec.json.decode(body, type=list[msgspec.Raw])
            again = twice.among(hash(person.number) & _KEY or 1 for person in people)
            equal = {again[place] for place in seen.add(_content(raw[place]) for place in again)}
            for place in sorted(equal):
                number = people[place].number
                refused = Reject(own_rows[place], "recipient", _EQUAL, number, "duplicate")
                leave_out(refused, Address(number, "PHONE", people[place].variables))
            stay = [bytes(each) for place, each in enumerate(raw) if place not in equal] if equal else None
            if stay is None and chunk.number == len(found):
                found.append(chunk)
            elif stay is None or stay:
                found.append(spool.rewrite(chunk, len(found), stay))
        self.differing = len(seen) - len(twice)
        return found

    def _twice(self) -> NumberSet:
        found = NumberSet()
        for part in self._parts:
            if len(set(part)) < len(part):
                found.add(key & _KEY or 1 for key, count in Counter(part).items() if count > 1)
        return found


def _content(raw: msgspec.Raw) -> int:
    """Eight bytes that stand for a recipient, however its variables are ordered."""
    recipient = {name: value for name, value in msgspec.json.decode(raw).items() if value}
    text = msgspec.json.encode(recipient, order="sorted")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") or 1
