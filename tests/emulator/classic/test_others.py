"""Files behind redirects, paging, prices, lookups and content templates."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_twilio_comms.api import content, lookups, pricing
from airflow_provider_twilio_comms.api.classic import incoming_numbers, media, messages, usage
from airflow_provider_twilio_comms.api.flows import Done, advance, every_item
from airflow_provider_twilio_comms.api.messaging import deactivations, senders, services
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply
from airflow_provider_twilio_comms.emulator.classic.inventory import NUMBER_SID, SECOND_NUMBER_SID
from airflow_provider_twilio_comms.emulator.http import Request
from airflow_provider_twilio_comms.emulator.outbox import shown
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from tests.emulator.classic.resources import FROM, TO, UNKNOWN, CallRunner, refused, send

TEXT = {"twilio/text": {"body": "Hello"}}


def today(twilio: Twilio) -> Any:
    return datetime.fromtimestamp(twilio.clock.now(), timezone.utc).date()


def read(twilio: Twilio, url: str, **headers: str) -> Reply:
    """Read an address as storage would serve it."""
    parts = urlsplit(url)
    product, _, path = parts.path[1:].partition("/")
    return twilio.handle(Request("GET", product, f"/{path}", parse_qsl(parts.query), headers))


# files elsewhere


def test_the_days_report(twilio: Twilio, run: CallRunner) -> None:
    url = run(deactivations.fetch(today(twilio) - timedelta(days=1))).url
    reply = read(twilio, url)
    lines = reply.body.decode().splitlines()
    assert (reply.headers["content-type"], len(lines), lines[0]) == ("text/plain", 100, UNKNOWN)
    other = read(twilio, run(deactivations.fetch(today(twilio) - timedelta(days=2))).url)
    assert reply.body != other.body
    assert refused(run, deactivations.fetch(today(twilio))) == 30114


def test_storage_wants_the_signature_and_no_credentials(twilio: Twilio, run: CallRunner) -> None:
    url = run(deactivations.fetch(today(twilio) - timedelta(days=1))).url
    assert read(twilio, url, authorization=run.headers["authorization"]).status == 400
    assert read(twilio, url.replace("Signature=", "Signature=0")).status == 403
    assert read(twilio, url.partition("?")[0]).status == 403
    twilio.clock.advance(121)
    assert read(twilio, url).status == 403


@pytest.mark.parametrize(
    ("address", "content_type", "start"),
    [
        ("https://example.com/a.png?size=1", "image/png", b"GIF89a"),
        ("https://example.com/terms.pdf", "application/pdf", b"https://example.com/terms.pdf"),
        ("https://example.com/unknown", "image/jpeg", b"GIF89a"),
    ],
)
def test_media(twilio: Twilio, run: CallRunner, address: str, content_type: str, start: bytes) -> None:
    message = send(run, media_url=[address])
    assert (message.sid[:2], message.num_media) == ("MM", 1)
    (file,) = run(media.list(message.sid)).items
    assert file.content_type == content_type
    reply = read(twilio, run(media.download(message.sid, file.sid)).url)
    assert reply.headers["content-type"] == content_type
    assert reply.body.startswith(start)
    run(media.delete(message.sid, file.sid))
    assert run(media.list(message.sid)).items == []
    assert refused(run, media.fetch(message.sid, file.sid)) == 20404
    assert refused(run, media.download(message.sid, file.sid)) == 20404


# pages


def everything(run: CallRunner, call: Call[Page[Any]]) -> list[Any]:
    """Every row of a list, page by page."""
    flow = every_item(call)
    step = advance(flow)
    while not isinstance(step, Done):
        assert isinstance(step, Call)
        step = advance(flow, run(step))
    return step.value


def test_every_list_gives_every_row_page_by_page(run: CallRunner) -> None:
    service = run(services.create("One")).sid
    run(services.create("Two"))
    for sid in (NUMBER_SID, SECOND_NUMBER_SID):
        run(senders.create_phone_number(service, sid))
    message = send(run, media_url=["https://example.com/a.png"] * 3)
    month = today(run.twilio) - timedelta(days=30)
    for _ in range(3):
        send(run)
        run(content.create(TEXT, language="en"))
    lists: list[tuple[Call[Page[Any]], Call[Page[Any]]]] = [
        (messages.list(page_size=1), messages.list()),
        (messages.list(page_size=2, to=TO), messages.list(to=TO)),
        (media.list(message.sid, page_size=2), media.list(message.sid)),
        (incoming_numbers.list(page_size=1), incoming_numbers.list()),
        (usage.records("daily", start_date=month, page_size=7), usage.records("daily", start_date=month)),
        (services.list(page_size=1), services.list()),
        (senders.list_phone_numbers(service, page_size=1), senders.list_phone_numbers(service)),
        (content.list(page_size=2), content.list()),
        (content.list_with_approvals(page_size=2), content.list_with_approvals()),
        (pricing.list(page_size=4), pricing.list()),
    ]
    for page, whole in lists:
        rows = everything(run, page)
        assert len(rows) > 1
        assert rows[: len(run(whole).items)] == list(run(whole).items)


@pytest.mark.parametrize(
    ("query", "code"),
    [("Page=1", 20001), ("PageSize=1001", 20007), ("PageSize=0", 20001), ("Page=1&PageToken=PAold", 21481)],
)
@pytest.mark.parametrize("first", [messages.list(), services.list()], ids=["2010", "v1"])
def test_pages_that_cannot_be(run: CallRunner, first: Call[Page[Any]], query: str, code: int) -> None:
    call: Call[Any] = Call("GET", first.path, first.read, first.product, query=parse_qsl(query))
    assert refused(run, call) == code


def test_a_filter_that_nobody_knows(run: CallRunner) -> None:
    call: Call[Any] = Call("GET", messages.MESSAGES, lambda _: None, "api", query=[("Status", "sent")])
    assert refused(run, call) == 20001


# prices, lookups, templates, the outbox page


def test_prices(run: CallRunner) -> None:
    prices = run(pricing.fetch("GB"))
    rows = list(pricing.rows(prices))
    assert len(rows) == 3 * 7
    assert {row["direction"] for row in rows} == {"outbound", "inbound"}
    assert run(pricing.fetch_numbers("US")).phone_number_prices[0].number_type == "local"
    assert refused(run, pricing.fetch("XX")) == 20404


@pytest.mark.parametrize(
    ("number", "country", "valid", "problem"),
    [
        ("+14155552671", None, True, None),
        ("(415) 555-2671", "US", True, None),
        ("020 7946 0018", "GB", True, None),
        ("+1415555267100", None, False, "TOO_LONG"),
        ("+141", None, False, "TOO_SHORT"),
    ],
)
def test_lookups(run: CallRunner, number: str, country: str | None, valid: bool, problem: str | None) -> None:
    only = {"country_code": country} if country else {}
    found = run(lookups.fetch(number, **only))  # type: ignore[arg-type]
    assert (found.valid, found.validation_errors) == (valid, (problem,) if problem else None)
    assert found.line_type_intelligence is None


def test_a_lookup_knows_the_table(run: CallRunner) -> None:
    landline = run(lookups.fetch("+12025559006", ["line_type_intelligence"])).line_type_intelligence
    assert landline is not None
    assert landline["type"] == "landline"
    risk = run(lookups.fetch("+12025559610", ["sms_pumping_risk", "line_status"])).sms_pumping_risk
    assert risk is not None
    assert risk["number_blocked"] is True


def test_a_template_is_approved_with_time(twilio: Twilio, run: CallRunner) -> None:
    sid = run(content.create(TEXT, language="en")).sid
    assert run(content.approval(sid)).status == "unsubmitted"
    run(content.update(sid, {"twilio/text": {"body": "Bye"}}))
    assert run(content.request_approval(sid, "hello", "UTILITY")).status == "received"
    assert refused(run, content.update(sid, TEXT)) == 20409
    assert refused(run, content.request_approval(sid, "hello", "UTILITY")) == 20409
    seen = []
    for _ in range(3):
        twilio.clock.advance(4)
        seen.append(run(content.approval(sid)).status)
    assert seen == ["pending", "pending", "approved"]
    row = run(content.list_with_approvals()).items[0]
    assert row.approval_requests is not None
    assert row.approval_requests["status"] == "approved"
    run(content.delete(sid))
    assert refused(run, content.fetch(sid)) == 20404


@pytest.mark.parametrize(
    "body",
    [
        {"types": TEXT},
        {"types": {}, "language": "en"},
        {"types": {"text": {"body": "x"}}, "language": "en"},
        {"types": TEXT, "language": "en", "colour": "red"},
        {"types": TEXT, "language": "en", "variables": {"1": 5}},
    ],
)
def test_a_template_that_cannot_be(run: CallRunner, body: Any) -> None:
    call: Call[Any] = Call("POST", "/v1/Content", lambda _: None, "content", json=body)
    assert refused(run, call) == 20001


def test_classic_messages_are_on_the_outbox_page(twilio: Twilio, run: CallRunner) -> None:
    send(run, body="Find me")
    send(run, UNKNOWN)
    twilio.clock.advance(20)
    page = shown(twilio, "", "", 0, 50)
    assert [(row["to"], row["status"], row["code"]) for row in page["rows"]] == [
        (UNKNOWN, "UNDELIVERED", 30005),
        (TO, "DELIVERED", None),
    ]
    (row,) = shown(twilio, "Find", "", 0, 50)["rows"]
    assert (row["from"], row["kind"], row["text"]) == (FROM, "classic", "Find me")
    assert shown(twilio, "", "delivered", 0, 50)["total"] == 1
