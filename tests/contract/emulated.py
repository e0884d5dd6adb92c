"""An emulator that records requests, and the resources of the samples in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, TypeVar

from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api.classic import incoming_numbers, media, messages
from airflow_provider_twilio_comms.api.messaging import senders, services
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.emulator.classic.inventory import (
    NUMBER_SID,
    RCS_SENDER_SID,
    SECOND_SHORT_CODE_SID,
    SHORT_CODE_SID,
    WHATSAPP_SENDER_SID,
)
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.http import Request
from airflow_provider_twilio_comms.emulator.twilio import Exchange, Twilio
from tests.contract.world import URL, World

__all__ = ["RecordingTwilio", "create_world"]

T = TypeVar("T")
TEXT = {"twilio/text": {"body": "Hello {{1}}"}}


class RecordingTwilio(Twilio):
    """An emulator that keeps the last request, as received from the network."""

    last: Request

    def exchange(self, request: Request, fault: Fault | None = None, concurrent: int = 1) -> Exchange:
        self.last = request
        return super().exchange(request, fault, concurrent)


def create_world(twilio: Twilio, run: Callable[[Call[Any]], Any]) -> World:
    """Create the resources of the samples in a new emulator, with the calls themselves."""
    to, sender = World.to, World.sender
    service, spare = run(services.create("Shop")).sid, run(services.create("Spare")).sid
    run(senders.create_phone_number(service, NUMBER_SID))
    run(senders.create_short_code(service, SHORT_CODE_SID))
    run(senders.create_channel_sender(service, RCS_SENDER_SID))
    alpha = run(senders.create_alpha_sender(service, "Shop"))
    destination = run(senders.create_destination_alpha_sender(service, "Shop FR", "FR"))
    picture = run(messages.send(to, from_=sender, media_url=[URL, URL]))
    text = run(messages.send(to, from_=sender, body="Hi", provide_feedback=True))
    twilio.clock.advance(60)
    now = datetime.fromtimestamp(twilio.clock.now(), timezone.utc)
    later = datetime.fromtimestamp(twilio.clock.now() + 3600, timezone.utc)
    scheduled = run(messages.send(to, messaging_service_sid=service, body="Later", send_at=later))
    return World(
        account=ACCOUNT_SID,
        message=text.sid,
        scheduled=scheduled.sid,
        with_media=picture.sid,
        media=run(media.list(picture.sid)).items[0].sid,
        number=NUMBER_SID,
        spare_number=run(incoming_numbers.buy(area_code="212")).sid,
        short_code=SHORT_CODE_SID,
        spare_short_code=SECOND_SHORT_CODE_SID,
        service=service,
        spare_service=spare,
        alpha_sender=alpha.sid,
        destination=destination.sid,
        channel_sender=RCS_SENDER_SID,
        spare_channel_sender=WHATSAPP_SENDER_SID,
        content=run(content.create(TEXT, language="en", variables={"1": "you"})).sid,
        now=now,
    )
