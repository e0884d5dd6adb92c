"""US numbers that carriers took out of service: https://www.twilio.com/docs/sms/deactivated-phone-numbers"""

from __future__ import annotations

from datetime import date

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api._resources import Elsewhere, elsewhere
from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["fetch"]


def fetch(day: date) -> Call[Elsewhere]:
    """Where a day's report lies, one number a line: ``GET /v1/Deactivations``.

    The address is good for two minutes, and must not see our credentials. Code 30114 says that the day's
    report is not there yet.
    """
    query = [("Date", valid("day", day, date).isoformat())]
    return Call("GET", "/v1/Deactivations", elsewhere, "messaging", query=query, redirects=True)
