"""Options of the emulator, which can be set when it starts and changed while it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo
from typing_extensions import get_type_hints

__all__ = ["Options", "Scripted", "compiled", "described"]

Seconds = Annotated[float, Meta(ge=0)]


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression. Raises ``ValueError``, which msgspec reports with the field's name."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None


class Scripted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The outcome of messages to each number in which the regular expression ``match`` is found.

    It takes precedence over the table of ``outcomes.py``, and ``unaddressable`` over status and code.
    """

    match: str
    status: Literal["DELIVERED", "READ", "SENT", "UNDELIVERED", "FAILED"] = "DELIVERED"
    code: int | None = None
    unaddressable: bool = False

    def __post_init__(self) -> None:
        compiled(self.match)


class Options(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The emulator's behaviour. Times are in seconds; ``--help`` shows the descriptions of the fields."""

    mode: Annotated[
        Literal["strict", "like-twilio"],
        Meta(
            description="strict refuses what Twilio would ignore; like-twilio takes it, as its document says"
        ),
    ] = "strict"
    pace: Annotated[Seconds, Meta(description="time that an operation takes, from start to COMPLETED")] = 3.0
    receipts_lag: Annotated[
        Seconds, Meta(description="time after COMPLETED during which receipts still come in")
    ] = 0.0
    operation_after: Annotated[
        Seconds, Meta(description="time during which a new operation answers 404, as at Twilio")
    ] = 0.0
    counters_after: Annotated[
        Seconds, Meta(description="time during which the counters of a new operation are all 0")
    ] = 0.0
    list_lag: Annotated[
        Seconds, Meta(description="time during which lists do not show new messages and operations")
    ] = 0.0
    ignore_tags: Annotated[
        bool, Meta(description="ignore the filter by tags in lists of messages, as an unknown filter is")
    ] = False
    accepted: Annotated[
        Literal["body", "header"] | None,
        Meta(description="place of the operation id in a send's reply (default: body in v1, else header)"),
    ] = None
    # Two applications saw Twilio do this.
    strict_liquid: Annotated[
        bool, Meta(description="refuse Liquid variables without a default, such as {{ name }}")
    ] = False
    check_senders: Annotated[
        bool, Meta(description="refuse senders and sender pools that the account does not have")
    ] = True
    sender_rates: Annotated[
        bool, Meta(description="queue messages at the rate of their sender (MPS), as Twilio does")
    ] = False
    requests_at_once: Annotated[
        int,
        Meta(
            ge=0,
            description="number of requests in progress above which more are refused (429); 0 is no limit",
        ),
    ] = 0
    unaddressable_rows: Annotated[
        bool, Meta(description="list unaddressable recipients as FAILED messages without an attempt")
    ] = True
    outcomes: Annotated[
        list[Scripted], Meta(description="outcomes by number, which take precedence over the magic numbers")
    ] = []
    null_sink: Annotated[
        bool, Meta(description="count recipients but keep no messages, for benchmarks of clients")
    ] = False
    profiles_after: Annotated[
        Seconds, Meta(description="time until what was written about a profile can be read")
    ] = 0.0
    profiles_per_second: Annotated[
        int, Meta(ge=0, description="requests about profiles in a second before a 429; 0 for no limit")
    ] = 0
    cohort_limits: Annotated[
        bool, Meta(description="hold requests about cohorts to Twilio's limits, such as 100 snapshots a day")
    ] = False
    whole_cel: Annotated[
        bool, Meta(description="evaluate all of CEL in criteria, not only what Twilio's pages name")
    ] = False
    partition_size: Annotated[int, Meta(ge=1, description="profiles in a partition of a snapshot")] = 5000
    reply_delay: Annotated[Seconds, Meta(description="time to wait before every reply")] = 0.0
    status_callbacks: Annotated[
        Literal["loopback", "everywhere", "off"],
        Meta(description="where the StatusCallback of a message may lead: this machine alone, or anywhere"),
    ] = "loopback"
    token_lifetime: Annotated[int, Meta(ge=1, description="lifetime of OAuth tokens")] = 3600
    events_anywhere: Annotated[
        bool, Meta(description="deliver events to sinks on other machines too, not only on this one")
    ] = False
    retention: Annotated[
        Seconds, Meta(description="time after which operations and messages are deleted")
    ] = 7 * 24 * 3600.0

    def changed(self, changes: Mapping[str, Any]) -> Options:
        """Apply changes. Raises ``msgspec.ValidationError`` for an unknown name or an invalid value."""
        return msgspec.convert({**msgspec.to_builtins(self), **msgspec.to_builtins(changes)}, Options)


def described() -> Iterator[tuple[FieldInfo, str]]:
    """List the fields of ``Options``, each with its description."""
    hints = get_type_hints(Options, include_extras=True)
    for field in msgspec.structs.fields(Options):
        metas = (each for each in hints[field.name].__metadata__ if isinstance(each, Meta))
        yield field, next(each.description for each in metas if each.description)
