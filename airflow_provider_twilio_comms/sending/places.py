"""Where a number is: its country, and the time zones that it can be in, by its first digits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["UNKNOWN", "Countries", "zones_of"]

UNKNOWN = "??"
NOWHERE = "Etc/UTC"  # the zone of a number that is nowhere, as Twilio has it
_WEEKS = [datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(weeks=week) for week in range(3 * 52)]


class Countries(dict[str, str]):
    """Countries (``US``) by the first digits of numbers in E.164, learned as numbers are asked for."""

    def of(self, number: str) -> str:
        # North America is told by three digits after its 1; other codes that countries share, by more.
        start = number[:5] if number.startswith("+1") else number[:9]
        return self[start] if start in self else self._learned(number, start)

    def _learned(self, number: str, start: str) -> str:
        import phonenumbers

        try:
            read = phonenumbers.parse(number)
        except phonenumbers.NumberParseException:
            return UNKNOWN
        found = phonenumbers.region_code_for_number(read)
        if not found or found == "001":
            # Numbers of the right length that nobody has yet: the code's main country, where it has one.
            found = phonenumbers.region_code_for_country_code(read.country_code or 0)
        self[start] = str(found) if found not in ("001", "ZZ") else UNKNOWN
        return self[start]


def zones_of(number: str) -> tuple[str, ...]:
    """The time zones that a number can be in, sorted, one of each kind.

    Zones whose clocks agree are of one kind, so the world has about fifty.
    """
    return _zones(number[:10])


@lru_cache(maxsize=100_000)
def _zones(start: str) -> tuple[str, ...]:
    digits = start[1:]
    for length in range(len(digits), 0, -1):
        if names := _data().get(digits[:length]):
            return tuple(sorted({_kinds().get(name, NOWHERE) for name in names}))
    return (NOWHERE,)


@lru_cache(maxsize=1)
def _kinds() -> dict[str, str]:
    """Each zone's kind, named after the zone with the most numbers: the same for every try."""
    uses = Counter(name for found in _data().values() for name in found)
    named: dict[Any, str] = {}
    kinds: dict[str, str] = {}
    for name, _ in sorted(uses.items(), key=lambda item: (-item[1], item[0])):
        try:
            zone = ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            continue
        kinds[name] = named.setdefault(tuple(week.astimezone(zone).utcoffset() for week in _WEEKS), name)
    return kinds


def _data() -> Mapping[str, tuple[str, ...]]:
    """The zones of numbers by their first digits."""
    zones: Any = import_module("phonenumbers.timezone")
    return zones.TIMEZONE_DATA  # type: ignore[no-any-return]
