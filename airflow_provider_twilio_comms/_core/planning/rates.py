"""Rate limits of senders (MPS), and how long Twilio's queue takes to drain at them.

Twilio queues what comes faster than a sender may send, for up to ten hours; what waits longer than the
message's validity period fails with 30036, and a full queue refuses (21611) or fails (30001) the next ones.
https://www.twilio.com/docs/messaging/guides/understanding-rate-limits
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_twilio_comms.api.flows import Flow, every_item
from airflow_provider_twilio_comms.api.messaging import senders

QUEUE = 36_000  # seconds of a sender's rate that Twilio's queue holds, and the longest validity period
# Segments a second; of WhatsApp and other channels, messages.
LONG_CODE, TOLL_FREE, SHORT_CODE, ALPHANUMERIC, CHANNEL = 1.0, 3.0, 100.0, 10.0, 80.0
_toll_free = re.compile(r"\+1(800|833|844|855|866|877|888)\d{7}$")


def rate_of(sender: str) -> float:
    """The segments that a sender may send in a second, by its kind."""
    if ":" in sender:
        return CHANNEL
    if sender.startswith("+"):
        return TOLL_FREE if _toll_free.match(sender) else LONG_CODE
    return SHORT_CODE if sender.isdecimal() else ALPHANUMERIC


def rate_of_service(sid: str) -> Flow[float]:
    """The segments that the senders of a messaging service may send in a second together."""
    numbers = yield from every_item(senders.list_phone_numbers(sid, page_size=1000))
    codes = yield from every_item(senders.list_short_codes(sid, page_size=1000))
    names = yield from every_item(senders.list_alpha_senders(sid, page_size=1000))
    channels = yield from every_item(senders.list_channel_senders(sid, page_size=1000))
    return (
        sum(rate_of(each.phone_number or "+") for each in numbers)
        + SHORT_CODE * len(codes)
        + ALPHANUMERIC * len(names)
        + CHANNEL * len(channels)
    )


def drained(report: Mapping[str, Any], rate: float, pace: float, validity: int) -> dict[str, Any]:
    """Estimate how long a plan takes at a sender's ``rate``, begun at ``pace`` a second.

    ``{"per_second", "seconds", "in_time"}``; ``in_time`` says that none waits longer in Twilio's queue than
    its validity period and than the queue holds.
    """
    counted = report.get("segments")
    weight = counted["total"] if counted else report["recipients"]
    seconds = weight / rate
    begun = weight / pace if pace else 0.0  # until the last one has been given to Twilio
    return {
        "per_second": rate,
        "seconds": round(max(seconds, begun)),
        "in_time": max(0.0, seconds - begun) <= min(validity, QUEUE),
    }
