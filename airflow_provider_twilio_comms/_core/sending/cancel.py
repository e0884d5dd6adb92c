"""Canceling messages that are scheduled, any number of times."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_twilio_comms._core.waiting.messages import seen
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.exceptions import ApiError

TOO_LATE = 30409


def canceled(sids: Iterable[str]) -> Flow[tuple[list[str], list[str]]]:
    """Cancel messages; returns those that are canceled now, and those for which it is too late.

    One that was canceled before is refused like one that was sent, so it is looked at.
    """
    stopped: list[str] = []
    late: list[str] = []
    for sid in sids:
        try:
            yield from made(messages.cancel(sid))
        except ApiError as error:
            if error.code != TOO_LATE:
                raise
            found = yield from seen(sid)
            (stopped if found and found.status == "canceled" else late).append(sid)
        else:
            stopped.append(sid)
    return stopped, late
