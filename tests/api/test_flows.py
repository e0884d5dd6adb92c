"""Flows, stepped by hand, since they do no I/O."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.comms import operations
from airflow_provider_twilio_comms.api.flows import (
    Done,
    Flow,
    Pause,
    advance,
    fetched,
    made,
    now,
    removed,
    waited,
)
from airflow_provider_twilio_comms.exceptions import ApiError


def test_a_call_is_a_flow_of_one_step() -> None:
    call = operations.fetch("comms_operation_1")
    flow = made(call)
    assert next(flow) is call
    with pytest.raises(StopIteration) as stop:
        flow.send("the reply, read")
    assert stop.value.value == "the reply, read"


@pytest.mark.parametrize(("flow", "there", "gone"), [(fetched, "the reply", None), (removed, True, False)])
def test_what_is_not_there_is_no_error(flow: Any, there: Any, gone: Any) -> None:
    flowing = flow("a call")
    assert advance(flowing) == "a call"
    assert advance(flowing, "the reply") == Done(there)
    flowing = flow("a call")
    advance(flowing)
    assert advance(flowing, error=ApiError("gone", status=404)) == Done(gone)
    flowing = flow("a call")
    advance(flowing)
    with pytest.raises(ApiError):
        advance(flowing, error=ApiError("broken", status=500))


def test_a_flow_can_wait_and_ask_the_time() -> None:
    def flow() -> Flow[tuple[float, float]]:
        return (yield from now()), (yield from waited(5))

    flowing = flow()
    assert advance(flowing) == Pause(0)
    assert advance(flowing, 1000.0) == Pause(5)
    assert advance(flowing, 1005.0) == Done((1000.0, 1005.0))


def test_advance_throws_errors_in_and_lets_bugs_out() -> None:
    def patient() -> Generator[int, Any, str]:
        try:
            yield 1
        except KeyError:
            return "caught"
        raise RuntimeError("bug")

    flow = patient()
    assert advance(flow) == 1
    assert advance(flow, error=KeyError()) == Done("caught")
    flow = patient()
    assert advance(flow) == 1
    with pytest.raises(RuntimeError, match="bug"):
        advance(flow, "fine")


def test_a_flow_may_return_none() -> None:
    def flow() -> Flow[None]:
        yield Pause(1)

    flowing = flow()
    advance(flowing)
    assert advance(flowing, 1.0) == Done(None)
