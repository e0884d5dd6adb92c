"""Was it good enough? What the author asked for, against what Twilio counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_twilio_comms.api import codes
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.comms.operations import Stats
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made
from airflow_provider_twilio_comms.exceptions import (
    DeliveryFailed,
    InvalidInput,
    OperationGone,
    TwilioError,
    WaitTimedOut,
)
from airflow_provider_twilio_comms.sending.waiting import Outcome, amount_of, total

__all__ = ["Criteria", "WaitFor", "failure_codes", "judged"]

WaitFor = Literal["accepted", "processed", "delivered"]
Amount = float | int


@dataclass(frozen=True)
class Criteria:
    """What a task asks for. An amount is a share (a float, 0.0 to 1.0) or a count (an int).

    With ``wait_for="delivered"`` every message has to arrive unless ``min_delivered`` says less. With
    ``"processed"``, at least one message has to be on its way.
    """

    wait_for: WaitFor = "processed"
    min_delivered: Amount | None = None
    max_failed: Amount | None = None

    def __post_init__(self) -> None:
        if self.wait_for not in ("accepted", "processed", "delivered"):
            raise InvalidInput.at(
                "wait_for", f"{self.wait_for!r} is unknown", "Use accepted, processed or delivered"
            )
        for name in ("min_delivered", "max_failed"):
            amount = getattr(self, name)
            if amount is None:
                continue
            bad = isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount < 0
            if bad or (isinstance(amount, float) and amount > 1):
                raise InvalidInput.at(
                    name, f"{amount!r} is no amount", "Give a share such as 0.98, or a count such as 100"
                )
        if self.min_delivered is not None and self.wait_for != "delivered":
            raise InvalidInput.at(
                "min_delivered", f"says nothing with {self.wait_for!r}", "Set wait_for='delivered'"
            )
        if self.max_failed is not None and self.wait_for == "accepted":
            raise InvalidInput.at("max_failed", "says nothing with 'accepted'", "Set wait_for='processed'")

    @property
    def enough(self) -> Amount | None:
        """What ends a wait for delivery early; None where every receipt counts."""
        if self.wait_for != "delivered" or self.max_failed is not None:
            return None
        return 1.0 if self.min_delivered is None else self.min_delivered

    def shortfall(self, stats: Stats) -> str | None:
        """What is missing, in words; None where it is good enough."""
        asked = stats.asked
        if self.max_failed is not None and stats.lost > (allowed := amount_of(self.max_failed, asked)):
            return f"{stats.lost:,} of {asked:,} failed, and max_failed={self.max_failed} allows {allowed:,}"
        if self.wait_for == "delivered":
            wanted = amount_of(1.0 if self.min_delivered is None else self.min_delivered, asked)
            if stats.arrived < wanted:
                named = "all" if self.min_delivered is None else f"min_delivered={self.min_delivered}"
                return f"{stats.arrived:,} of {asked:,} were delivered, and {named} asks for {wanted:,}"
        elif asked and stats.lost == asked and self.max_failed is None:
            return f"all {asked:,} failed"
        return None


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
            f"time is up; {stats.under_way:,} messages are still under way and go on. {_counts(stats)}. "
            "Running the task again waits on and sends nothing again",
            **carried,
        )
    if short:
        raise DeliveryFailed(f"{short}. {_counts(stats)}", **carried)
    return stats


def _complete(outcome: Outcome, operation_ids: Sequence[str]) -> bool:
    found = outcome.operations
    return len(found) == len(operation_ids) and all(operation.done for operation in found.values())


def _counts(stats: Stats) -> str:
    return (
        ", ".join(f"{name} {count:,}" for name, count in stats.to_dict().items() if count) or "no counts yet"
    )


def explained(error: DeliveryFailed, found: Mapping[int, int]) -> DeliveryFailed:
    """The same error, with the codes that were the reason and what they mean."""
    meanings = [
        f"{count} x {code}"
        + (f" ({known.meaning}; {known.verdict.value})" if (known := codes.known(code)) else "")
        for code, count in Counter(found).most_common(5)
    ]
    counted = {str(code): count for code, count in found.items()}
    text = (
        f"{error.message}. Of {sum(found.values())} looked at: {', '.join(meanings)}"
        if found
        else error.message
    )
    return type(error)(text, **{**{name: getattr(error, name) for name in error.fields}, "codes": counted})


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
