"""Deactivated US numbers, as carriers report them: https://www.twilio.com/docs/sms/deactivated-phone-numbers"""

from __future__ import annotations

from datetime import date

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api._resources import Elsewhere, elsewhere
from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["fetch"]


def fetch(day: date) -> Call[Elsewhere]:
    """Get the address of a day's report, one number a line: ``GET /v1/Deactivations``.

    The address is valid for two minutes, and must not see our credentials. Code 30114 means that the day's
    report is not available yet.
    """
    query = [("Date", valid("day", day, date).isoformat())]
    return Call("GET", "/v1/Deactivations", elsewhere, "messaging", query=query, redirects=True)
