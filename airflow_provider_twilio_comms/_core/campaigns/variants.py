"""Variants and holdout: assign each person of a campaign, the same way on every try and in later campaigns.

A person is a normalised number or the id of a profile. What they are assigned follows from a hash of that
and of the campaign's name, and from nothing else: neither from the list that they are on nor from its order.
Weights are those of weighted rendezvous hashing, so that another weight, or one variant more, moves as few
as it can.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import msgspec

R = TypeVar("R", bound="Varied")
TAG = "airflow_variant"  # of the messages of a variant, where Twilio takes tags
_RANGE = float(1 << 64)


class Split(msgspec.Struct, frozen=True):
    """The split of a campaign: the weight of each variant by name, and the share that gets nothing."""

    name: str
    weights: dict[str, float] = {}
    holdout: float = 0.0


@dataclass(frozen=True)
class Assignment:
    """The variants of people. ``secret`` keys the hash, so that nobody else can tell who is held out."""

    split: Split
    secret: str = field(default="", repr=False)

    def variant(self, person: str) -> str:
        """The name of the variant that a person gets; an empty text where there are none."""
        weights = self.split.weights
        if not weights:
            return ""
        return min(weights, key=lambda name: (self._wait(name, person) / weights[name], name))

    def holds_out(self, person: str) -> bool:
        """Tell whether a person is held out, whatever the variants are."""
        return self.split.holdout > 0 and self._share(self._holdout, person) < self.split.holdout

    def _wait(self, name: str, person: str) -> float:
        """A value that is exponentially distributed over people, another one for each variant."""
        return -math.log(self._share(self._variants[name], person))

    @staticmethod
    def _share(seeded: Any, person: str) -> float:
        """A value from above 0 to 1, evenly distributed over people."""
        hashed = seeded.copy()
        hashed.update(person.encode())
        return (int.from_bytes(hashed.digest(), "big") + 1) / _RANGE

    @cached_property
    def _holdout(self) -> Any:
        return self._seeded("holdout", "")

    @cached_property
    def _variants(self) -> Mapping[str, Any]:
        return {name: self._seeded("variant", name) for name in self.split.weights}

    def _seeded(self, kind: str, name: str) -> Any:
        key = hashlib.sha256(self.secret.encode()).digest() if self.secret else b""
        text = "".join(f"{len(part)}:{part}" for part in (kind, self.split.name, name))
        return hashlib.blake2b(text.encode(), digest_size=8, key=key)


@dataclass(frozen=True)
class Varied:
    """A request whose message is another one for each variant. ``split`` tells how people are assigned."""

    variants: Mapping[str, Any] = field(default_factory=dict, kw_only=True, repr=False)
    split: Split | None = field(default=None, kw_only=True)

    def of(self: R, variant: str) -> R:
        """The request of a variant; this one where there are none."""
        found: R = self.variants.get(variant, self)
        return found

    def mark(self, own: str) -> str:
        """A hash of what goes to everyone, which is ``own`` where all get the same."""
        if self.split is None:
            return own
        marks = [self.split, own, {name: each.fingerprint for name, each in self.variants.items()}]
        return hashlib.sha256(msgspec.json.encode(marks, order="deterministic")).hexdigest()[:16]


def varied(base: Any, variants: Mapping[str, Any], split: Split | None) -> Any:
    """The request for people who get these variants, with the variables of all; ``base`` is one of them."""
    if split is None:
        return base
    needed = base.needed.union(*(each.needed for each in variants.values()))
    return replace(base, variants=variants, split=split, needed=needed)
