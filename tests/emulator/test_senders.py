"""Senders and sender pools."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_twilio_comms.emulator.comms.inventory import (
    POOL_ID,
    RCS_SENDER_ID,
    SMS_NUMBER,
    SMS_POOL_ID,
    SMS_SENDER_ID,
    WHATSAPP_SENDER_ID,
)
from tests.emulator.callers import CoreClient, phone

UNKNOWN = "comms_sender_01h9krwprkeee8fzqspvwy6nz9"


def test_senders_are_filtered_and_paged(ask: CoreClient) -> None:
    everyone = [each["id"] for each in ask.get("/Senders")["senders"]]
    assert everyone[:3] == [SMS_SENDER_ID, RCS_SENDER_ID, WHATSAPP_SENDER_ID]
    assert [each["id"] for each in ask.get("/Senders", channel="RCS")["senders"]] == [RCS_SENDER_ID]
    assert [each["address"] for each in ask.get("/Senders", status="DEACTIVATED")["senders"]] == [
        "+15005550007"
    ]
    first = ask.get("/Senders", pageSize=4)
    second = ask.get("/Senders", pageSize=4, pageToken=first["pagination"]["next"])
    assert [each["id"] for page in (first, second) for each in page["senders"]] == everyone
    assert ask("GET", f"/comms/v1/Senders/{UNKNOWN}").status == 404


def test_search_takes_its_paging_in_the_body(ask: CoreClient) -> None:
    def search(**asked: Any) -> Any:
        return ask("POST", "/comms/v1/Senders/Search", {"address": SMS_NUMBER, "channel": "SMS", **asked})

    assert [each["id"] for each in search().json()["senders"]] == [SMS_SENDER_ID]
    assert search(status="DEACTIVATED").json()["senders"] == []
    assert search(channel="WHATSAPP", pageSize=1).json()["pagination"]["next"] is None
    assert [search(**bad).status for bad in ({"pageSize": 0}, {"status": "ON"}, {"channel": "PHONE"})] == [
        400
    ] * 3
    assert search(friendlyName="x").status == 400


def test_resolve_is_a_dry_run_of_routing(ask: CoreClient) -> None:
    def resolve(**asked: Any) -> Any:
        to = [phone(), phone("+12025550101") | {"channel": "WHATSAPP"}]
        return ask("POST", "/comms/v1/Senders/Resolve", {"recipientAddresses": to, **asked})

    def pairs(**asked: Any) -> list[tuple[str, str, int]]:
        results = resolve(**asked).json()["results"]
        return [(each["from"]["channel"], each["to"]["channel"], each["priority"]) for each in results]

    assert pairs(senderPoolId=POOL_ID) == [
        ("RCS", "PHONE", 0),
        ("SMS", "PHONE", 1),
        ("WHATSAPP", "WHATSAPP", 2),
    ]
    assert pairs(senderPoolId=SMS_POOL_ID) == [("SMS", "PHONE", 0)]
    assert pairs(senderAddresses={"address": SMS_NUMBER, "channel": "SMS"}) == [("SMS", "PHONE", 0)]
    assert pairs(senderPoolId=POOL_ID, channels={"filterIn": ["SMS"]}) == [("SMS", "PHONE", 0)]
    preferred = {"priority": [{"channel": "SMS", "priority": 0}]}
    assert pairs(senderPoolId=POOL_ID, channels=preferred)[:2] == [("SMS", "PHONE", 0), ("RCS", "PHONE", 1)]
    both = {"senderPoolId": POOL_ID, "senderAddresses": {"address": SMS_NUMBER, "channel": "SMS"}}
    assert resolve(**both).status == 400
    assert resolve(senderPoolId=POOL_ID[:-1] + "0").status == 404
    assert resolve(senderAddresses=[{"address": SMS_NUMBER, "channel": "SMS"}]).status == 400
    assert resolve(channels={"filterIn": ["SMS", "SMS"]}).status == 400
    assert resolve(recipientAddresses=[]).status == resolve(recipientAddresses=[phone()] * 101).status == 400


def test_resolve_answers_the_best_ten(ask: CoreClient) -> None:
    many = [phone(f"+120255501{number:02}") for number in range(8)]
    results = ask("POST", "/comms/v1/Senders/Resolve", {"recipientAddresses": many}).json()["results"]
    assert [each["priority"] for each in results] == [*range(10)]


def created(ask: CoreClient, **asked: Any) -> str:
    reply = ask("POST", "/comms/v1/SenderPools", asked)
    assert reply.status == 202, reply.body
    operation_id: str = reply.json()["operationId"]
    return operation_id


def test_a_pool_is_there_once_its_operation_has_ended(ask: CoreClient) -> None:
    senders = [{"senderId": SMS_SENDER_ID}, {"senderId": UNKNOWN}]
    operation = created(ask, name="Mine", senders=senders, tags={"team": "a"})
    shown = ask.get(f"/SenderPools/Operations/{operation}")
    assert (shown["status"], shown["stats"]) == (
        "PROCESSING",
        {"total": 2, "queued": 2, "created": 0, "failed": 0},
    )
    assert ask.get("/SenderPools", operationId=operation)["senderPools"] == []
    ask.twilio.clock.advance(10)
    shown = ask.get(f"/SenderPools/Operations/{operation}")
    assert (shown["status"], shown["stats"]) == (
        "COMPLETED",
        {"total": 2, "queued": 0, "created": 1, "failed": 1},
    )
    (pool,) = ask.get("/SenderPools", operationId=operation)["senderPools"]
    assert (pool["name"], pool["tags"]) == ("Mine", {"team": "a"})
    members = ask.get(f"/SenderPools/{pool['id']}/Senders")["senders"]
    assert [each["id"] for each in members] == [SMS_SENDER_ID]


def test_pools_are_changed(ask: CoreClient) -> None:
    path = f"/comms/v1/SenderPools/{SMS_POOL_ID}"
    assert ask("PATCH", path, {"name": "Renamed"}).json()["resourceId"] == SMS_POOL_ID
    assert ask("PATCH", path, {}).status == 400
    assert ask("PATCH", path, {"id": "x"}).status == 400
    assert ask.get(f"/SenderPools/{SMS_POOL_ID}")["name"] == "Renamed"
    assert ask("POST", f"{path}/Senders", {"senderId": RCS_SENDER_ID}).status == 400
    assert ask("POST", f"{path}/Senders", [{"senderId": RCS_SENDER_ID}]).status == 202
    assert len(ask.get(f"/SenderPools/{SMS_POOL_ID}/Senders")["senders"]) == 1
    ask.twilio.clock.advance(10)
    assert len(ask.get(f"/SenderPools/{SMS_POOL_ID}/Senders")["senders"]) == 2
    assert ask("DELETE", f"{path}/Senders/{SMS_SENDER_ID}").status == 202
    assert ask("DELETE", f"{path}/Senders/{SMS_SENDER_ID}").status == 404
    assert len(ask.get(f"/SenderPools/{SMS_POOL_ID}/Senders")["senders"]) == 1
    assert ask("DELETE", path).status == 202
    assert ask("GET", path).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"senders": [SMS_SENDER_ID]},
        {"senders": [{"senderId": "x"}]},
        {"friendlyName": "Mine"},
        {"tags": {"a": ""}},
    ],
)
def test_a_malformed_pool_is_refused(ask: CoreClient, body: Any) -> None:
    assert ask("POST", "/comms/v1/SenderPools", body).status == 400


def test_a_pool_of_the_same_name_is_a_conflict(ask: CoreClient) -> None:
    created(ask, name="Mine")
    reply = ask("POST", "/comms/v1/SenderPools", {"name": "Mine"})
    assert (reply.status, reply.json()["errors"][0]["code"]) == (409, 20409)
