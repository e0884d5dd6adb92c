"""Rewrite an example reply with made-up texts: same fields, same nulls and numbers, same shapes of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = ["MadeUp"]

START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
SID = re.compile(r"\b([A-Z]{2})[0-9a-f]{32}\b")
COMMS_ID = re.compile(r"\b((?:comms|mem)_[a-z]+_)[0-7a-z][a-hjkmnpqrstv-z0-9]{25,34}")
NUMBER_IN_PATH = re.compile(r"\+\d+")
LIQUID = re.compile(r"\{\{\s*(\w+)[^}]*\}\}")

# Makes a text of one shape, from an example and its number.
Shape = Callable[["MadeUp", str, int], str]


class MadeUp:
    """Rewrites the examples of one document. The same text becomes the same text, wherever it stands."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._known = {"GET", "POST", *_known_words(document)}
        self._made: dict[str, str] = {}

    def rewrite(self, value: Any) -> Any:
        """A copy with every text made up. The names of fields, numbers, null, true and false stay."""
        if isinstance(value, dict):
            return {name: self.rewrite(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.rewrite(each) for each in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        if text in self._known or not text:
            return text
        if text not in self._made:
            shape = next(shape for pattern, shape in SHAPES if re.search(pattern, text))
            self._made[text] = ""  # takes its number before the parts of it do
            self._made[text] = shape(self, text, len(self._made))
        return self._made[text]

    def sid(self, text: str, number: int) -> str:
        return f"{text[:2]}{number:032x}"

    def comms_id(self, text: str, number: int) -> str:
        return f"{text.rpartition('_')[0]}_{number:026d}"

    def prefixed(self, text: str, number: int) -> str:
        """An address with its channel, such as whatsapp:+1202... or the name of an RCS agent."""
        channel, _, address = text.partition(":")
        return f"{channel}:{f'agent_{number:04d}' if channel == 'rcs' else self._text(address)}"

    def url(self, text: str, number: int) -> str:
        """Twilio's own keep the path and the names of parameters; all others lead nowhere."""
        parts = urlsplit(text)
        if parts.netloc and not parts.netloc.endswith(".twilio.com"):
            return f"https://example.org/{number:04d}"
        path = parts.path
        for inner in (SID, COMMS_ID, NUMBER_IN_PATH):
            path = inner.sub(lambda match: self._text(match[0]), path)
        query = urlencode([(name, self._query(value)) for name, value in parse_qsl(parts.query)])
        return urlunsplit((parts.scheme, parts.netloc, path, query, ""))

    def _query(self, value: str) -> str:
        return value if value.isdecimal() else self._text(value)

    def phone_number(self, text: str, number: int) -> str:
        return f"+1202555{number:04d}".ljust(len(text), "0")

    def digits(self, text: str, number: int) -> str:
        """Make up digits of the same length, with as many decimals; zero stays zero."""
        if not text.strip("-0."):
            return text
        return re.sub(r"\d", lambda match: str((number + match.start()) % 9 + 1), text)

    def moment(self, text: str, number: int) -> str:
        moment = START + timedelta(hours=number, seconds=number)
        if text[0].isalpha():
            return f"{moment:%a, %d %b %Y %H:%M:%S} +0000"
        if "T" not in text:
            return f"{moment:%Y-%m-%d}"
        return f"{moment:%Y-%m-%dT%H:%M:%S}{'Z' if text.endswith('Z') else '+00:00'}"

    def kept(self, text: str, number: int) -> str:
        return text

    def words(self, text: str, number: int) -> str:
        """Names of a template's placeholders stay, and so does that there is more than ASCII."""
        mark = "" if text.isascii() else " \N{WHITE HEAVY CHECK MARK}"
        return " ".join([f"text {number:04d}{mark}", *(f"{{{{{name}}}}}" for name in LIQUID.findall(text))])


# The first pattern that fits a text decides.
SHAPES: list[tuple[str, Shape]] = [
    (rf"^{SID.pattern}$", MadeUp.sid),
    (rf"^{COMMS_ID.pattern}$", MadeUp.comms_id),
    (r"^\$\{[\w.]+\}$", MadeUp.kept),  # a reference to a trait of a profile
    (r"^(whatsapp|messenger|rcs):", MadeUp.prefixed),
    (r"^(https?:/)?/", MadeUp.url),
    (r"^\+\d+$", MadeUp.phone_number),
    (r"^2010-04-01$", MadeUp.kept),  # the version of the API
    (
        r"^(\d{4}-\d\d-\d\d(T[\d:]+(Z|\+00:00))?|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]+ \+0000)$",
        MadeUp.moment,
    ),
    (r"^-?\d+(\.\d+)?$", MadeUp.digits),
    (r"^([A-Z]{2,4}|[a-z]{2}|PT\d+H)$", MadeUp.kept),  # codes of countries and the like; durations
    (r"^(twilio|image)/[a-z-]+$", MadeUp.kept),  # types of content
    ("", MadeUp.words),
]


def _known_words(node: Any) -> Iterator[str]:
    """Words that are facts of a document: members of enums and names of fields."""
    if isinstance(node, list):
        for each in node:
            yield from _known_words(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "enum":
                yield from (each for each in value if isinstance(each, str))
            elif key == "properties":
                yield from value
            yield from _known_words(value)
