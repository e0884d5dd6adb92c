"""Validation in the emulator: it refuses what Twilio refuses, and names the place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.emulator.callers import CoreClient, message, phone

ULID = "01h9krwprkeee8fzqspvwy6nq8"
PROFILE = {"profileId": f"mem_profile_{ULID}", "memoryStoreId": f"mem_store_{ULID}"}
CARD = {"richCard": {"standaloneCard": {"cardContent": {"title": "Hi"}}}}
CAROUSEL = "$.content.modules[0].rcs.richCard.carouselCard"
FILE = {"fileUrl": "https://example.com/a.png"}
EVENT = {
    "startTime": "2026-12-01T19:00:00Z",
    "endTime": "2026-12-01T21:00:00+01:00",
    "title": "Dinner",
    "description": "For two",
}


def standalone(**card: Any) -> dict[str, Any]:
    return {"modules": [{"rcs": {"richCard": {"standaloneCard": card}}}]}


def carousel(*cards: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"modules": [{"rcs": {"richCard": {"carouselCard": {"cardContents": list(cards), **more}}}}]}


def acting(**action: Any) -> dict[str, Any]:
    action = {"action": {"text": "Go", "postbackData": "go", **action}}
    return {"modules": [{"rcs": {"text": "Hi", "suggestions": [action]}}]}


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
    ("content", {"modules": [{"rcs": {"media": {"contentInfo": FILE}}}]}, "$.content.modules[0].rcs"),
    ("content", {"modules": [{"rcs": {"contentInfo": {}}}]}, "$.content.modules[0].rcs.contentInfo"),
    ("content", {"modules": [{"rcs": {"richCard": {}}}]}, "$.content.modules"),
    ("content", standalone(cardContent={}), "$.content.modules"),
    ("content", standalone(cardContent={"title": "Hi"}, cardOrientation="HORIZONTAL"), "$.content.modules"),
    ("content", standalone(cardContent={"title": "Hi"}, thumbnailImageAlignment="LEFT"), "$.content.modules"),
    ("content", carousel({"title": "Hi"}), f"{CAROUSEL}.cardContents"),
    ("content", carousel(*[{"title": "Hi"}] * 11), f"{CAROUSEL}.cardContents"),
    ("content", carousel({"title": "Hi"}, {}), "$.content.modules"),
    ("content", carousel({"title": "Hi"}, {"title": "Hi"}, cardWidth="TALL"), f"{CAROUSEL}.cardWidth"),
    ("content", acting(openUrlAction={"url": "x", "application": "WEBVIEW"}), "$.content.modules"),
    ("content", acting(openUrlAction={"url": "x", "webviewViewMode": "FULL"}), "$.content.modules"),
    ("content", acting(viewLocationAction={}), "$.content.modules"),
    (
        "content",
        acting(createCalendarEventAction=EVENT | {"startTime": "tomorrow"}),
        "$.content.modules[0].rcs.suggestions[0].action.createCalendarEventAction.startTime",
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
    ("schedule", {"sendAt": "2026-10-01T17:00:00Z"}, "$.schedule.sendAt"),
    ("schedule", {"sendAt": []}, "$.schedule.sendAt"),
    ("schedule", {"expressions": ["2026-10-01T17:00:00Z"]}, "$.schedule"),
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
    ("content", {"modules": [{"rcs": {**CARD, "suggestions": []}}]}),
    ("content", {"modules": [{"rcs": {"contentInfo": FILE | {"forceRefresh": True}}}]}),
    ("content", carousel(*[{"title": "Hi"}] * 10, cardWidth="SMALL")),
    (
        "content",
        standalone(
            cardOrientation="HORIZONTAL",
            thumbnailImageAlignment="LEFT",
            cardContent={"title": "Hi", "media": {"contentInfo": FILE, "height": "TALL"}},
        ),
    ),
    ("content", acting(openUrlAction={"url": "x", "application": "WEBVIEW", "webviewViewMode": "FULL"})),
    ("content", acting(openUrlAction={"url": "x", "application": "BROWSER"})),
    ("content", acting(viewLocationAction={"label": "Here"})),
    ("content", acting(createCalendarEventAction=EVENT)),
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
