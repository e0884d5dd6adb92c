"""Retry policy of tasks that talk to Twilio: whether and when to try again, by Twilio's own error codes.

Airflow has retry policies from 3.3 on; on 3.2 this module cannot be imported, and tasks keep their
``retry_delay``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider_twilio_comms.api.error_codes import known
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    DeliveryFailed,
    InvalidInput,
    Refused,
    SendUncertain,
    TwilioError,
    WaitTimedOut,
)

__all__ = ["TwilioRetryPolicy"]

FINAL = ("configuration", "recipient", "opt-out")
PACIFIC = frozenset({30023, 30027})  # caps of the carriers, which begin anew at midnight in California
ROLLING = frozenset({63038})  # a cap over the last 24 hours
MARGIN = timedelta(minutes=5)  # behind the hour at which everybody comes back


class TwilioRetryPolicy(RetryPolicy):
    """Retry by Twilio's error: later where it says when, on the next day for a daily cap, never in vain.

    ================================================  ====================================================
    error                                             decision
    ================================================  ====================================================
    a daily cap of a carrier (30023, 30027)           retry after midnight in California
    a daily cap of the account (63038)                retry after 24 hours
    another one with ``Retry-After``                  retry after that, or ``retry_delay`` where it is longer
    opt-out, recipient, configuration, invalid input  fail, without further retries
    ``DeliveryFailed``                                fail: a retry sends nothing again
    ``WaitTimedOut``, ``SendUncertain``, any other    as ``retries`` and ``retry_delay`` of the task say
    ================================================  ====================================================

    The operators that send have it by default. It is of use to any task that calls the hook: it looks through
    the causes of an error for one of Twilio's. A policy cannot add retries: ``retries`` is the task's.
    Sources: https://www.twilio.com/docs/api/errors/30023 and https://www.twilio.com/docs/api/errors/63038.

    :param longest: never delay a retry by more than this
    """

    def __init__(self, longest: timedelta = timedelta(hours=25)) -> None:
        self.longest = longest

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
    ) -> RetryDecision:
        error = next(_twilio_errors(exception), None)
        if error is None or isinstance(error, (SendUncertain, WaitTimedOut)):
            return RetryDecision.default()
        if isinstance(error, (InvalidInput, Refused, DeliveryFailed)):
            return RetryDecision.fail(f"{type(error).__name__}: no retry would change that")
        if not isinstance(error, ApiError):
            return RetryDecision.default()
        if error.verdict in FINAL:
            return RetryDecision.fail(f"{_told(error)}: no retry would change that ({error.verdict})")
        return self._later(error, context)

    def serialize(self) -> dict[str, Any]:
        return {"longest": self.longest.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> TwilioRetryPolicy:
        return cls(timedelta(seconds=data["longest"]))

    def _later(self, error: ApiError, context: Any) -> RetryDecision:
        if error.code in PACIFIC:
            delay, why = _until_midnight_in_california(), "the cap begins anew at midnight in California"
        elif error.code in ROLLING:
            delay, why = timedelta(days=1), "the cap is over 24 hours"
        elif error.retry_after:
            delay, why = timedelta(seconds=error.retry_after), "Twilio says when to come back"
            delay = max(delay, _usual_delay(context))
        else:
            return RetryDecision.default()
        return RetryDecision.retry(min(delay, self.longest), f"{_told(error)}: {why}")


def _twilio_errors(error: BaseException | None) -> Iterator[TwilioError]:
    """Twilio's errors among an error and its causes."""
    while error is not None:
        if isinstance(error, TwilioError):
            yield error
        error = error.__cause__


def _told(error: ApiError) -> str:
    """The code and its meaning, which hold nothing of the request."""
    listed = known(error.code)
    return f"Twilio error {error.code} ({listed.meaning})" if listed else f"HTTP {error.status}"


def _until_midnight_in_california() -> timedelta:
    now = datetime.now(ZoneInfo("America/Los_Angeles"))
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    return midnight.astimezone(timezone.utc) - now.astimezone(timezone.utc) + MARGIN


def _usual_delay(context: Any) -> timedelta:
    """The task's own ``retry_delay``."""
    delay = getattr((context or {}).get("task"), "retry_delay", None)
    return delay if isinstance(delay, timedelta) else timedelta(0)
