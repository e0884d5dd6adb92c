"""Texts cut where a segment ends, and never inside what a person sees as one character."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from airflow_provider_twilio_comms.api.sms_encoding import segments

# Characters that people and programs write, and GSM-7 lacks; one of them would halve the room of a text.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2018\u2019\u201a\u2032`\u00b4", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u00a0\u202f\u2009\t", " "),
        "\u2026": "...",
        "\u2192": "->",
        "\u2022": "*",
    }
)
# Parts of the character before them: variation selectors and marks, skin tones, tags of flags, and the
# vowels and ends of a Korean syllable.
_joins = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\u1160-\u11ff]").match
_flag = re.compile("[\U0001f1e6-\U0001f1ff]").match


def plain(text: str) -> str:
    """The text with typographic characters written as GSM-7 has them; letters that it lacks stay."""
    text = text.translate(_PLAIN)
    return "".join(char if not segments(char)[1] else _base(char) for char in text)


def _base(char: str) -> str:
    """The letter under an accent that GSM-7 lacks, else the character itself."""
    letter = unicodedata.normalize("NFKD", char)[:1]
    return letter if letter.isascii() and not segments(letter)[1] else char


def fits(text: str, bound: int) -> bool:
    """Tell whether a text takes no more than so many segments."""
    return segments(text)[0] <= bound


def cut(text: str, bound: int, tail: str = "") -> str:
    """The text and ``tail`` in no more than ``bound`` segments; what is cut ends in an ellipsis.

    The ellipsis is three dots in GSM-7, where the one character would make the text UCS-2.
    """
    if fits(text + tail, bound):
        return text + tail
    ends = [0]
    for cluster in clusters(text):
        ends.append(ends[-1] + len(cluster))
    low, high = 0, len(ends) - 1
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        if fits(_shortened(text[: ends[middle]], tail), bound):
            low = middle
        else:
            high = middle - 1
    return _shortened(text[: ends[low]], tail)


def _shortened(beginning: str, tail: str) -> str:
    wide = segments(beginning + tail)[1]
    return beginning.rstrip() + ("\u2026" if wide else "...") + tail


def clusters(text: str) -> Iterator[str]:
    """Split a text into what a person sees as single characters: letters with marks, flags, joined emoji."""
    start = 0
    for position in range(1, len(text)):
        if not _together(text, start, position):
            yield text[start:position]
            start = position
    if text:
        yield text[start:]


def _together(text: str, start: int, position: int) -> bool:
    before, char = text[position - 1], text[position]
    if before == "\u200d" or (before, char) == ("\r", "\n"):
        return True
    if _flag(char) and _flag(before):  # two letters make a flag
        return (position - start) % 2 == 1
    return bool(_joins(char)) or unicodedata.category(char) in ("Mn", "Mc", "Me")
