"""Criteria of cohorts: find the traits and addresses that a CEL expression refers to.

https://www.twilio.com/docs/cohorts/cel/overview. The expression itself is Twilio's to evaluate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["ADDRESSES", "References", "check", "references"]

ADDRESSES = ("email", "phone", "whatsapp", "chat")
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<path>[A-Za-z_]\w*(?:\s*\.\s*\w+)*)|(?P<other>\S)"""
)
_FORMS = "Use profile.trait.<group>.<trait> and profile.address.<email, phone, whatsapp or chat>"


class References(NamedTuple):
    """The traits, as (group, name), and the addresses that an expression refers to."""

    traits: frozenset[tuple[str, str]]
    addresses: frozenset[str]


def references(criteria: str) -> References:
    """Find the traits and addresses in a CEL expression; texts in quotes are skipped.

    Raises :class:`InvalidInput` for a path of ``profile`` that is neither.
    """
    traits, addresses = set[tuple[str, str]](), set[str]()
    for token in _TOKEN.finditer(criteria):
        head, *path = re.sub(r"\s", "", token["path"] or "").split(".")
        if head != "profile":
            continue
        if path[:1] == ["trait"] and len(path) == 3:
            traits.add((path[1], path[2]))
        elif path[:1] == ["address"] and len(path) == 2 and path[1] in ADDRESSES:
            addresses.add(path[1])
        else:
            raise InvalidInput.at(
                "criteria", f"{'.'.join([head, *path])} is neither trait nor address", _FORMS
            )
    return References(frozenset(traits), frozenset(addresses))


def check(criteria: str, groups: Mapping[str, Mapping[str, str]]) -> References:
    """Check an expression against a store's traits, given as data types by trait group and name.

    Raises :class:`InvalidInput` for a trait that the store does not have, and for an array: CEL of cohorts
    does not support them.
    """
    found = references(criteria)
    for group, trait in sorted(found.traits):
        if group not in groups:
            known = ", ".join(sorted(groups)) or "none"
            raise InvalidInput.at("criteria", f"the store has no trait group {group}", f"It has {known}")
        if trait not in groups[group]:
            known = ", ".join(sorted(groups[group])) or "none"
            raise InvalidInput.at("criteria", f"there is no trait {trait} in {group}", f"It has {known}")
        if groups[group][trait] == "ARRAY":
            raise InvalidInput.at(
                "criteria",
                f"{group}.{trait} is an array",
                "Cohorts cannot filter by one",
            )
    return found
