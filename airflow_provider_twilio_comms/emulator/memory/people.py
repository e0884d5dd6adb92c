"""The people of a memory store: profiles, their traits and identifiers, merged by identifier."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import phonenumbers

from airflow_provider_twilio_comms.emulator.http import Problem
from airflow_provider_twilio_comms.emulator.memory.schema import IdentifierConfig, Trait

__all__ = ["People", "Profile", "TraitGroup", "normalize"]

Traits = Mapping[str, Mapping[str, Any]]
LONGEST_TEXT, LONGEST_ARRAY = 1024, 100
_KINDS: dict[str, type | tuple[type, ...]] = {
    "STRING": str,
    "NUMBER": (int, float),
    "BOOLEAN": bool,
    "ARRAY": list,
}


@dataclass(slots=True)
class TraitGroup:
    """A trait group, which exists from ``created`` on."""

    name: str
    description: str | None
    traits: dict[str, Trait]
    created: float
    version: int = 1

    @property
    def etag(self) -> str:
        return f'"{self.name}-{self.version}"'


@dataclass(slots=True)
class Profile:
    """A profile: values and the times since when it has them, and identifiers, the newest last."""

    id: str
    created: float
    traits: dict[str, dict[str, Any]] = field(default_factory=dict)
    since: dict[tuple[str, str], float] = field(default_factory=dict)
    identifiers: dict[str, list[str]] = field(default_factory=dict)


class People:
    """The profiles of one store. ``promoted`` traits are identifiers, by which profiles are merged."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self.profiles: dict[str, Profile] = {}
        self.merged: dict[str, str] = {}
        self.groups: dict[str, TraitGroup] = {}
        self.configs: dict[str, IdentifierConfig] = {
            "phone": IdentifierConfig(id_type="phone", normalization="phone"),
            "email": IdentifierConfig(id_type="email", normalization="email"),
            "whatsapp": IdentifierConfig(id_type="whatsapp", normalization="phone"),
        }
        self.rules: list[str] = [*self.configs]
        self.settings_version: int = 1
        self._by_identifier: dict[tuple[str, str], str] = {}

    def check(self, traits: Traits, where: str = "$.traits") -> None:
        """Raise a 400 for a trait that no group defines, or a value of another type than it says."""
        for group_name, values in traits.items():
            group = self.groups.get(group_name)
            if group is None:
                raise Problem(400, 20001, f"{where}: the store has no trait group {group_name}")
            for name, value in values.items():
                definition = group.traits.get(name)
                if definition is None:
                    raise Problem(400, 20001, f"{where}: {group_name} has no trait {name}")
                if value is not None and not _fits(value, definition.data_type):
                    kind = definition.data_type
                    raise Problem(400, 20001, f"{where}: {group_name}.{name} is not a valid {kind}")
                if value is not None and not _keeps(value, definition.validation_rule):
                    raise Problem(400, 20001, f"{where}: {group_name}.{name} breaks its validation rule")

    def identifiers_in(self, traits: Traits) -> list[tuple[str, str]]:
        """List the identifiers in traits, normalized; one that is not valid is left out."""
        found = []
        for group_name, values in traits.items():
            for name, value in values.items():
                promotion = self.groups[group_name].traits[name].id_type_promotion
                if isinstance(promotion, str) and isinstance(value, str):
                    normal = self.normal(promotion, value)
                    if normal:
                        found.append((promotion, normal))
        return found

    def normal(self, id_type: str, value: str) -> str | None:
        config = self.configs.get(id_type)
        return normalize(value, config.normalization) if config else None

    def find(self, id_type: str, value: str) -> str | None:
        """Find the profile that has an identifier."""
        found = self._by_identifier.get((id_type, value))
        return found and self.canonical(found)

    def canonical(self, profile_id: str) -> str:
        while profile_id in self.merged:
            profile_id = self.merged[profile_id]
        return profile_id

    def upsert(self, traits: Traits, now: float) -> Profile | None:
        """Create a profile, or add to those that share an identifier, which become one; None without any."""
        identifiers = self.identifiers_in(traits)
        if not identifiers:
            return None
        known: list[str] = []
        for id_type, value in identifiers:
            found = self.find(id_type, value) if id_type in self.rules else None
            if found and found not in known:
                known.append(found)
        profile = self.profiles[known[0]] if known else Profile(self._new_id(), now)
        self.profiles[profile.id] = profile
        for other in known[1:]:
            self._merge(profile, self.profiles.pop(other))
        self.write(profile, traits, now)
        return profile

    def write(self, profile: Profile, traits: Traits, now: float) -> None:
        """Write traits; None removes one. Promoted ones become identifiers."""
        for group, values in traits.items():
            kept = profile.traits.setdefault(group, {})
            for name, value in values.items():
                if value is None:
                    kept.pop(name, None)
                else:
                    kept[name] = value
                    profile.since[group, name] = now
        for id_type, value in self.identifiers_in(traits):
            self.identify(profile, id_type, value)

    def identify(self, profile: Profile, id_type: str, value: str) -> None:
        """Add an identifier as the newest of its type; beyond the limit the oldest goes."""
        values = profile.identifiers.setdefault(id_type, [])
        if value in values:
            values.remove(value)
        values.append(value)
        self._by_identifier[id_type, value] = profile.id
        for old in values[: -self.configs[id_type].limit]:
            self.forget(profile, id_type, old)

    def forget(self, profile: Profile, id_type: str, value: str) -> None:
        profile.identifiers[id_type].remove(value)
        self._by_identifier.pop((id_type, value), None)
        if not profile.identifiers[id_type]:
            del profile.identifiers[id_type]

    def delete(self, profile: Profile) -> None:
        del self.profiles[profile.id]
        for id_type, values in profile.identifiers.items():
            for value in values:
                self._by_identifier.pop((id_type, value), None)

    def _merge(self, into: Profile, other: Profile) -> None:
        """Move what the other has into a profile, which keeps its own values."""
        self.merged[other.id] = into.id
        for group, values in other.traits.items():
            for name, value in values.items():
                into.traits.setdefault(group, {}).setdefault(name, value)
                into.since.setdefault((group, name), other.since[group, name])
        for id_type, identifiers in other.identifiers.items():
            for value in identifiers:
                self.identify(into, id_type, value)


def _fits(value: Any, data_type: str) -> bool:
    if isinstance(value, bool) != (data_type == "BOOLEAN") or not isinstance(value, _KINDS[data_type]):
        return False
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    return not isinstance(value, list) or (len(value) <= LONGEST_ARRAY and _scalars(value))


def _keeps(value: Any, rule: Any) -> bool:
    """Tell if a value keeps the rule of its trait: bounds of its length or size, and a pattern."""
    if not isinstance(rule, dict):
        return True
    size: Any = len(value) if isinstance(value, str | list) else value
    least = rule.get("minLength", rule.get("minItems", rule.get("min", size)))
    most = rule.get("maxLength", rule.get("maxItems", rule.get("max", size)))
    fits = "pattern" not in rule or re.search(rule["pattern"], value) is not None
    return bool(least <= size <= most and fits)


def _scalars(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str | int | float | bool) for value in values)


def normalize(value: str, rule: str) -> str | None:
    """Normalize an identifier; None if it is not one. A phone number without + is one of the US."""
    value = value.strip() if rule != "none" else value
    if rule == "email":
        return value.lower() if "@" in value else None
    if rule != "phone":
        return value or None
    if value.startswith("+") and value[1:].isdecimal() and 8 <= len(value) <= 16 and value[1] != "0":
        return value
    try:
        number = phonenumbers.parse(value, "US")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
