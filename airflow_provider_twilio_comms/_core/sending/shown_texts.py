"""Compare the text of a message with the one that Twilio's list shows for it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

TRIAL = "Sent from your Twilio trial account - "

_link = re.compile(r"https?://\S+")
_variable = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
# By Unicode category: dashes, quotes, spaces, and what cannot be seen.
_PLAIN = {"Pd": "-", "Pi": "'", "Pf": "'", "Zs": " ", "Cf": "", "Mn": ""}
_ALSO = str.maketrans(
    {'"': "'", "`": "'", "\u2032": "'", "\u2033": "'", "\u201a": "'", "\u201e": "'", "\u2212": "-"}
)


def alike(sent: str, shown: str, *, shortened: bool = False) -> bool:
    """Tell whether Twilio may show ``shown`` for ``sent``, whose links it may have ``shortened``."""
    return _plain(sent, shortened) == _plain(shown.removeprefix(TRIAL), shortened)


def _plain(text: str, shortened: bool) -> str:
    text = _link.sub("(link)", text) if shortened else text
    text = unicodedata.normalize("NFKD", text).translate(_ALSO)
    return "".join(_PLAIN.get(unicodedata.category(char), char) for char in text).strip()


def rendered(types: Mapping[str, Any], variables: Mapping[str, str]) -> Iterator[str]:
    """The texts that a content template's types may become, with its variables filled in."""
    for shape in types.values():
        body = shape.get("body") if isinstance(shape, Mapping) else None
        if isinstance(body, str) and body:
            yield _variable.sub(lambda match: str(variables.get(match[1], match[0])), body)
