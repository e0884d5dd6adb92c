"""Retries: what may be repeated, and how long to wait; one rule and one policy for both transports.

Twilio has no idempotency key for messages, so the question behind every retry is whether it may text people
twice. ``may_repeat`` is the answer; nothing else in the package repeats a request.
"""

from __future__ import annotations

import logging
from typing import Any

from tenacity import RetryCallState, stop_after_attempt, wait_random_exponential
from tenacity.retry import retry_base

from airflow_provider_twilio_comms.api.error_codes import from_twilio
from airflow_provider_twilio_comms.api.flows import Download, Upload
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import RateLimited, SendUncertain, ServerFailed, TransportFailed

__all__ = ["may_repeat", "outcome", "policy", "untouched"]

log: logging.Logger = logging.getLogger(__name__)

LONGEST = 300.0  # seconds; a longer Retry-After is left to Airflow's own retries
_backoff = wait_random_exponential(multiplier=0.1, max=30)  # full jitter, from 100 ms, as Twilio advises


def untouched(error: BaseException) -> bool:
    """Tell if Twilio certainly did not process the request.

    It never left; Twilio itself said 429 ("isn't processed"); or it said 503 and when to come back.
    https://www.twilio.com/docs/api/errors/20429
    """
    if isinstance(error, TransportFailed):
        return not error.sent
    if isinstance(error, ServerFailed):
        return error.status == 503 and error.retry_after is not None and from_twilio(error.code)
    return isinstance(error, RateLimited)


def may_repeat(call: Call[Any] | Download | Upload, error: BaseException) -> bool:
    """Tell if the request may be made again after this error.

    Yes where Twilio did not process it. Where nobody knows, only if doing it twice is the same as once:
    a GET, PUT, DELETE, or a POST that only reads. Never a POST that creates. Twilio's document of the
    Communications API asks not to repeat after a 500: a read that is repeated a few times does no harm.
    """
    if getattr(error, "exhausted", False) or (getattr(error, "retry_after", None) or 0) > LONGEST:
        return False
    return untouched(error) or (call.repeatable and isinstance(error, TransportFailed | ServerFailed))


def outcome(call: Call[Any], error: BaseException) -> BaseException:
    """The error as the caller should see it: a send that may have happened is ``SendUncertain``."""
    if call.does == "sends" and isinstance(error, TransportFailed | ServerFailed) and not untouched(error):
        return SendUncertain(
            f"{call.method} {call.path}: Twilio may or may not have taken this send ({error}). "
            "It was not repeated, since that could text people twice",
            part=call.path,
            tried="nothing yet",
        )
    return error


def policy(max_attempts: int) -> dict[str, Any]:
    """The arguments of tenacity's ``Retrying`` and ``AsyncRetrying``, for functions of a call."""
    return {
        "stop": stop_after_attempt(max_attempts),
        "wait": _wait,
        "retry": _Repeatable(),
        "before_sleep": _tell,
        "reraise": True,
    }


class _Repeatable(retry_base):
    def __call__(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        return error is not None and may_repeat(state.args[0], error)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    told = getattr(error, "retry_after", None) or 0.0
    return float(told) + float(_backoff(state))


def _tell(state: RetryCallState) -> None:
    call, error = state.args[0], state.outcome.exception() if state.outcome else None
    delay = state.next_action.sleep if state.next_action else 0.0
    log.warning(
        "%s %s: %s. Attempt %d failed, the next follows in %.1f s",
        call.method,
        call.path,
        error,
        state.attempt_number,
        delay,
    )
