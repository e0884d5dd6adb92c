"""Was it good enough? What the author asked for, against what Twilio counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_twilio_comms._core.waiting.base import Outcome, total
from airflow_provider_twilio_comms._core.waiting.criteria import Criteria
from airflow_provider_twilio_comms.api import error_codes
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.comms.operations import Stats
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made
from airflow_provider_twilio_comms.exceptions import (
    DeliveryFailed,
    OperationGone,
    TwilioError,
    WaitTimedOut,
)

__all__ = ["by_verdict", "explained", "failure_codes", "judged"]

SHOWN = 5  # operations that an error names


def judged(criteria: Criteria, outcome: Outcome, operation_ids: Sequence[str]) -> Stats:
    """The counts, where they are good enough.

    Raises :class:`DeliveryFailed`, :class:`WaitTimedOut` or :class:`OperationGone` with the counts, or the
    error that ended the wait.
    """
    stats = total(outcome.operations.values())
    carried: dict[str, Any] = {"operation_ids": list(operation_ids), "stats": stats.to_dict()}
    if outcome.status == "error":
        error = TwilioError.from_dict(outcome.error or {})
        raise error
    if outcome.status == "gone":
        raise OperationGone(
            f"Twilio does not know {', '.join(outcome.missing)} (any more: results are kept for seven days). "
            "Nothing is sent again by running the task again",
            **carried,
        )
    canceled = [name for name, operation in outcome.operations.items() if operation.status == "CANCELED"]
    if canceled:
        raise DeliveryFailed(f"{', '.join(canceled)}: canceled at Twilio. {_counts(stats)}", **carried)
    short = criteria.shortfall(stats)
    # Time may be up while a carrier still owes receipts. If what is in suffices, it suffices.
    if outcome.status == "timeout" and (short or not _complete(outcome, operation_ids)):
        raise WaitTimedOut(
            f"time is up; {stats.under_way:,} messages are still under way and go on: "
            f"{_going(outcome, operation_ids)}. {_counts(stats)}. Running the task again waits on and sends "
            "nothing again",
            **carried,
        )
    if short:
        raise DeliveryFailed(f"{short}. {_counts(stats)}", **carried)
    return stats


def _complete(outcome: Outcome, operation_ids: Sequence[str]) -> bool:
    found = outcome.operations
    return len(found) == len(operation_ids) and all(operation.done for operation in found.values())


def _going(outcome: Outcome, operation_ids: Sequence[str]) -> str:
    """The operations that have not ended, or whose receipts are not all in."""
    found = outcome.operations
    ended = {name for name, operation in found.items() if operation.done and not operation.stats.under_way}
    ids = [name for name in operation_ids if name not in ended]
    return ", ".join(ids[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")


def _counts(stats: Stats) -> str:
    return (
        ", ".join(f"{name} {count:,}" for name, count in stats.to_dict().items() if count) or "no counts yet"
    )


def explained(error: DeliveryFailed, found: Mapping[int, int]) -> DeliveryFailed:
    """The same error, with the codes that were the reason and what they mean."""
    meanings = [
        f"{count} x {code}"
        + (f" ({known.meaning}; {known.verdict.value})" if (known := error_codes.known(code)) else "")
        for code, count in Counter(found).most_common(5)
    ]
    counted = {str(code): count for code, count in found.items()}
    text = (
        f"{error.message}. Of {sum(found.values())} looked at: {', '.join(meanings)}"
        if found
        else error.message
    )
    return type(error)(text, **{**{name: getattr(error, name) for name in error.fields}, "codes": counted})


def by_verdict(stats: Stats, found: Mapping[int, int]) -> dict[str, int]:
    """How many messages will not arrive, by what to do about it; ``not-asked`` where nobody asked why."""
    counts = Counter({error_codes.Verdict.RECIPIENT.value: stats.unaddressable})
    for code, count in found.items():
        counts[error_codes.verdict(code).value] += count
    counts["not-asked"] = max(0, stats.failed + stats.undelivered - sum(found.values()))
    return dict(counts)


def failure_codes(operation_ids: Sequence[str], limit: int = 50) -> Flow[dict[int, int]]:
    """How often each Twilio code was the reason, of up to ``limit`` messages that did not arrive.

    The reason stands in each message only, so this takes one request per message looked at.
    """
    found: Counter[int] = Counter()
    for operation_id in operation_ids:
        for status in ("FAILED", "UNDELIVERED"):
            left = limit - sum(found.values())
            if left <= 0:
                return dict(found)
            call = messages.list(operation_id=operation_id, status=status, page_size=min(left, 1000))
            for row in (yield from every_item(call, left)):
                message = yield from made(messages.fetch(row.id))
                if message.code:
                    found[message.code] += 1
    return dict(found)
