"""Timestamps in Twilio's formats; a datetime without a time zone is an error.

A datetime in a request must have a time zone and is converted to UTC. One in a reply becomes an aware
datetime, from RFC 2822 (``Thu, 24 Aug 2023 05:01:45 +0000``) or ISO 8601 (``2015-07-30T20:12:31Z``).
"""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import pendulum

from airflow_provider_twilio_comms.exceptions import InvalidInput


def aware(field: str, moment: datetime) -> datetime:
    """Check that a datetime has a time zone. Raises :class:`InvalidInput` for a naive one."""
    if not isinstance(moment, datetime):
        raise InvalidInput.at(field, f"a {type(moment).__name__} is not a datetime", "Give an aware datetime")
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise InvalidInput.at(
            field,
            "the datetime has no time zone",
            "Give an aware one, such as pendulum.datetime(2027, 1, 1, 9, tz='Europe/Lisbon')",
        )
    return moment


def timestamp(field: str, moment: datetime) -> str:
    """Format as ``YYYY-MM-DDTHH:MM:SSZ`` in UTC. Raises :class:`InvalidInput` for a naive datetime."""
    return aware(field, moment).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def when(text: str | None) -> datetime | None:
    """Parse a reply's time, in either format, into an aware datetime; None if it is missing or unreadable."""
    if not text:
        return None
    try:
        if text[0].isdigit():
            return pendulum.instance(datetime.fromisoformat(text.replace("Z", "+00:00")))
        return parsedate_to_datetime(text).astimezone(timezone.utc)
    except ValueError:
        return None
