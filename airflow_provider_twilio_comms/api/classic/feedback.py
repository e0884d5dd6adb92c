"""Message feedback, the reported action of a recipient: https://www.twilio.com/docs/messaging/api/message-feedback-resource"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from airflow_provider_twilio_comms.api._forms import MessageSid, valid
from airflow_provider_twilio_comms.api._resources import Resource, one
from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["Feedback", "Outcome", "create"]

FEEDBACK = "/2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Feedback.json"

Outcome = Literal["confirmed", "unconfirmed"]


class Feedback(Resource, frozen=True):
    """The outcome that was reported for a message: its recipient acted on it, or is not known to have."""

    message_sid: str
    outcome: str | None = None
    account_sid: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


def create(message_sid: MessageSid, outcome: Outcome) -> Call[Feedback]:
    """Report an outcome: ``POST /2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Feedback.json``.

    The message must have been sent with ``provide_feedback``.
    """
    values = {"MessageSid": valid("message_sid", message_sid, MessageSid)}
    form = [("Outcome", valid("outcome", outcome, Outcome))]
    return Call("POST", FEEDBACK, one(Feedback), "api", values, form=form)
