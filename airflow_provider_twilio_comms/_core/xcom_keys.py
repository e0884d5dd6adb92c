"""The names under which a task leaves ids and counts in XCom, for its later tries and for whoever looks."""

from __future__ import annotations

SENT = "twilio_sent"  # what was sent, before anything is waited for
MARK = "twilio_messages_url"  # where that is to be seen in Twilio's console
OUTCOME = (
    "twilio_outcome"  # error, counts and codes of a task that failed; codes of one that has read receipts
)
