"""Summary of a bulk send through the classic API: what its waits and receipts need to know of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from airflow_provider_twilio_comms._core.sending.ledger import ASSUMED, Ledger, digest_of, is_sid
from airflow_provider_twilio_comms._core.sending.send_once import SKEW


def summarize(ledger: Ledger, sender: Mapping[str, str], until: float) -> dict[str, Any]:
    """Summarize a finished send: counts, and the window of Twilio's list in which its messages are.

    Small, whatever the number of messages. ``digest`` tells whether a list holds exactly these.
    """
    refused: Counter[str] = Counter()
    sent = assumed = digest = 0
    for entry in ledger.entries():
        sids = [place for place in entry.messages if is_sid(place)]
        sent, digest = sent + len(sids), digest + int(digest_of(sids), 16)
        assumed += entry.messages.count(ASSUMED)
        refused.update(place for place in entry.messages if place.isdecimal())
    since = ledger.head.since if ledger.head else until
    return {
        "sent": sent,
        "refused": dict(refused.most_common()),
        "assumed": assumed,
        "since": _iso(since - SKEW),
        "until": _iso(until + SKEW),
        "held_until": _iso(ledger.held) if ledger.held else None,
        "from": None if "messaging_service_sid" in sender else sender["from_"],
        "messaging_service_sid": sender.get("messaging_service_sid"),
        "key": ledger.name,
        "digest": f"{digest & (1 << 64) - 1:016x}",
        "sids_path": None,
    }


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, timezone.utc).isoformat(timespec="seconds")
