"""Validation in the emulator: it refuses what Twilio refuses, and names the place."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.comms.inventory import POOL_ID, SMS_SENDER_ID
from tests.contract.documents import OpenApiRequest, validator
from tests.emulator.callers import CoreClient, message, phone
from tests.emulator.conftest import NOON

ULID = "01h9krwprkeee8fzqspvwy6nq8"
PROFILE = {"profileId": f"mem_profile_{ULID}", "memoryStoreId": f"mem_store_{ULID}"}
CARD = {"richCard": {"standaloneCard": {"cardContent": {"title": "Hi"}}}}

CAROUSEL = {"richCard": {"carouselCard": {"cardContents": [{"title": "Hi"}] * 2}}}
REPLY = {"reply": {"text": "Yes", "postbackData": "yes"}}
URL = "https://example.com/a.png"
FILE = {"contentInfo": {"fileUrl": URL}}
EVENT = {
    "startTime": "2026-10-01T16:00:00Z",
    "endTime": "2026-10-01T17:00:00+01:00",
    "title": "Tea",
    "description": "With cake",
}


def rcs(**parts: Any) -> dict[str, Any]:
    """Build content that is one module for RCS."""
    return {"modules": [{"rcs": parts}]}


def card(orientation: str = "VERTICAL", **parts: Any) -> dict[str, Any]:
    return rcs(richCard={"standaloneCard": {"cardContent": parts, "cardOrientation": orientation}})


def carousel(count: int, card: Any = None, **parts: Any) -> dict[str, Any]:
    cards = [{"title": "Hi"} if card is None else card] * count
    return rcs(richCard={"carouselCard": {"cardContents": cards, **parts}})


def suggest(**action: Any) -> dict[str, Any]:
    return rcs(text="Hi", suggestions=[{"action": {"text": "a", "postbackData": "b", **action}}])


def page(**parts: Any) -> dict[str, Any]:
    return suggest(openUrlAction={"url": "https://example.com", **parts})


# A place in a valid request, the value to put there, and the place that the error must name.
REFUSED: list[tuple[str, Any, str]] = [
    ("statusCallback", "https://example.com", "$"),
    ("messagingServiceSid", "MG" + "0" * 32, "$"),
    ("from_", {"senderId": f"comms_sender_{ULID}"}, "$"),
    ("to", [], "$.to"),
    ("to", [phone()] * 10_001, "$.to"),
    ("to", None, "$.to"),
    ("to", [phone("12025550100")], "$.to[0].address"),
    ("to", [phone("+0202555010")], "$.to[0].address"),
    ("to", [phone(), phone("whatsapp:+12025550100")], "$.to[1].address"),
    ("to", [phone("+1 202 555 0100")], "$.to[0].address"),
    ("to", [{"address": "+12025550100"}], "$.to[0]"),
    ("to", [{"address": "+12025550100", "channel": "SMS"}], "$.to[0].channel"),
    ("to", [{"address": "+12025550100", "channel": "phone"}], "$.to[0].channel"),
    ("to", [phone() | {"name": "Ines"}], "$.to[0]"),
    ("to", [phone() | {"variables": {"n": 1}}], "$.to[0].variables[...]"),
    ("to", [phone() | {"variables": None}], "$.to[0].variables"),
    ("to", [{"addresses": []}], "$.to[0].addresses"),
    ("to", [{"addresses": [phone()] * 11}], "$.to[0].addresses"),
    ("to", [{"addresses": [phone(), phone("nobody")]}], "$.to[0].addresses[1].address"),
    ("to", [{"addresses": [phone(name="Ines")]}], "$.to[0].addresses[0]"),
    ("to", [{"addresses": [phone()], "address": "+12025550100", "channel": "PHONE"}], "$.to[0]"),
    ("to", [PROFILE | {"profileId": "mem_profile_x"}], "$.to[0].profileId"),
    ("to", [{"profileId": PROFILE["profileId"]}], "$.to[0]"),
    ("to", [PROFILE | {"memoryStoreId": f"mem_service_{ULID}"}], "$.to[0].memoryStoreId"),
    ("to", [{}], "$.to[0]"),
    ("content", {}, "$.content"),
    ("content", {"text": ""}, "$.content.text"),
    ("content", {"text": "Hi", "contentId": "HX" + "0" * 32}, "$.content"),
    ("content", {"contentId": "HX1"}, "$.content.contentId"),
    ("content", {"text": "Hi", "subject": "Hi"}, "$.content"),
    ("content", {"MessageContentText": {"text": "Hi"}}, "$.content"),
    ("content", {"media": []}, "$.content.media"),
    ("content", {"media": [{"url": "https://example.com/a.png"}] * 11}, "$.content.media"),
    ("content", {"media": [{"url": "a.png"}]}, "$.content.media[0].url"),
    ("content", {"text": "Hi {{ name"}, "$.content.text"),
    ("content", {"text": "Hi {{ name | shout }}"}, "$.content.text"),
    ("content", {"modules": []}, "$.content.modules"),
    ("content", {"modules": [{"sms": {"text": "Hi"}}] * 2}, "$.content.modules"),
    ("content", {"modules": [{"sms": {"text": "Hi"}, "rcs": {"text": "Hi"}}]}, "$.content.modules"),
    ("content", {"modules": [{"sms": {}}]}, "$.content.modules"),
    ("content", {"modules": [{"email": {"text": "Hi"}}]}, "$.content.modules[0]"),
    ("content", {"modules": [{"rcs": {"text": "Hi", **CARD}}]}, "$.content.modules"),
    ("content", rcs(media={"contentInfo": {"fileUrl": URL}}), "$.content.modules[0].rcs"),
    ("content", rcs(richCard={}), "$.content.modules"),
    ("content", rcs(richCard={**CARD["richCard"], **CAROUSEL["richCard"]}), "$.content.modules"),
    ("content", carousel(1), "$.content.modules[0].rcs.richCard.carouselCard.cardContents"),
    ("content", carousel(11), "$.content.modules[0].rcs.richCard.carouselCard.cardContents"),
    ("content", carousel(2, cardWidth="LARGE"), "$.content.modules[0].rcs.richCard.carouselCard.cardWidth"),
    ("content", carousel(2, card={}), "$.content.modules"),
    ("content", card(), "$.content.modules"),
    ("content", card(title="Hi", orientation="HORIZONTAL"), "$.content.modules"),
    ("content", card(media=FILE, orientation="HORIZONTAL"), "$.content.modules"),
    ("content", rcs(text="Hi", suggestions=[REPLY] * 12), "$.content.modules[0].rcs.suggestions"),
    ("content", page(application="WEBVIEW"), "$.content.modules"),
    ("content", page(webviewViewMode="FULL"), "$.content.modules"),
    ("content", page(application="BROWSER", webviewViewMode="FULL"), "$.content.modules"),
    ("content", suggest(viewLocationAction={}), "$.content.modules"),
    ("content", suggest(createCalendarEventAction={**EVENT, "endTime": "noon"}), "$.content.modules"),
    (
        "content",
        suggest(createCalendarEventAction={**EVENT, "endTime": "2026-10-01T17:00:00"}),
        "$.content.modules",
    ),
    ("content", {"modules": [{"rcs": {"text": "Hi", "suggestions": [{}]}}]}, "$.content.modules"),
    (
        "content",
        {
            "modules": [
                {"rcs": {"text": "Hi", "suggestions": [{"action": {"text": "a", "postbackData": "b"}}]}}
            ]
        },
        "$.content.modules",
    ),
    ("from", {"address": "+15005550006"}, "$.from"),
    ("from", {"address": "+15005550006", "channel": "MMS"}, "$.from.channel"),
    ("from", {"address": "+15005550007", "channel": "SMS"}, "$.from.address"),
    ("from", {"address": "+15005550006", "channel": "WHATSAPP"}, "$.from.address"),
    ("from", {"senderId": "comms_sender_x"}, "$.from.senderId"),
    ("from", {"senderId": f"comms_sender_{ULID}"}, "$.from.senderId"),
    ("from", {"senderPoolId": f"comms_senderpool_{ULID[:-1]}0"}, "$.from.senderPoolId"),
    ("from", {"senderId": f"comms_sender_{ULID}", "channels": {}}, "$.from"),
    ("from", {"senderPoolId": f"comms_senderpool_{ULID}", "channels": {"order": []}}, "$.from.channels"),
    ("from", "+15005550006", "$.from"),
    ("from", {"senderPoolId": POOL_ID, "channels": {"filterIn": ["EMAIL"]}}, "$.from.channels"),
    ("from", {"senderPoolId": POOL_ID, "channels": {"filterIn": ["SMS", "SMS"]}}, "$.from.channels"),
    (
        "from",
        {"senderPoolId": POOL_ID, "channels": {"priority": [{"channel": "PUSH", "priority": 1}]}},
        "$.from.channels",
    ),
    ("schedule", {"sendAt": "2026-10-01T17:00:00Z"}, "$.schedule.sendAt"),
    ("schedule", {"sendAt": []}, "$.schedule.sendAt"),
    ("schedule", {"expressions": ["2026-10-01T17:00:00Z"]}, "$.schedule"),
    ("schedule", {"sendAt": [iso(NOON + 31 * 86_400)]}, "$.schedule.sendAt[0]"),
    ("schedule", {"sendAt": ["tomorrow"]}, "$.schedule.sendAt[0]"),
    ("schedule", {"sendAt": ["2026-13-01T17:00:00Z"]}, "$.schedule.sendAt[0]"),
    ("tags", {f"k{n}": "v" for n in range(11)}, "$.tags"),
    ("tags", {"run": "manual__2026-01-01T00:00:00+00:00"}, "$.tags[...]"),
    ("tags", {"run": ""}, "$.tags[...]"),
    ("tags", {"run": "v" * 257}, "$.tags[...]"),
    ("tags", {"a b": "v"}, "$.tags"),
    ("tags", {"run": "v\n"}, "$.tags[...]"),
    ("tags", {"run": "{{ run"}, "$.tags[...]"),
]


@pytest.mark.parametrize(("place", "value", "context"), REFUSED)
def test_a_malformed_request_is_refused_as_a_whole(
    ask: CoreClient, place: str, value: Any, context: str
) -> None:
    reply = ask("POST", "/comms/v1/Messages", {**message(), place: copy.deepcopy(value)})
    assert reply.status == 400, reply.body
    (error,) = reply.json()["errors"]
    assert error["context"] == context
    assert error["infoUrl"].endswith(f"/{error['code']}")
    assert ask.twilio.ledger.messages == 0
    assert ask.get("/Messages/Operations")["operations"] == []


ACCEPTED: list[tuple[str, Any]] = [
    ("to", [phone()] * 10_000),
    ("to", [phone("+12025550100", name="")]),
    ("to", [{"address": "+12025550100", "channel": "WHATSAPP"}]),
    ("to", [{"addresses": [phone(), phone() | {"channel": "WHATSAPP"}], "variables": {"1": "Ines"}}]),
    ("to", [PROFILE]),
    ("from", {"address": "+15005550006", "channel": "SMS"}),
    ("from", {"address": "emulated_agent", "channel": "RCS"}),
    ("from", {"senderPoolId": f"comms_senderpool_{ULID}", "channels": {"filterIn": ["SMS"]}}),
    ("content", {"media": [{"url": "https://example.com/a.png"}]}),
    ("content", {"contentId": "HX" + "0" * 32}),
    ("content", {"text": "{% raw %}{{ name }}{% endraw %} {% if vip %}!{% endif %}"}),
    ("content", {"modules": [{"sms": {"text": "Hi"}}, {"rcs": CARD}]}),
    ("content", rcs(contentInfo={"fileUrl": URL, "forceRefresh": True}, suggestions=[REPLY] * 11)),
    ("content", rcs(**CARD, suggestions=[REPLY])),
    ("content", carousel(2, cardWidth="SMALL")),
    ("content", carousel(10, card={"media": {**FILE, "height": "TALL"}})),
    ("content", card(title="Hi", media=FILE, orientation="HORIZONTAL")),
    ("content", page(application="WEBVIEW", webviewViewMode="HALF")),
    ("content", page(application="BROWSER")),
    ("content", suggest(viewLocationAction={"label": "Here"})),
    ("content", suggest(createCalendarEventAction=EVENT)),
    ("content", suggest(shareLocationAction={})),
    ("content", {"contentId": "HX" + "z" * 26}),
    ("schedule", {"sendAt": [iso(NOON + 30 * 86_400)]}),
    ("schedule", {"sendAt": ["2026-10-01T17:00:00Z"]}),
    ("schedule", {"sendAt": ["2026-10-01T17:00", "2026-10-01T17:00:00.123456789+02:00"]}),
    ("tags", {f"k{n}": "a.b_c~d-1" for n in range(10)}),
    ("tags", {"order": "{{ order | default: 'none' }}"}),
]


@pytest.mark.parametrize(("place", "value"), ACCEPTED)
def test_what_the_contract_allows_is_accepted(ask: CoreClient, place: str, value: Any) -> None:
    assert ask("POST", "/comms/v1/Messages", {**message(), place: value}).status == 202


def test_several_problems_come_in_one_reply(ask: CoreClient) -> None:
    bad = message("12", "+12025550100", "34", content={"text": "a", "contentId": "HX" + "0" * 32})
    errors = ask("POST", "/comms/v1/Messages", bad).json()["errors"]
    assert [error["context"] for error in errors] == ["$.to[0].address", "$.to[2].address", "$.content"]
    assert [error["code"] for error in errors] == [21211, 21211, 21619]


@pytest.mark.parametrize("body", [b"", b"{", b'"text"', b"\xff\xfe", b"[]", b"null"])
def test_a_body_that_is_not_the_right_json_is_refused(ask: CoreClient, body: bytes) -> None:
    assert ask("POST", "/comms/v1/Messages", body=body or b" ").status == 400


def test_a_form_is_refused(ask: CoreClient) -> None:
    assert ask("POST", "/comms/v1/Messages", form={"To": "+12025550100"}).status == 400


def test_ten_megabytes_are_the_limit(ask: CoreClient) -> None:
    body = b'{"to":[{"address":"+12025550100","channel":"PHONE"}],"content":{"text":"Hi"}}'
    fits = body + b" " * (10_000_000 - len(body))
    assert ask("POST", "/comms/v1/Messages", body=fits).status == 202
    assert ask("POST", "/comms/v1/Messages", body=fits + b" ").status == 400


def test_strict_liquid_wants_a_default(ask: CoreClient) -> None:
    ask.twilio.change(strict_liquid=True)

    def status(text: str) -> int:
        return ask("POST", "/comms/v1/Messages", message(content={"text": text})).status

    assert status("{{ name }}") == 400
    assert status("{% if vip %}{{ name | upcase }}{% endif %}") == 400
    assert status("{{ name | default: 'you' }}") == 202
    assert status("{% assign n = name | default: 'you' %}{{ n }}") == 202
    assert status("{{ 'a literal' | upcase }} and no { variable") == 202


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/Messages", {"pageSize": 0}),
        ("/Messages", {"pageSize": 1001}),
        ("/Messages", {"pageSize": "many"}),
        ("/Messages", {"pageToken": "2"}),
        ("/Messages", {"pageToken": "T_WyJvcGVyYXRpb25zIiw1MF0"}),
        ("/Messages", {"pageToken": "T_WyJtZXNzYWdlcyIsImEiLDBd"}),
        ("/Messages", {"operationId": "OP1"}),
        ("/Messages", {"sessionId": "x"}),
        ("/Messages", {"profile": "x"}),
        ("/Messages", {"status": "delivered"}),
        ("/Messages", {"channel": "PHONE"}),
        ("/Messages", {"tags": "key=value"}),
        ("/Messages", {"tags": "key:value"}),
        ("/Messages", {"tags": "key:a b;"}),
        ("/Messages", {"tags": "".join(f"k{n}:v;" for n in range(11))}),
        ("/Messages", {"startDate": "yesterday"}),
        ("/Messages", {"startDate": "2026-10-02T00:00:00Z", "endDate": "2026-10-01T00:00:00Z"}),
        ("/Messages/Operations", {"status": "FAILED"}),
        ("/Senders", {"channel": "PHONE"}),
        ("/Senders", {"status": "ACTIVE"}),
        ("/SenderPools/Operations", {"status": "SCHEDULED"}),
    ],
)
def test_a_list_refuses_a_malformed_query(ask: CoreClient, path: str, query: dict[str, Any]) -> None:
    assert ask("GET", f"/comms/v1{path}", **query).status == 400


def test_an_unknown_query_key_is_ignored(ask: CoreClient) -> None:
    first, second = ask.send("+12025550100"), ask.send("+12025550101")
    assert len(ask.rows(operation_id=first)) == 2
    assert [row["related"][0]["id"] for row in ask.rows(operationId=second)] == [second]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/comms/v1/Nothing", 404, 20404),
        ("GET", "/comms/v2/Messages", 404, 20404),
        ("GET", "/nowhere/v1/Messages", 404, 20404),
        ("DELETE", "/comms/v1/Messages", 405, 20004),
        ("GET", "/comms/v1/Messages/comms_message_x", 404, 20404),
        ("GET", f"/comms/v1/Messages/comms_message_{ULID}", 404, 20404),
        ("GET", f"/comms/v1/Messages/Operations/comms_operation_{ULID}", 404, 20404),
        ("POST", "/comms/v1/Messages/Operations", 405, 20004),
        ("DELETE", f"/comms/v1/Messages/Operations/comms_operation_{ULID}", 405, 20004),
    ],
)
def test_what_there_is_not(ask: CoreClient, method: str, path: str, status: int, code: int) -> None:
    reply = ask(method, path)
    body = reply.json()
    assert (reply.status, body.get("code") or body["errors"][0]["code"]) == (status, code)


@pytest.mark.parametrize(("place", "value"), ACCEPTED)
def test_what_is_accepted_is_valid_by_the_document(place: str, value: Any) -> None:
    encoded = msgspec.json.encode({**message(), place: value})
    asked = OpenApiRequest("post", "https://comms.twilio.com", "/v1/Messages", "application/json", encoded)
    validator("comms").validate_request(asked)


def test_the_sender_of_an_attempt_has_no_pool(ask: CoreClient) -> None:
    operation = ask.send("+12025559003", **{"from": {"senderPoolId": POOL_ID}})
    ask.twilio.clock.advance(10)
    (row,) = ask.rows(operationId=operation)
    shown = ask.get(f"/Messages/{row['id']}")
    assert shown["from"]["senderPoolId"] == POOL_ID
    assert [{*each["from"]} for each in shown["attempts"]] == [{"address", "channel", "senderId"}]


def test_a_senders_removal_names_the_sender(ask: CoreClient) -> None:
    path = f"/comms/v1/SenderPools/{POOL_ID}/Senders/{SMS_SENDER_ID}"
    reply = ask("DELETE", path).json()
    assert reply["resourceId"] == SMS_SENDER_ID
    assert reply["resourceLocation"].endswith(path.removeprefix("/comms"))


def test_ten_thousand_senders_are_added_at_once(ask: CoreClient) -> None:
    path, sender = f"/comms/v1/SenderPools/{POOL_ID}/Senders", {"senderId": SMS_SENDER_ID}
    assert ask("POST", path, [sender] * 10_000).status == 202
    assert ask("POST", path, [sender] * 10_001).status == 400
