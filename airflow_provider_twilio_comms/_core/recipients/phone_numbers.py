"""Phone numbers: those in E.164 are taken as they are, the rest is read by phonenumbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["all_e164", "normalised"]

# The country code 1 is the one whose numbers have one length only; the others are phonenumbers' to know.
_E164 = r"\+(?:1[2-9]\d{9}|[2-9]\d{6,14})"
_one = re.compile(_E164, re.ASCII).fullmatch
_lines = re.compile(rf"(?:{_E164}\n)*", re.ASCII).fullmatch
_simple = re.compile(r"(?:\+1[2-9]\d{9}\n)*", re.ASCII).fullmatch


def all_e164(numbers: Sequence[str]) -> bool:
    """Whether every number is in E.164, and possible; one look for all of them makes it cheap."""
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


def normalised(text: object, region: str | None = None) -> tuple[str, str]:
    """``(number, "")`` in E.164, or ``("", problem)``. The problem never shows the number.

    ``region`` (``US``, ``PT``) is where numbers without a country code are.
    """
    if not isinstance(text, str):
        return "", "is empty" if text is None else f"is a {type(text).__name__}, not text"
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
            return "", "has no country code"
        return "", "is not a phone number"
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason == phonenumbers.ValidationResult.TOO_SHORT:
        return "", "is too short"
    if reason == phonenumbers.ValidationResult.TOO_LONG:
        return "", "is too long"
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return "", "is not a possible number of its country"
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)), ""
