"""Messages that are to be redacted or deleted, which Twilio refuses while they are in flight."""

from __future__ import annotations

from typing import Any

from airflow_provider_twilio_comms.api.flows import Flow, made, now, waited
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import ApiError

IN_FLIGHT = 20009
PAUSES = (1.0, 5.0, 15.0, 60.0)  # seconds between attempts; the last one repeats


def when_finished(call: Call[Any], patience: float) -> Flow[bool]:
    """Make a call as soon as the message's journey is over; returns whether the message was gone already.

    Waits for ``patience`` seconds at most. https://www.twilio.com/docs/api/errors/20009
    """
    deadline = (yield from now()) + patience
    attempt = 0
    while True:
        try:
            yield from made(call)
            return False
        except ApiError as error:
            if error.status == 404:
                return True
            left = deadline - (yield from now())
            if error.code != IN_FLIGHT or left <= 0:
                raise
        yield from waited(min(PAUSES[min(attempt, len(PAUSES) - 1)], max(left, 0.1)))
        attempt += 1
