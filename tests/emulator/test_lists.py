"""Lists of messages and operations: paging, filters and lag; and the two forms of a 202."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms.api.wire import Reply
from tests.emulator.callers import CoreClient, message


def numbers(count: int) -> list[str]:
    return [f"+1202555{n:04}" for n in range(count)]


def to(rows: list[dict[str, list[dict[str, str]]]]) -> list[str]:
    return [row["to"][0]["address"] for row in rows]


def test_pages_are_followed_by_opaque_tokens(ask: CoreClient) -> None:
    ask.send(*numbers(7))
    ask.send(*numbers(4))
    first = ask.get("/Messages", pageSize=5)
    assert len(first["messages"]) == 5
    ask.send("+12025559999")  # arrives while somebody reads, and shifts nothing
    second = ask.get("/Messages", pageSize=5, pageToken=first["pagination"]["next"])
    last = ask.get("/Messages", pageSize=5, pageToken=second["pagination"]["next"])
    read = [row for page in (first, second, last) for row in page["messages"]]
    assert to(read) == numbers(4) + numbers(7)
    assert last["pagination"] == {"next": None, "self": second["pagination"]["next"]}


def test_fifty_is_the_usual_page_and_a_full_last_page_has_no_next(ask: CoreClient) -> None:
    ask.send(*numbers(100))
    first = ask.get("/Messages")
    assert len(first["messages"]) == 50
    assert ask.get("/Messages", pageToken=first["pagination"]["next"])["pagination"]["next"] is None
    assert ask.get("/Messages", pageSize=1000)["pagination"]["next"] is None


def test_filters(ask: CoreClient) -> None:
    old = ask.send("+12025559003", tags={"chunk": "a1", "try": "1"})
    ask.twilio.clock.advance(3600)
    new = ask.send("+12025550100", "+12025559003", tags={"chunk": "b2", "try": "1"})
    ask.send({"address": "+12025550101", "channel": "WHATSAPP"})
    ask.twilio.clock.advance(10)
    assert to(ask.rows(operationId=old)) == ["+12025559003"]
    assert to(ask.rows(status="UNDELIVERED")) == ["+12025559003"] * 2
    assert to(ask.rows(tags="chunk:b2;", status="DELIVERED")) == ["+12025550100"]
    assert len(ask.rows(tags="try:1;")) == 3
    assert len(ask.rows(tags="try:1;chunk:a1;")) == 1
    assert ask.rows(tags="chunk:a1;try:2;") == []
    assert to(ask.rows(channel="WHATSAPP")) == ["+12025550101"]
    assert len(ask.rows(startDate="2026-09-21T15:00:00Z")) == 3
    assert len(ask.rows(endDate="2026-09-21T15:00:00Z")) == 1
    assert ask.rows(sessionId="comms_session_01h9krwprkeee8fzqspvwy6nq8") == []
    found = ask.get("/Messages/Operations", startDate="2026-09-21T15:00:00Z", status="COMPLETED")
    assert [each["id"] for each in found["operations"]][1] == new


def test_operations_are_paged(ask: CoreClient) -> None:
    sent = [ask.send() for _ in range(5)]
    first = ask.get("/Messages/Operations", pageSize=3)
    second = ask.get("/Messages/Operations", pageSize=3, pageToken=first["pagination"]["next"])
    listed = [each["id"] for page in (first, second) for each in page["operations"]]
    assert listed == sent[::-1]
    assert second["pagination"]["next"] is None


def test_lists_can_lag_while_a_fetch_does_not(ask: CoreClient) -> None:
    ask.twilio.change(list_lag=5)
    operation = ask.send()
    assert ask.rows() == [] == ask.get("/Messages/Operations")["operations"]
    assert ask.operation(operation)["status"] == "PROCESSING"
    ask.twilio.clock.advance(5)
    assert len(ask.rows()) == 1


def test_a_message_is_found_by_the_sid_of_its_attempt(ask: CoreClient) -> None:
    ask.send(*numbers(3))
    ask.twilio.clock.advance(10)
    for row in ask.rows():
        shown = ask.get(f"/Messages/{row['id']}")
        sid = shown["attempts"][0]["infoUrl"].rpartition("/")[2]
        reply = ask("GET", f"/comms/v1/Messages/Seek/{sid}")
        assert (reply.status, reply.headers["location"].rpartition("/")[2]) == (301, row["id"])
    assert ask("GET", "/comms/v1/Messages/Seek/SM" + "0" * 32).status == 404
    assert ask("GET", "/comms/v1/Messages/Seek/CA" + "0" * 32).status == 400


def test_a_message_has_no_attempt_before_its_turn(ask: CoreClient) -> None:
    ask.send()
    (row,) = ask.rows()
    shown = ask.get(f"/Messages/{row['id']}")
    assert (shown["status"], shown["attempts"]) == ("QUEUED", [])
    ask.twilio.clock.advance(6)
    (attempt,) = ask.get(f"/Messages/{row['id']}")["attempts"]
    assert attempt["status"] == "SENT"


@pytest.mark.parametrize(
    ("version", "accepted", "in_body"),
    [("v1", None, True), ("preview", None, False), ("v1", "header", False), ("preview", "body", True)],
)
def test_where_the_operation_id_is(
    ask: CoreClient, version: str, accepted: str | None, in_body: bool
) -> None:
    ask.twilio.change(accepted=accepted)
    reply: Reply = ask("POST", f"/comms/{version}/Messages", message())
    if in_body:
        operation_id = reply.json()["operationId"]
        assert reply.headers["location"] == reply.json()["operationLocation"]
        assert "operationid" not in reply.headers
    else:
        operation_id = reply.headers["operationid"]
        assert reply.body == b""
    assert ask("GET", f"/comms/{version}/Messages/Operations/{operation_id}").status == 200
