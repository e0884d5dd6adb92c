"""The trigger for WhatsApp's approvals: one poll for all, from the list where many wait."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers.template_approvals import TwilioTemplateApprovalTrigger
from tests.triggers.conftest import fired

TEXT = {"twilio/text": {"body": "Hi {{1}}"}}


def submitted(count: int, name: str = "hello") -> list[str]:
    hook = TwilioHook()
    sids = [str(hook.run(content.create(TEXT, language="en")).sid) for _ in range(count)]
    for sid in sids:
        hook.run(content.request_approval(sid, name, "UTILITY"))
    return sids


def trigger(sids: list[str], **changes: Any) -> TwilioTemplateApprovalTrigger:
    given = {"deadline": time.time() + 30, "since": time.time(), "poll_interval": 0.05}
    return TwilioTemplateApprovalTrigger(sids, "twilio_default", **{**given, **changes})


@pytest.mark.parametrize("count", [1, 12])
async def test_it_fires_once_all_are_approved(twilio: Running, count: int) -> None:
    twilio.twilio.change(pace=0.3)
    sids = submitted(count)
    event = await fired(trigger(sids))
    assert event == {"status": "done", "statuses": dict.fromkeys(sids, "approved")}


async def test_many_are_read_from_the_list(twilio: Running) -> None:
    twilio.twilio.change(pace=0.3)
    await fired(trigger(submitted(12)))
    counts = twilio.twilio.journal.counts
    assert counts["GET /content/v1/ContentAndApprovals"] >= 1
    assert not any("ApprovalRequests" in route for route in counts if route.startswith("GET"))


async def test_a_rejected_one_ends_it_with_the_reason(twilio: Running) -> None:
    twilio.twilio.change(pace=0.1)
    (sid,) = submitted(1, "to_reject")
    event = await fired(trigger([sid]))
    assert (event["statuses"], event["reasons"]) == ({sid: "rejected"}, {sid: "It asks to be rejected"})


async def test_the_deadline_is_an_event(twilio: Running) -> None:
    twilio.twilio.change(pace=600)
    (sid,) = submitted(1)
    event = await fired(trigger([sid], deadline=time.time() + 0.3))
    assert event == {"status": "timeout", "statuses": {sid: "received"}}
