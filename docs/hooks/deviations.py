"""Page on where the emulator is stricter or looser than Twilio, from the list that the tests check."""

from __future__ import annotations

from tests.contract.deviations import DEVIATIONS
from tests.contract.disagreements import DISAGREEMENTS

__all__ = ["page"]

_INTRO = """# Emulator and Twilio

Twilio's own OpenAPI documents, their examples, and recorded replies judge the emulator. It is stricter
than Twilio where a mistake would otherwise go unnoticed. With the option `mode` set to `like-twilio`
(`--mode like-twilio`, `twilio.change(mode="like-twilio")`), it takes what the documents leave open, as
Twilio does; the last column of the tables tells where that makes a difference.
"""
_TITLES = {
    "stricter": "Stricter than Twilio",
    "looser": "Looser than Twilio",
    "different": "Otherwise different, or not known",
}
_FAULTS = """## Errors of Twilio's documents

Where a document contradicts Twilio's examples or pages, the tests follow the latter.

| document | error |
|---|---|
"""


def page() -> str:
    """Write the page."""
    parts = [_INTRO]
    for kind, title in _TITLES.items():
        rows = [
            f"| {each.product} | {each.emulator} | {each.twilio} | {each.reason} | "
            f"{'yes' if each.mode else 'no'} |"
            for each in DEVIATIONS
            if each.kind == kind
        ]
        parts.append(
            f"## {title}\n\n| product | the emulator | Twilio | reason | `mode` |\n|---|---|---|---|---|"
        )
        parts[-1] += "\n" + "\n".join(rows) + "\n"
    faults = [f"| {each.product} | {each.reason} |" for each in DISAGREEMENTS]
    return "\n".join([*parts, _FAULTS + "\n".join(faults) + "\n"])
