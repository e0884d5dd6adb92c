"""Patterns of numbers, as the connection's ``allowed_recipients`` has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from typing import Any

from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["matching"]


def matching(patterns: Any) -> Callable[[str], object]:
    """Whether an address is like one of ``patterns`` (a list, or a text with commas)."""
    listed = patterns.split(",") if isinstance(patterns, str) else patterns
    if not isinstance(listed, Sequence) or not all(isinstance(each, str) for each in listed):
        raise InvalidInput.at(
            "allowed_recipients", "is no list of patterns", "Give one such as ['+1500555*']"
        )
    return re.compile("|".join(translate(each.strip()) for each in listed if each.strip())).match
