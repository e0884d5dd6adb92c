"""Bulk send, ``POST /Messages``: https://www.twilio.com/docs/bulk-messaging/api/message-resource."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.clock import moment_of
from airflow_provider_twilio_comms.emulator.comms.content import Content, template
from airflow_provider_twilio_comms.emulator.comms.ids import new_id
from airflow_provider_twilio_comms.emulator.comms.inventory import Inventory
from airflow_provider_twilio_comms.emulator.comms.operation import Operation, Party, Recipients, Source
from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcomes
from airflow_provider_twilio_comms.emulator.comms.people import Person, expanded
from airflow_provider_twilio_comms.emulator.comms.queries import VERSION
from airflow_provider_twilio_comms.emulator.comms.reading import Body
from airflow_provider_twilio_comms.emulator.comms.routing import routed, sources_of
from airflow_provider_twilio_comms.emulator.comms.schema import (
    Counted,
    Recipient,
    Schedule,
    Send,
    check,
)
from airflow_provider_twilio_comms.emulator.comms.timeline import Attempted, Plan, Timeline
from airflow_provider_twilio_comms.emulator.http import Problem, Request, address, json_reply
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["accepted", "routes"]

MOST_BYTES = 10_000_000
routes: Routes = Routes("comms", VERSION)
_SEND, _COUNTED = Body[Send](Send), Body[Counted](Counted)


@routes("POST", "/Messages")
def send(twilio: State, request: Request, version: str) -> Reply:
    if len(request.body) > MOST_BYTES:
        raise Problem(400, 20001, "The body is larger than 10 MB", "$")
    options, now = twilio.options, twilio.clock.now()
    asked = _COUNTED.read(request) if options.null_sink else _SEND.read(request)
    check(asked, now, request.strict, groups=version == "preview")
    content = Content(msgspec.to_builtins(asked.content), options.strict_liquid)
    tags = asked.tags if isinstance(asked.tags, dict) else {}
    for key, value in tags.items():
        if "{" in value:
            template(value, f"$.tags.{key}", options.strict_liquid)
    sources, pool = sources_of(twilio.part(Inventory), asked.from_, options.check_senders)
    if isinstance(asked, Send):
        people = expanded(twilio, asked.to)
        recipients, count = _recipients(people, sources, content, Outcomes(options.outcomes)), len(people)
        twilio.ledger.accept(recipients.addresses)
    else:
        recipients, count = _nobody(len(asked.to)), len(asked.to)
        twilio.ledger.accept_uncounted(count)
    scheduled_for = _scheduled_for(asked)
    timeline = Timeline(max(now, scheduled_for or now), options.pace, options.receipts_lag, count)
    outbox = twilio.part(Outbox)
    operation = Operation(
        id=new_id("operation", now, twilio.random),
        number=outbox.count,
        account_sid=request.caller.account_sid if request.caller else "",
        created=now,
        scheduled_for=scheduled_for,
        timeline=timeline,
        content=content,
        tags=dict(tags),
        sources=sources,
        pool=pool,
        recipients=recipients,
    )
    outbox.add(operation)
    return accepted(twilio, version, "Messages", operation.id)


def accepted(twilio: State, version: str, resource: str, operation_id: str) -> Reply:
    """Build the 202 with the operation's id in the body (v1) or only a header (preview, older pages)."""
    location = address("comms", f"/{version}/{resource}/Operations/{operation_id}")
    style = twilio.options.accepted or ("body" if version == "v1" else "header")
    if style == "header":
        return Reply(202, {"operationid": operation_id})
    body = {"operationId": operation_id, "operationLocation": location}
    return json_reply(body, 202, {"location": location})


def _scheduled_for(asked: Send | Counted) -> float | None:
    """Read the time to send: the first entry of ``sendAt``, since Twilio supports one; None is now."""
    if not isinstance(asked.schedule, Schedule) or not asked.schedule.send_at:
        return None
    return moment_of(asked.schedule.send_at[0])


def _recipients(
    asked: Iterable[Recipient | Person], sources: list[Source], content: Content, outcomes: Outcomes
) -> Recipients:
    """Build the columns. Most recipients are ordinary numbers and share one plan, which is looked up once."""
    recipients, known, add = Recipients(), dict[Plan, int](), Recipients.add
    usual: int | None = None
    for recipient in asked:
        variables = recipient.variables if recipient.variables is not UNSET else None
        parties: tuple[Party, ...]
        if isinstance(recipient, Person):
            plain, parties = False, recipient.parties
            recipients.others[len(recipients)] = parties
            recipients.profiles[len(recipients)] = recipient.view
        elif recipient.channel == "PHONE" and isinstance(recipient.address, str):
            plain = outcomes.ordinary(recipient.address)
            if plain and usual is not None:
                add(recipients, recipient.address, usual, variables)
                continue
            parties = (Party(recipient.address, "PHONE"),)
        else:
            plain, parties = False, _parties(recipient)
            recipients.others[len(recipients)] = parties
        plan = routed(parties, sources, content, outcomes)
        number = known.setdefault(plan, len(known))
        if number == len(recipients.plans):
            recipients.plans.append(plan)
        if plain:
            usual = number
        add(recipients, parties[0].address, number, variables)
    return recipients


def _parties(recipient: Recipient) -> tuple[Party, ...]:
    if isinstance(recipient.addresses, list):
        return tuple(Party(each.address, each.channel) for each in recipient.addresses)
    return (Party(str(recipient.address), str(recipient.channel)),)


def _nobody(count: int) -> Recipients:
    """Build recipients for the null sink, which keeps only their number, all delivered."""
    recipients = Recipients()
    recipients.plans.append(Plan(("SENT", "DELIVERED", "DELIVERED"), (Attempted(0, 0, "DELIVERED", None),)))
    recipients.members.append(range(count))
    return recipients
