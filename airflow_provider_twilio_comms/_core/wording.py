"""Plural forms in log lines and errors."""

from __future__ import annotations


def pluralize(number: int, noun: str) -> str:
    """Write a count with its noun: ``1 recipient``, ``25,000 recipients``."""
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}{ending}"
