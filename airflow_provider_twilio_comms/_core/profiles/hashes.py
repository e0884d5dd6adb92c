"""Hashes of the rows that Twilio has, to load only rows that changed; never the values themselves.

A row is a pair of 64-bit numbers: a keyed hash of its identifier, and one of all its values. A million rows
take 16 MB of memory.
"""

from __future__ import annotations

import hashlib
import heapq
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

Pair = tuple[int, int]


class RowHasher:
    """Makes the pairs of a store's rows, keyed so that nobody can try out phone numbers on them."""

    def __init__(self, secret: str, store_id: str) -> None:
        self._key = hashlib.blake2b(f"{store_id}|{secret}".encode(), digest_size=32).digest()

    def pair(self, identity: str, body: bytes) -> Pair:
        """The hashes of an identifier and of the encoded row."""
        return self._number(identity.encode()), self._number(body)

    def _number(self, data: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=self._key).digest(), "big")


class KnownRows:
    """The pairs of earlier runs, sorted by the first of each."""

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._people, self._rows = array("Q"), array("Q")
        for person, row in pairs:
            self._people.append(person)
            self._rows.append(row)

    @classmethod
    def sorting(cls, pairs: Iterable[Pair]) -> KnownRows:
        """The same, of pairs in any order."""
        given = cls(pairs)
        people, rows = given._people, given._rows
        order = sorted(range(len(people)), key=people.__getitem__)
        return cls((people[index], rows[index]) for index in order)

    def __len__(self) -> int:
        return len(self._people)

    def holds(self, pair: Pair) -> bool:
        """Tell whether a row is as it was."""
        index = bisect_left(self._people, pair[0])
        return index < len(self._people) and self._people[index] == pair[0] and self._rows[index] == pair[1]


def merged(sorted_pairs: Iterable[Iterable[Pair]]) -> Iterator[Pair]:
    """Merge sorted pairs, the oldest first given; of a person the pair of the newest remains."""
    ranked = [_ranked(rank, pairs) for rank, pairs in enumerate(sorted_pairs)]
    last: tuple[int, int, int] | None = None
    for each in heapq.merge(*ranked):
        if last is not None and each[0] != last[0]:
            yield last[0], last[2]
        last = each
    if last is not None:
        yield last[0], last[2]


def _ranked(rank: int, pairs: Iterable[Pair]) -> Iterator[tuple[int, int, int]]:
    return ((person, rank, row) for person, row in pairs)
