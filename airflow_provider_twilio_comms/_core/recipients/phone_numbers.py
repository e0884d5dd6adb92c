"""Phone numbers: those in E.164 are taken as they are, the rest is read by phonenumbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

# The country code 1 is the one whose numbers have one length only; the others are phonenumbers' to know.
_E164 = r"\+(?:1[2-9]\d{9}|[2-9]\d{6,14})"
_one = re.compile(_E164, re.ASCII).fullmatch
_lines = re.compile(rf"(?:{_E164}\n)*", re.ASCII).fullmatch
_simple = re.compile(r"(?:\+1[2-9]\d{9}\n)*", re.ASCII).fullmatch


def all_e164(numbers: Sequence[str]) -> bool:
    """Tell whether every number is in E.164, and possible; one look for all of them makes it cheap."""
    text = "\n".join([*numbers, ""])
    if _simple(text):
        return True
    return _lines(text) is not None and all(len(number) in _lengths[number[:4]] for number in numbers)


class _Lengths(dict[str, frozenset[int]]):
    """The lengths that numbers have in E.164, by their first four characters: a country's code, and more."""

    def __missing__(self, start: str) -> frozenset[int]:
        from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

        for digits in (1, 2, 3):
            code = int(start[1 : 1 + digits])
            if code in COUNTRY_CODE_TO_REGION_CODE:
                region = COUNTRY_CODE_TO_REGION_CODE[code][0]
                found: Any = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
                national = found.general_desc.possible_length
                self[start] = frozenset(1 + digits + length for length in national)
                return self[start]
        return frozenset()


_lengths = _Lengths()


def kind_of(value: object) -> str:
    """Name the type of a value with its article: ``an int``."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def normalised(text: object, region: str | None = None) -> tuple[str, str]:
    """Read a phone number: ``(number, "")`` in E.164, or ``("", problem)``, which never shows the number.

    ``region`` (``US``, ``PT``) is where numbers without a country code are.
    """
    if not isinstance(text, str):
        return "", "is empty" if text is None else f"is {kind_of(text)}, not text"
    text = text.strip()
    if _one(text) and all_e164([text]):
        return text, ""
    if not text:
        return "", "is empty"
    if re.search(r"[^\W\d_]", text):  # phonenumbers would drop a letter, or dial it: somebody else's number
        return "", "is not a phone number"
    return _read(text, region)


def _read(text: str, region: str | None) -> tuple[str, str]:
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and region is None:
            return "", "has no country code (write + and the code first, or set default_region)"
        return "", "is not a phone number"
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason == phonenumbers.ValidationResult.TOO_SHORT:
        return "", "is too short"
    if reason == phonenumbers.ValidationResult.TOO_LONG:
        return "", "is too long"
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return "", "is not a possible number of its country"
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)), ""


UNKNOWN = "??"
NOWHERE = "Etc/UTC"  # the zone of a number that is nowhere, as Twilio has it
# Fixed, so that every try of a send makes the same groups of zones; the rules of 2037 then go on for ever.
_FIRST, _LAST = datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2038, 1, 1, tzinfo=timezone.utc)
_WEEK, _MINUTE = timedelta(weeks=1), timedelta(minutes=1)


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
        if found and found != "001":
            self[start] = str(found)
            return self[start]
        # Nobody has this number yet: the main country of its code, where it has one. Its neighbours may be
        # another country's, so nothing is learned from it.
        main = phonenumbers.region_code_for_country_code(read.country_code or 0)
        return str(main) if main not in ("001", "ZZ") else UNKNOWN


def zones_of(number: str) -> tuple[str, ...]:
    """The time zones that a number can be in, sorted, one of each kind.

    Zones whose clocks always agree are of one kind, so the world has about sixty.
    """
    return _zones(number[:10])


@lru_cache(maxsize=100_000)
def _zones(start: str) -> tuple[str, ...]:
    digits = start[1:]
    for length in range(len(digits), 0, -1):
        if names := _data().get(digits[:length]):
            return tuple(sorted({_kinds().get(name, NOWHERE) for name in names}))
    return (NOWHERE,)


@lru_cache(maxsize=1_000)
def zone_kind_of(zone: str) -> str:
    """The kind of a time zone by its name; raises ``ValueError``, ``KeyError`` or ``OSError`` for none."""
    name = zone.strip()
    return _kinds().get(name) or _named().get(_clock(ZoneInfo(name)), name)


def _kinds() -> dict[str, str]:
    """Each zone's kind, named after the zone with the most numbers: the same for every try."""
    return _all_kinds()[0]


def _named() -> dict[Any, str]:
    """The kinds by their clocks."""
    return _all_kinds()[1]


@lru_cache(maxsize=1)
def _all_kinds() -> tuple[dict[str, str], dict[Any, str]]:
    uses = Counter(name for found in _data().values() for name in found)
    named: dict[Any, str] = {}
    kinds: dict[str, str] = {}
    for name, _ in sorted(uses.items(), key=lambda item: (-item[1], item[0])):
        try:
            zone = ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            continue
        kinds[name] = named.setdefault(_clock(zone), name)
    return kinds, named


def _clock(zone: ZoneInfo) -> tuple[tuple[datetime, timedelta | None], ...]:
    """The changes of a zone's clocks, to the minute, and their offset to UTC from then on."""
    changes = [(_FIRST, _FIRST.astimezone(zone).utcoffset())]
    start = _FIRST
    while start < _LAST:
        before, after = changes[-1][1], (start + _WEEK).astimezone(zone).utcoffset()
        if before != after:
            low, high = start, start + _WEEK
            while high - low > _MINUTE:
                middle = low + (high - low) / 2
                low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
            changes.append((high.replace(second=0, microsecond=0), after))
        start += _WEEK
    return tuple(changes)


def _data() -> Mapping[str, tuple[str, ...]]:
    """The zones of numbers by their first digits."""
    zones: Any = import_module("phonenumbers.timezone")
    return zones.TIMEZONE_DATA  # type: ignore[no-any-return]
