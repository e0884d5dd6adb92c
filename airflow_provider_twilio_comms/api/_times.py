"""How Twilio writes times, and nothing naive gets through.

A datetime that goes out must know its zone and is converted to UTC; one that comes in is aware, whether it
was written as RFC 2822 (``Thu, 24 Aug 2023 05:01:45 +0000``) or as ISO 8601 (``2015-07-30T20:12:31Z``).
"""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import pendulum

from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["timestamp", "when"]


def timestamp(field: str, moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ``, in UTC. Raises :class:`InvalidInput` for a datetime without a zone."""
    if not isinstance(moment, datetime):
        raise InvalidInput.at(field, f"a {type(moment).__name__} is not a datetime", "Give an aware datetime")
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise InvalidInput.at(
            field,
            "the datetime has no time zone",
            "Give an aware one, such as pendulum.datetime(2027, 1, 1, 9, tz='Europe/Lisbon')",
        )
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def when(text: str | None) -> datetime | None:
    """The aware datetime that a reply wrote in either style; None where it wrote nothing or rubbish."""
    if not text:
        return None
    try:
        if text[0].isdigit():
            return pendulum.instance(datetime.fromisoformat(text.replace("Z", "+00:00")))
        return parsedate_to_datetime(text).astimezone(timezone.utc)
    except ValueError:
        return None
