"""Replies of the Communications API in every form, read leniently."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.api.comms import messages, operations, sender_pools, senders
from airflow_provider_twilio_comms.api.comms.operations import Stats
from airflow_provider_twilio_comms.api.wire import Reply, checked
from airflow_provider_twilio_comms.exceptions import ServerFailed

OPERATION = "comms_operation_01h9krwprkeee8fzqspvwy6nq8"
OTHER = "comms_operation_01h9krwprkeee8fzqspvwy6nq9"
MESSAGE = "comms_message_01h9krwprkeee8fzqspvwy6nq8"
ADDRESS = f"https://comms.twilio.com/v1/Messages/Operations/{OPERATION}"
TO = [{"address": "+14155552671", "channel": "PHONE"}]
NOON = "2026-07-01T12:00:00Z"


def reply(body: Any = None, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named, b"" if body is None else msgspec.json.encode(body))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply({"operationId": OPERATION}), id="body"),
        pytest.param(reply({"operationId": OPERATION, "operationLocation": "/x"}), id="v1"),
        pytest.param(reply({"operation_id": OPERATION}), id="the first preview"),
        pytest.param(reply(None, operationid=OPERATION), id="preview: header, empty body"),
        pytest.param(reply(None, operation_id=OPERATION), id="older header"),
        pytest.param(reply(None, x_operationid=OPERATION), id="x-header"),
        pytest.param(reply(None, x_operation_id=OPERATION), id="another x-header"),
        pytest.param(reply({"operationLocation": ADDRESS}), id="end of an address in the body"),
        pytest.param(reply(None, operation_location=ADDRESS + "/?a=b"), id="end of an address in a header"),
        pytest.param(reply(None, location=ADDRESS), id="location"),
        pytest.param(reply({"operationId": OPERATION}, operationid=OTHER, location=OTHER), id="body first"),
        pytest.param(reply(None, operationid=OPERATION, location=OTHER), id="header before location"),
        pytest.param(reply({"operationId": None}, operationid=OPERATION), id="null in the body"),
        pytest.param(reply([], operationid=OPERATION), id="a list as body"),
        pytest.param(Reply(202, {"operationid": OPERATION}, b"<html>"), id="HTML as body"),
        pytest.param(Reply(202, {"operationid": OPERATION}, b'{"operationId": "comms_op'), id="cut body"),
        pytest.param(Reply(202, {"operationid": OPERATION}, b"\xff"), id="no text as body"),
    ],
)
@pytest.mark.parametrize("status", [200, 201, 202])
def test_the_operation_id_is_found_wherever_it_is(answer: Reply, status: int) -> None:
    taken = checked(messages.send(TO, "Hi"), Reply(status, answer.headers, answer.body))
    assert taken.operation_id == OPERATION


@pytest.mark.parametrize(
    "answer", [reply(), reply({}), reply(None, location="https://x/Messages"), reply(None, operationid="")]
)
def test_a_send_without_an_operation_id_was_still_taken(answer: Reply) -> None:
    assert checked(messages.send(TO, "Hi"), answer).operation_id is None


def row(**more: Any) -> dict[str, Any]:
    return {
        "id": MESSAGE,
        "from": {"address": "+15005550006", "channel": "SMS", "senderId": "comms_sender_1"},
        "to": [{"address": "+14155552671", "channel": "PHONE"}],
        "status": "DELIVERED",
        "related": [{"name": "OPERATION", "id": OPERATION, "uri": "/x"}],
        "tags": {"run": "1"},
        "scheduledFor": None,
        "createdAt": NOON,
        "updatedAt": "2026-07-01T12:00:00.123456+02:00",
        "deletedAt": None,
        **more,
    }


def test_a_message_with_its_attempts() -> None:
    sid = "SM" + "1" * 32
    attempts = [
        {"status": "UNDELIVERED", "error": {"code": "61337", "message": "m", "infoUrl": "u"}, "more": 1},
        {"status": "DELIVERED", "infoUrl": f"https://api.twilio.com/Messages/{sid}.json", "error": None},
    ]
    message = checked(messages.fetch(MESSAGE), reply(row(attempts=attempts, content={"text": "Hi"}, new=1)))
    assert (message.operation_id, message.code, message.tags) == (OPERATION, 61337, {"run": "1"})
    assert [attempt.sid for attempt in message.attempts] == [None, sid]
    assert message.created_at == datetime(2026, 7, 1, 12, tzinfo=timezone.utc)
    for secret in ("555", "Hi", "DELIVERED, infoUrl"):
        assert secret not in repr(message)
    assert "m" not in repr(message.attempts[0].error).replace("AttemptError(code=61337)", "")


@pytest.mark.parametrize("status", ["GROUP", "INBOUND", "TELEPATHIC", ""])
def test_an_unknown_status_is_kept(status: str) -> None:
    assert checked(messages.fetch(MESSAGE), reply(row(status=status))).status == status
    operation = checked(operations.fetch(OPERATION), reply({"id": OPERATION, "status": status}))
    assert (operation.status, operation.done) == (status, False)


def test_a_message_of_which_little_is_said() -> None:
    message = checked(messages.fetch(MESSAGE), reply({"id": MESSAGE}))
    assert (message.status, message.operation_id, message.code, message.attempts) == ("", None, None, ())


def test_missing_counters_are_zero_and_new_ones_ignored() -> None:
    body = {"id": OPERATION, "status": "COMPLETED", "stats": {"total": 3, "delivered": "2", "teleported": 9}}
    operation = checked(operations.fetch(OPERATION), reply(body))
    assert operation.done
    assert operation.stats == Stats(total=3, delivered=2)
    assert sum(operation.stats.to_dict().values()) == 5
    assert len(operation.stats.to_dict()) == 12


@pytest.mark.parametrize("stats", [None, {"total": None, "sent": 1}, {"sent": 1, "failed": None}])
def test_null_counters_are_zero(stats: Any) -> None:
    body = {"id": OPERATION, "status": "COMPLETED", "stats": stats, "createdAt": None}
    operation = checked(operations.fetch(OPERATION), reply(body))
    assert operation.stats == Stats(sent=1 if stats else 0)


def test_null_lists_of_a_message_are_empty() -> None:
    nothing = {"related": None, "attempts": None, "tags": None, "status": "SENT"}
    message = checked(messages.fetch(MESSAGE), reply(row(**nothing)))
    assert (message.related, message.attempts, message.code) == ((), (), None)
    page = checked(messages.list(), reply({"messages": [row(**nothing)], "pagination": {"next": None}}))
    assert [each.id for each in page.items] == [MESSAGE]


def test_a_byte_order_mark_is_no_part_of_a_reply() -> None:
    body = b"\xef\xbb\xbf" + (reply({"id": OPERATION, "status": "COMPLETED"}).body)
    assert checked(operations.fetch(OPERATION), Reply(200, {}, body)).done


def test_the_channel_of_an_attempt_is_its_senders() -> None:
    attempt = {"from": {"address": "agent", "channel": "RCS"}, "to": [{"address": "+14155552671"}]}
    (read,) = checked(messages.fetch(MESSAGE), reply(row(attempts=[attempt]))).attempts
    assert read.channel == "RCS"
    assert "555" not in repr(read)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-07-01T12:00:00Z", datetime(2026, 7, 1, 12, tzinfo=timezone.utc)),
        ("at dawn", None),
        (None, None),
    ],
)
def test_a_scheduled_time_of_another_form_is_no_error(text: str | None, moment: datetime | None) -> None:
    message = checked(messages.fetch(MESSAGE), reply(row(scheduledFor=text)))
    assert (message.scheduled, message.scheduled_for) == (text, moment)


def test_counts_that_do_not_add_up_are_taken_as_they_are() -> None:
    stats = Stats(
        total=2, recipients=4, delivered=1, read=2, unaddressable=1, undelivered=1, failed=1, canceled=1
    )
    assert (stats.arrived, stats.lost, stats.under_way, stats.asked) == (3, 4, 0, 7)
    assert Stats(scheduled=1, queued=2, sent=3).under_way == 6
    assert stats + stats == Stats(
        total=4, recipients=8, delivered=2, read=4, unaddressable=2, undelivered=2, failed=2, canceled=2
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply({"operationId": OPERATION, "operationLocation": "/x"}), (OPERATION, None)),
        (reply({"resourceId": "comms_senderpool_1", "resourceLocation": "/x"}), (None, "comms_senderpool_1")),
        (reply(), (None, None)),
        (Reply(202, {}, b" \n"), (None, None)),
        (reply(None, operationid=OPERATION), (OPERATION, None)),
        (reply(None, location=f"https://x/v1/SenderPools/Operations/{OPERATION}"), (OPERATION, None)),
        (reply({}, location="https://x/v1/SenderPools/comms_senderpool_1"), (None, "comms_senderpool_1")),
        (reply({"resourceLocation": "/v1/SenderPools/p/Senders/comms_sender_1"}), (None, "comms_sender_1")),
        (Reply(202, {"operationid": OPERATION}, b"<html>"), (OPERATION, None)),
    ],
)
def test_a_changed_pool_is_answered_with_a_reference(answer: Reply, expected: tuple[Any, Any]) -> None:
    reference = checked(sender_pools.delete("comms_senderpool_1"), answer)
    assert (reference.operation_id, reference.resource_id) == expected


def test_senders_and_routes_show_no_address() -> None:
    body = {"id": "comms_sender_1", "address": "+15005550006", "channel": "SMS", "displayName": None}
    sender = checked(senders.fetch("comms_sender_1"), reply(body))
    assert sender.address == "+15005550006"
    end = {"address": "+15005550006", "channel": "SMS", "displayName": "Ada"}
    results = {"results": [{"from": {**end, "senderId": "comms_sender_1"}, "to": end, "priority": 2}, {}]}
    first, second = checked(senders.resolve(TO, sender_pool_id="p"), reply(results))
    assert (first.sender.sender_id, first.to.channel, first.priority) == ("comms_sender_1", "SMS", 2)
    assert (second.sender.sender_id, second.priority) == (None, 0)
    assert "555" not in repr([sender, first])
    assert "Ada" not in repr(first)


@pytest.mark.parametrize("status", [200, 301, 302])
def test_seek_takes_the_id_from_the_address_and_follows_nothing(status: int) -> None:
    location = f"https://elsewhere.example/v1/Messages/{MESSAGE}/?a=b"
    assert checked(messages.seek("SM" + "1" * 32), reply(None, status, location=location)) == MESSAGE


@pytest.mark.parametrize("location", ["", "https://comms.twilio.com/v1/Messages"])
def test_seek_to_nowhere_is_an_error(location: str) -> None:
    with pytest.raises(ServerFailed, match="names no message"):
        checked(messages.seek("SM" + "1" * 32), reply(None, 301, location=location))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"id": "comms_oper', b'{"status": 1}', b"null", b"\xff"]
)
def test_a_reply_nobody_can_read_is_the_servers_failure(body: bytes) -> None:
    with pytest.raises(ServerFailed, match="cannot be read") as caught:
        checked(operations.fetch(OPERATION), Reply(200, {"twilio-request-id": "RQ1"}, body))
    assert (caught.value.status, caught.value.request_id) == (200, "RQ1")
