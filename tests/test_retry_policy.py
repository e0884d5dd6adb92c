"""The retry policy: what Twilio's errors make of a task's next try."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    DeliveryFailed,
    InvalidInput,
    RateLimited,
    SendUncertain,
    TransportFailed,
    TwilioError,
    WaitTimedOut,
)
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from tests.conftest import environment

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

if not hasattr(BaseOperator, "retry_policy"):
    pytest.skip("Airflow has retry policies from 3.3 on", allow_module_level=True)

from airflow.sdk import RetryAction, RetryDecision

from airflow_provider_twilio_comms.retry_policy import MARGIN, TwilioRetryPolicy

HOUR = timedelta(hours=1)


def decide(error: BaseException, **policy: Any) -> RetryDecision:
    return TwilioRetryPolicy(**policy).evaluate(error, 1, 3)


def answered(code: int, status: int = 400, **values: Any) -> ApiError:
    return ApiError("no", status=status, code=code, **{"verdict": "retry", **values})


@pytest.mark.parametrize("code", [30023, 30027])
def test_a_carriers_daily_cap_is_over_after_midnight_in_california(code: int) -> None:
    decision = decide(answered(code))
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay is not None
    then = (datetime.now(timezone.utc) + decision.retry_delay - MARGIN).astimezone(ZoneInfo("US/Pacific"))
    assert (then + timedelta(seconds=5)).replace(minute=0, second=0, microsecond=0).hour == 0
    assert str(code) in str(decision.reason)


def test_the_accounts_daily_cap_is_over_24_hours_later() -> None:
    assert decide(answered(63038)).retry_delay == 24 * HOUR
    assert decide(answered(63038), longest=2 * HOUR).retry_delay == 2 * HOUR


def test_a_retry_waits_for_as_long_as_twilio_says(emulator: Running) -> None:
    emulator.twilio.faults.add(Fault(kind="rate_limited", method="POST", retry_after=90, times=None))
    hasty = emulator.connection_json(max_attempts=1)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=hasty), pytest.raises(RateLimited) as caught:
        TwilioHook().run(messages.send("+12025550101", from_="+15005550006", body="Hi"))
    decision = decide(caught.value)
    assert decision.retry_delay == timedelta(seconds=90)
    assert "555" not in str(decision.reason)


def test_a_retry_never_comes_before_the_tasks_own_delay() -> None:
    task = BaseOperator(task_id="t", retry_delay=HOUR)
    for after, delay in ((90.0, HOUR), (7200.0, 2 * HOUR)):
        error = answered(20429, 429, retry_after=after)
        context: Any = {"task": task}
        assert TwilioRetryPolicy().evaluate(error, 1, 3, context).retry_delay == delay


@pytest.mark.parametrize(
    "error",
    [
        answered(21610, verdict="opt-out"),
        answered(21211, verdict="recipient"),
        answered(20003, 401, verdict="configuration"),
        InvalidInput("no such field", field="to"),
        DeliveryFailed("800 of 1,000 failed", operation_ids=[], stats={}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_no_retry_can_help_is_not_retried(error: TwilioError) -> None:
    assert decide(error).action is RetryAction.FAIL


@pytest.mark.parametrize(
    "error",
    [
        SendUncertain("nobody knows"),
        WaitTimedOut("not yet", operation_ids=[], stats={}),
        TransportFailed("no reply"),
        answered(20500, 500, verdict="unknown"),
        ValueError("not Twilio's"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_everything_else_is_as_the_task_says(error: Exception) -> None:
    assert decide(error) == RetryDecision.default()


def test_an_error_of_twilio_is_found_among_the_causes() -> None:
    error = RuntimeError("the pipeline broke")
    error.__cause__ = answered(63038)
    assert decide(error).retry_delay == 24 * HOUR


def test_operators_that_send_have_it_unless_the_author_says_otherwise() -> None:
    other = TwilioRetryPolicy(HOUR)
    with DAG("retries", default_args={"retry_policy": other}):
        inherits = send("inherits")
    assert isinstance(send("usual").retry_policy, TwilioRetryPolicy)
    assert send("none", retry_policy=None).retry_policy is None
    assert send("own", retry_policy=other).retry_policy is other
    assert inherits.retry_policy is other


def send(task_id: str, **kwargs: Any) -> TwilioSendMessageOperator:
    return TwilioSendMessageOperator(task_id=task_id, to="+12025550101", body="Hi", **kwargs)


def test_it_comes_back_from_a_serialized_dag_as_it_was() -> None:
    again = TwilioRetryPolicy.deserialize(TwilioRetryPolicy(2 * HOUR).serialize())
    assert again.longest == 2 * HOUR
