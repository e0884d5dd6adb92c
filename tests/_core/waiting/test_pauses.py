"""A wait looks soon at first, and then at its interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_twilio_comms._core.waiting.base import finished
from airflow_provider_twilio_comms._core.waiting.messages import MessageWait
from airflow_provider_twilio_comms.api.classic.messages import Message
from airflow_provider_twilio_comms.api.flows import Pause

SID = "SM" + "1" * 32
BEGAN = 1_000.0


def looks(interval: float, seconds: float, tell: Callable[[float], None] | None = None) -> list[float]:
    """The moments of the looks in so many seconds at a message that stays queued, counted from the first."""
    flow: Any = finished(MessageWait([SID], "sent", BEGAN + 3_600, BEGAN), interval, tell)
    time, moments, step = BEGAN, list[float](), next(flow)
    while time <= BEGAN + seconds:
        if isinstance(step, Pause):
            time += step.seconds
            step = flow.send(time)
        else:
            moments.append(time - BEGAN)
            step = flow.send(Message(sid=SID, status="queued"))
    return moments


def test_the_first_looks_are_two_seconds_apart_and_the_later_ones_the_interval() -> None:
    assert looks(15.0, 62.0) == [0, 2, 4, 6, 9, 13.5, 20.25, 30.375, 45.375, 60.375]


def test_a_shorter_interval_stays_as_it_is() -> None:
    assert looks(0.5, 2.0) == [0, 0.5, 1.0, 1.5, 2.0]


def test_each_pause_is_told() -> None:
    told: list[float] = []
    looks(30.0, 9.0, told.append)
    assert told == [2, 2, 2, 3, 4.5]
