"""Find a declared resource by its name, which Twilio does not keep unique."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from airflow_provider_twilio_comms.exceptions import InvalidInput

T = TypeVar("T")


def only_named(found: Sequence[T], ids: Sequence[str], kind: str, name: str, key: str) -> T | None:
    """Return the one that has the name, if any. Raises :class:`InvalidInput` where several have it.

    ``ids`` are theirs, ``kind`` is their plural, and ``name`` and ``key`` the arguments that say which.
    """
    if len(found) > 1:
        raise InvalidInput.at(
            name,
            f"{len(found)} {kind} have this name: {', '.join(ids[:5])}",
            f"Give {key} to say which one is meant",
        )
    return found[0] if found else None
