"""SMS encoding: count the segments of a text, and tell GSM-7 from UCS-2.

GSM-7 holds 160 characters in one segment and 153 in each of several; a text with any other character is
UCS-2, which holds 70 or 67. https://www.twilio.com/docs/glossary/what-sms-character-limit
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["segments"]

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = "\f^{}\\[~]|€"
_gsm = re.compile(f"[{re.escape(_BASIC + _EXTENDED)}]*").fullmatch
_extended = re.compile(f"[{re.escape(_EXTENDED)}]")


def segments(text: str) -> tuple[int, bool]:
    """Count the segments of a text; the second value is True if it needs UCS-2."""
    if _gsm(text):
        if len(text) <= 80:  # even if every character counted twice
            return 1, False
        length = len(text) + len(_extended.findall(text))
        if length <= 160:
            return 1, False
        return (-(-length // 153) if length == len(text) else _filled(text, 153, _extended.match)), False
    length = len(text.encode("utf-16-le")) // 2
    if length <= 70:
        return 1, True
    return (-(-length // 67) if length == len(text) else _filled(text, 67, _surrogates)), True


def _surrogates(char: str) -> bool:
    return char > "\uffff"


def _filled(text: str, room: int, double: Callable[[str], Any]) -> int:
    """Count segments by filling one after the other: a character that counts twice is not cut in two."""
    count, used = 1, 0
    for char in text:
        size = 2 if double(char) else 1
        if used + size > room:
            count, used = count + 1, 0
        used += size
    return count
