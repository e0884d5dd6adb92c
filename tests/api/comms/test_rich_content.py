"""Rich content: written in Twilio's form, allowed by Twilio's document, and refused with the field."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cache
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.comms._arguments import checked_content
from airflow_provider_twilio_comms.api.comms.rich_content import Card, Media, OpenUrl, Rcs, Suggestion
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from airflow_provider_twilio_comms.exceptions import InvalidInput
from tests.contract import documents
from tests.contract.documents import OpenApiRequest
from tests.emulator.callers import CoreClient, message

TO = [{"address": "+14155552671", "channel": "PHONE"}]
FILE = "https://example.com/a.png"
EVENING = datetime(2026, 12, 1, 19, tzinfo=timezone.utc)
REPLY = {"text": "Yes", "postback_data": "yes"}
EVENT = {
    "start_time": EVENING,
    "end_time": "2026-12-01T21:00:00+00:00",
    "title": "Dinner",
    "description": "For two",
}
WEB = {"url": "https://example.com", "application": "WEBVIEW", "webview_view_mode": "HALF"}

ACTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"open_url": "https://example.com"}, {"openUrlAction": {"url": "https://example.com"}}),
    (
        {"open_url": WEB},
        {
            "openUrlAction": {
                "url": "https://example.com",
                "application": "WEBVIEW",
                "webviewViewMode": "HALF",
            }
        },
    ),
    ({"dial": "+15005550006"}, {"dialAction": {"phoneNumber": "+15005550006"}}),
    (
        {"view_location": {"latitude": 38.7, "longitude": -9.1, "label": "Here"}},
        {"viewLocationAction": {"latLong": {"latitude": 38.7, "longitude": -9.1}, "label": "Here"}},
    ),
    ({"view_location": {"query": "the shop"}}, {"viewLocationAction": {"query": "the shop"}}),
    (
        {"create_calendar_event": EVENT},
        {
            "createCalendarEventAction": {
                "startTime": "2026-12-01T19:00:00Z",
                "endTime": "2026-12-01T21:00:00Z",
                "title": "Dinner",
                "description": "For two",
            }
        },
    ),
    ({"share_location": True}, {"shareLocationAction": {}}),
]

CONTENTS: list[dict[str, Any]] = [
    {"cards": [{"title": "Hi {{ name }}"}]},
    {"cards": [{"title": "Hi", "media": FILE}], "text": "Hi", "media": [FILE]},
    {"cards": [{"description": str(number)} for number in range(10)], "card_width": "SMALL"},
    {"cards": [{"suggestions": [REPLY] * 4}, {"media": {"file_url": FILE, "height": "TALL"}}]},
    {
        "cards": [{"title": "Hi", "media": {"file_url": FILE, "thumbnail_url": FILE, "force_refresh": True}}],
        "card_orientation": "HORIZONTAL",
        "thumbnail_image_alignment": "LEFT",
        "suggestions": [REPLY] * 11,
    },
    {"cards": [Card(title="Hi", media=Media(file_url=FILE), suggestions=[])], "text": "Hi"},
    {"content_info": FILE, "suggestions": [REPLY]},
    {"content_info": {"file_url": FILE, "thumbnail_url": FILE}, "text": "See it at example.com"},
    {"text": "Come?", "suggestions": [REPLY]},
    {"rcs": {"text": "Come?", "suggestions": [REPLY]}, "sms": "Come? Answer YES"},
    {"rcs": Rcs(cards=[Card(title="Hi")]), "sms": {"media": FILE}},
    {"sms": {"text": "Hi", "media": [FILE, FILE]}},
    *({"text": "Hi", "suggestions": [{**REPLY, **given}]} for given, _ in ACTIONS),
]


@cache
def document() -> Any:
    return documents.validator_of(documents.load("comms_v1"))


@pytest.mark.parametrize("content", CONTENTS, ids=str)
def test_what_is_written_is_allowed_by_the_document_and_the_emulator(
    content: dict[str, Any],
) -> None:
    call = messages.send(TO, content, sender="+15005550006")
    _, body = call.content()
    document().validate_request(
        OpenApiRequest("post", "https://comms.twilio.com", "/v1/Messages", "application/json", body)
    )
    reply = CoreClient(Twilio())(
        "POST", "/comms/v1/Messages", {**message(), "content": checked_content(content)}
    )
    assert reply.status == 202, reply.body


@pytest.mark.parametrize(("given", "written"), ACTIONS, ids=str)
def test_an_action_is_written_in_the_form_of_twilio(given: dict[str, Any], written: dict[str, Any]) -> None:
    module = checked_content({"text": "Hi", "suggestions": [{**REPLY, **given}]})["modules"][0]
    assert module["rcs"]["suggestions"] == [{"action": {"text": "Yes", "postbackData": "yes", **written}}]


def test_the_text_beside_cards_is_for_phones_without_rcs() -> None:
    found = checked_content({"cards": [{"title": "A"}, {"title": "B"}], "text": "A or B"})
    assert found == {
        "modules": [
            {"rcs": {"richCard": {"carouselCard": {"cardContents": [{"title": "A"}, {"title": "B"}]}}}},
            {"sms": {"text": "A or B"}},
        ]
    }


def test_modules_are_passed_on_as_they_are() -> None:
    modules = [{"rcs": {"text": "Hi", "new": {"to": "us"}}}]
    assert checked_content({"modules": modules}) == {"modules": modules}


def suggested(**given: Any) -> dict[str, Any]:
    return {"text": "Hi", "suggestions": [REPLY, {**REPLY, **given}]}


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"cards": []}, "content.cards", "length >= 1"),
    ({"cards": [{"title": "x"}] * 11}, "content.cards", "length <= 10"),
    ({"cards": "x"}, "content.cards", "array"),
    ({"cards": [{"title": "x"}, {}]}, "content.cards[1]", "is empty"),
    ({"cards": [{"title": ""}]}, "content.cards[0].title", "length >= 1"),
    ({"cards": [{"titel": "x"}]}, "content.cards[0]", "There is no titel there"),
    ({"cards": [Card(title=5)]}, "content.cards[0].title", "str"),  # type: ignore[arg-type]
    ({"cards": [{"suggestions": [REPLY] * 5}]}, "content.cards[0].suggestions", "length <= 4"),
    ({"cards": [{"media": {"height": "TALL"}}]}, "content.cards[0].media", "Give file_url"),
    (
        {"cards": [{"media": {"file_url": FILE, "height": "HUGE"}}]},
        "content.cards[0].media.height",
        "SHORT, MEDIUM, TALL",
    ),
    ({"cards": [{"title": "x"}], "card_width": "SMALL"}, "content.card_width", "2 to 10"),
    ({"cards": [{"title": "x"}] * 2, "card_width": "WIDE"}, "content.card_width", "SMALL, MEDIUM"),
    ({"cards": [{"title": "x"}] * 2, "card_orientation": "VERTICAL"}, "content.card_orientation", "one card"),
    ({"cards": [{"title": "x"}], "card_orientation": "HORIZONTAL"}, "content.cards[0]", "needs media"),
    (
        {"cards": [{"title": "x"}], "thumbnail_image_alignment": "LEFT"},
        "content.thumbnail_image_alignment",
        "HORIZONTAL",
    ),
    ({"cards": [{"title": "x"}], "content_info": FILE}, "content", "content_info and cards"),
    ({"cards": [{"title": "x"}], "content_sid": "HX" + "0" * 32}, "content", "mixes"),
    ({"cards": [{"title": "x"}], "sms": "x"}, "content", "mixes"),
    ({"rcs": {"text": "x"}, "text": "x"}, "content", "mixes"),
    ({"suggestions": [REPLY]}, "content", "has neither text"),
    ({"suggestions": [REPLY], "text": "x", "media": FILE}, "content.suggestions", "media into a card"),
    ({"rcs": {}, "sms": "x"}, "content.rcs", "exactly one"),
    ({"sms": {}}, "content.sms", "Give a text"),
    ({"sms": {"media": [FILE] * 11}}, "content.sms.media", "up to 10"),
    ({"text": "x", "suggestions": [REPLY] * 12}, "content.suggestions", "length <= 11"),
    ({"text": "x", "suggestions": [{"text": "x"}]}, "content.suggestions[0]", "Give postback_data"),
    (suggested(dial="+15005550006", share_location=True), "content.suggestions[1]", "one action"),
    (
        suggested(open_url={"url": "x", "application": "WEBVIEW"}),
        "content.suggestions[1].open_url.webview_view_mode",
        "or neither",
    ),
    (
        suggested(open_url={"url": "x", "webview_view_mode": "FULL"}),
        "content.suggestions[1].open_url.webview_view_mode",
        "or neither",
    ),
    (suggested(view_location={"label": "x"}), "content.suggestions[1].view_location", "a query"),
    (suggested(view_location={"latitude": 1}), "content.suggestions[1].view_location", "longitude"),
    (
        suggested(view_location={"latitude": 91, "longitude": 0}),
        "content.suggestions[1].view_location.latitude",
        "<= 90",
    ),
    (
        suggested(create_calendar_event={**EVENT, "start_time": datetime(2026, 12, 1)}),
        "content.suggestions[1].create_calendar_event.start_time",
        "no time zone",
    ),
    (
        suggested(create_calendar_event={**EVENT, "end_time": "tomorrow"}),
        "content.suggestions[1].create_calendar_event.end_time",
        "datetime",
    ),
]


@pytest.mark.parametrize(("content", "field", "said"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_bad_part_is_refused_with_its_field(content: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_content(content)
    assert caught.value.field == field
    assert said in str(caught.value)
    assert "555" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"list_picker": {}}, "TwilioContentTemplateOperator"),
        ({"quick_reply": {}}, "content_sid"),
        ({"apple_pay": {}}, "persistent_action of TwilioSendMessageOperator"),
        ({"persistent_action": ["x"], "text": "x"}, "persistent_action of TwilioSendMessageOperator"),
        ({"body": "x"}, "is called text"),
        ({"content_id": "HX"}, "is called content_sid"),
    ],
)
def test_a_word_of_another_api_is_told_its_place(content: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match="has unknown keys") as caught:
        checked_content(content)
    assert said in str(caught.value)


def test_the_classes_are_written_as_mappings_are() -> None:
    typed = Suggestion(text="Yes", postback_data="yes", open_url=OpenUrl(url="https://example.com"))
    plain = {**REPLY, "open_url": {"url": "https://example.com"}}
    assert checked_content({"cards": [Card(suggestions=[typed])]}) == checked_content(
        {"cards": [{"suggestions": [plain]}]}
    )
