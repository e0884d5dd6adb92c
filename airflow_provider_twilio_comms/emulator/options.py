"""What of the emulator's behaviour can be chosen, at the start and while it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

__all__ = ["Options", "Scripted", "compiled"]

Seconds = Annotated[float, msgspec.Meta(ge=0)]


def compiled(pattern: str) -> re.Pattern[str]:
    """Raises ``ValueError``, which msgspec reports with the place of the field."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None


class Scripted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes of every number that ``match`` (a regular expression, searched) finds, before the table of
    ``outcomes.py`` is asked. ``unaddressable`` stands above status and code.
    """

    match: str
    status: Literal["DELIVERED", "READ", "SENT", "UNDELIVERED", "FAILED"] = "DELIVERED"
    code: int | None = None
    unaddressable: bool = False

    def __post_init__(self) -> None:
        compiled(self.match)


class Options(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Times are seconds.

    ``pace``               how long an operation takes, from its start to COMPLETED
    ``receipts_lag``       how long after that delivery receipts still come in
    ``operation_after``    a fresh operation answers 404 for so long
    ``counters_after``     a fresh operation's counters are all 0 for so long
    ``list_lag``           lists show nothing younger
    ``ignore_tags``        lists of messages ignore the filter by tags, as Twilio does with a key it does not
    know ``accepted``           the 202 of a send: ``body``, ``header``, or None for the version's own (v1:
    body) ``strict_liquid``      refuse ``{{ name }}`` without a default, as two applications saw Twilio do
    ``check_senders``      refuse a sender, a pool that the account does not have
    ``unaddressable_rows`` list unaddressable recipients as FAILED messages without an attempt
    ``outcomes``           what becomes of numbers, before the table is asked
    ``null_sink``          count recipients, keep no message: for measuring clients
    ``reply_delay``        wait so long before every reply (server only)
    ``token_lifetime``     of OAuth tokens
    ``retention``          operations and messages are gone after so long
    """

    pace: Seconds = 3.0
    receipts_lag: Seconds = 0.0
    operation_after: Seconds = 0.0
    counters_after: Seconds = 0.0
    list_lag: Seconds = 0.0
    ignore_tags: bool = False
    accepted: Literal["body", "header"] | None = None
    strict_liquid: bool = False
    check_senders: bool = True
    unaddressable_rows: bool = True
    outcomes: list[Scripted] = []
    null_sink: bool = False
    reply_delay: Seconds = 0.0
    token_lifetime: Annotated[int, msgspec.Meta(ge=1)] = 3600
    retention: Seconds = 7 * 24 * 3600.0

    def changed(self, changes: Mapping[str, Any]) -> Options:
        """Raises ``msgspec.ValidationError`` for an unknown name or a value that does not fit."""
        return msgspec.convert({**msgspec.to_builtins(self), **msgspec.to_builtins(changes)}, Options)
