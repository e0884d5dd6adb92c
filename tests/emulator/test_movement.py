"""Statuses of operations and messages over time, and outcomes by number."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.emulator.callers import CoreClient, message, phone

POOL = {"senderPoolId": "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"}
WHATSAPP = {"address": "+14155238886", "channel": "WHATSAPP"}
ENDED = ("sent", "delivered", "read", "undelivered", "failed", "canceled", "unaddressable")


def test_an_operation_is_processed_within_its_pace(ask: CoreClient) -> None:
    operation = ask.send(*(f"+1202555{n:04}" for n in range(100)))
    assert ask.operation(operation)["status"] == "PROCESSING"
    assert ask.stats(operation) == {"total": 100, "recipients": 100, "queued": 100}
    ask.twilio.clock.advance(3)
    assert ask.stats(operation) == {"total": 100, "recipients": 100, "attempts": 50, "queued": 50, "sent": 50}
    ask.twilio.clock.advance(3)
    stats = ask.stats(operation)
    assert stats["sent"] == stats["delivered"] == 50
    ask.twilio.clock.advance(3.999)
    assert ask.operation(operation)["status"] == "PROCESSING"
    ask.twilio.clock.advance(0.001)
    assert ask.operation(operation)["status"] == "COMPLETED"
    assert ask.stats(operation) == {"total": 100, "recipients": 100, "attempts": 100, "delivered": 100}


@pytest.mark.parametrize("step", [0.0, 0.3, 1.1, 7.0])
def test_the_counters_agree_with_the_rows_at_every_moment(ask: CoreClient, step: float) -> None:
    numbers = [
        f"+1202555{ending}" for ending in (9000, 9001, 9003, 9005, 9006, 9007, 9337, 9610, *range(1000, 1030))
    ]
    operation = ask.send(*numbers, **{"from": POOL})
    for _ in range(12):
        stats = ask.operation(operation)["stats"]
        rows = Counter(row["status"].lower() for row in ask.rows(operationId=operation))
        rows["failed"] -= stats["unaddressable"]
        assert {name: stats[name] for name in ENDED[:-1]} == {name: rows[name] for name in ENDED[:-1]}
        assert stats["queued"] + sum(stats[name] for name in ENDED) == stats["recipients"] == len(numbers)
        ask.twilio.clock.advance(step)


def test_without_a_pace_everything_is_done_at_once(ask: CoreClient) -> None:
    ask.twilio.change(pace=0)
    operation = ask.send("+12025550100", "+12025559003")
    assert ask.operation(operation)["status"] == "COMPLETED"
    assert ask.stats(operation) == {
        "total": 2,
        "recipients": 2,
        "attempts": 2,
        "delivered": 1,
        "undelivered": 1,
    }


def test_receipts_may_come_after_completion(ask: CoreClient) -> None:
    ask.twilio.change(receipts_lag=60)
    operation = ask.send("+12025550100", "+12025559003", "+12025559610")
    ask.twilio.clock.advance(10)
    assert ask.operation(operation)["status"] == "COMPLETED"
    assert ask.stats(operation)["sent"] == 2
    assert ask.stats(operation)["failed"] == 1
    ask.twilio.clock.advance(60)
    assert "sent" not in ask.stats(operation)
    assert ask.stats(operation)["undelivered"] == 1


def test_a_scheduled_operation_waits_for_its_time(ask: CoreClient) -> None:
    in_an_hour = "2026-09-21T15:13:20"  # UTC: it names no offset
    operation = ask.send(
        "+12025550100", schedule={"sendAt": [in_an_hour, "2026-09-21T16:20:00Z"]}
    )  # the first
    assert ask.operation(operation)["status"] == "SCHEDULED"
    assert ask.stats(operation) == {"total": 1, "recipients": 1, "scheduled": 1}
    (row,) = ask.rows()
    assert (row["status"], row["scheduledFor"]) == ("SCHEDULED", f"{in_an_hour}.000Z")
    ask.twilio.clock.advance(3600)
    assert ask.operation(operation)["status"] == "PROCESSING"
    ask.twilio.clock.advance(10)
    assert ask.stats(operation)["delivered"] == 1


def test_a_time_that_has_passed_means_now(ask: CoreClient) -> None:
    operation = ask.send(schedule={"sendAt": ["2020-01-01T00:00:00Z"]})
    assert ask.operation(operation)["status"] == "PROCESSING"


# number, channel of the recipient, from -> status, codes of the attempts
OUTCOMES: list[tuple[str, dict[str, Any] | None, str, list[int | None]]] = [
    ("+12025550100", None, "DELIVERED", [None]),
    ("+12025559000", None, "SENT", [None]),
    ("+12025559001", None, "FAILED", [30001]),
    ("+12025559003", None, "UNDELIVERED", [30003]),
    ("+12025559005", None, "UNDELIVERED", [30005]),
    ("+12025559006", None, "FAILED", []),
    ("+12025559007", None, "UNDELIVERED", [30007]),
    ("+12025559008", None, "UNDELIVERED", [30008]),
    ("+12025559034", None, "FAILED", [30034]),
    ("+12025559408", None, "FAILED", [21408]),
    ("+12025559410", None, "UNDELIVERED", [30410]),
    ("+12025559610", None, "FAILED", [21610]),
    ("+12025559016", None, "DELIVERED", [None]),
    ("+12025559337", None, "DELIVERED", [None]),
    ("+12025559337", POOL, "DELIVERED", [61337, None]),
    ("+12025559337", {"address": "emulated_agent", "channel": "RCS"}, "UNDELIVERED", [61337]),
    ("+12025550100", WHATSAPP, "FAILED", []),
]


@pytest.mark.parametrize(("number", "sender", "status", "codes"), OUTCOMES)
def test_what_becomes_of_a_number(
    ask: CoreClient, number: str, sender: dict[str, Any] | None, status: str, codes: list[int | None]
) -> None:
    operation = ask.send(number, **({"from": sender} if sender else {}))
    ask.twilio.clock.advance(10)
    (row,) = ask.rows()
    shown = ask.get(f"/Messages/{row['id']}")
    assert shown["status"] == row["status"] == status
    assert [(attempt["error"] or {}).get("code") for attempt in shown["attempts"]] == codes
    stats = ask.stats(operation)
    assert stats.get("unaddressable", 0) == (0 if codes else 1)
    assert stats.get(status.lower(), 0) == (1 if codes else 0)
    assert stats.get("attempts", 0) == len(codes)


@pytest.mark.parametrize(
    ("number", "status", "codes"),
    [
        ("+12025550100", "READ", [None]),
        ("+12025559016", "FAILED", [63016]),
        ("+12025559337", "UNDELIVERED", [63003]),
        ("+12025559006", "FAILED", []),
    ],
)
def test_what_becomes_of_a_number_on_whatsapp(
    ask: CoreClient, number: str, status: str, codes: list[int | None]
) -> None:
    ask.send({"address": number, "channel": "WHATSAPP"}, **{"from": WHATSAPP})
    ask.twilio.clock.advance(10)
    (row,) = ask.rows()
    shown = ask.get(f"/Messages/{row['id']}")
    assert (shown["status"], [(each["error"] or {}).get("code") for each in shown["attempts"]]) == (
        status,
        codes,
    )


def test_a_person_with_several_addresses_is_reached_where_possible(ask: CoreClient) -> None:
    both = [{"address": "+12025559337", "channel": channel} for channel in ("WHATSAPP", "PHONE")]
    operation = ask.send({"addresses": both, "variables": {"name": "Ines"}})
    ask.twilio.clock.advance(10)
    (row,) = ask.rows()
    assert (row["status"], row["from"]["channel"], row["to"][0]["channel"]) == ("DELIVERED", "SMS", "PHONE")
    assert ask.stats(operation)["attempts"] == 2


def test_modules_decide_which_channels_serve(ask: CoreClient) -> None:
    modules = [{"sms": {"text": "{{ name }}, by SMS"}}, {"rcs": {"text": "{{ name }}, by RCS"}}]
    ask.send(
        phone("+12025559337", name="Ines"), phone("+12025550100", name="Ada"), content={"modules": modules}
    )
    ask.send(phone("+12025550101"), content={"modules": modules[1:]}, **{"from": POOL})
    ask.twilio.clock.advance(10)
    told = {row["to"][0]["address"]: ask.get(f"/Messages/{row['id']}") for row in ask.rows()}
    assert told["+12025559337"]["content"] == {"modules": [{"sms": {"text": "Ines, by SMS"}}]}
    assert told["+12025550101"]["from"]["channel"] == "RCS"
    assert told["+12025550101"]["content"] == {"modules": [{"rcs": {"text": ", by RCS"}}]}


def test_outcomes_can_be_scripted(ask: CoreClient) -> None:
    ask.twilio.change(
        pace=0,
        outcomes=[
            {"match": "0100$", "status": "FAILED", "code": 30034},
            {"match": "^\\+44", "unaddressable": True},
        ],
    )
    assert ask.stats(ask.send("+12025550100", "+447700900123", "+12025550102")) == {
        "total": 3,
        "recipients": 3,
        "attempts": 2,
        "unaddressable": 1,
        "delivered": 1,
        "failed": 1,
    }


def test_unaddressable_recipients_can_be_without_a_row(ask: CoreClient) -> None:
    ask.twilio.change(pace=0, unaddressable_rows=False)
    operation = ask.send("+12025559006", "+12025550100")
    assert [row["to"][0]["address"] for row in ask.rows()] == ["+12025550100"]
    stats = ask.stats(operation)
    assert (stats["total"], stats["recipients"], stats["unaddressable"]) == (1, 2, 1)


def test_liquid_is_filled_in_for_each_recipient(ask: CoreClient) -> None:
    text = "Hello {{ name | default: 'there' }}{% if vip == 'yes' %}!{% endif %}"
    to = [
        phone("+12025550100", name="Ines", vip="yes"),
        phone("+12025550101"),
        phone("+12025550102", self="x"),
    ]
    ask.send(*to, content={"text": text}, tags={"who": "{{ name | default: 'nobody' }}"})
    shown = [ask.get(f"/Messages/{row['id']}") for row in ask.rows()]
    assert [each["content"]["text"] for each in shown] == ["Hello Ines!", "Hello there", "Hello there"]
    assert [each["tags"]["who"] for each in shown] == ["Ines", "nobody", "nobody"]
    assert len(ask.rows(tags="who:Ines;")) == 1


def test_a_cancelled_operation_sends_no_more(ask: CoreClient) -> None:
    from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox

    operation = ask.send(*(f"+1202555{n:04}" for n in range(100)))
    ask.twilio.clock.advance(3)
    ask.twilio.part(Outbox).cancel(operation)
    ask.twilio.clock.advance(60)
    assert ask.operation(operation)["status"] == "CANCELED"
    assert ask.stats(operation) == {
        "total": 100,
        "recipients": 100,
        "attempts": 50,
        "delivered": 50,
        "canceled": 50,
    }


def test_a_fresh_operation_can_be_unknown_or_empty_for_a_while(ask: CoreClient) -> None:
    ask.twilio.change(operation_after=2, counters_after=5)
    operation = ask.send()
    assert ask("GET", f"/comms/v1/Messages/Operations/{operation}").status == 404
    ask.twilio.clock.advance(2)
    assert set(ask.operation(operation)["stats"].values()) == {0}
    ask.twilio.clock.advance(3)
    assert ask.stats(operation)["total"] == 1


def test_everything_is_forgotten_after_seven_days(ask: CoreClient) -> None:
    operation = ask.send()
    (row,) = ask.rows()
    ask.twilio.clock.advance(7 * 86400)
    assert ask.operation(operation)["status"] == "COMPLETED"
    ask.twilio.clock.advance(1)
    assert ask("GET", f"/comms/v1/Messages/Operations/{operation}").status == 404
    assert ask("GET", f"/comms/v1/Messages/{row['id']}").status == 404
    assert ask.rows() == []
    ask.send()
    assert len(ask.rows()) == 1


def test_the_null_sink_counts_and_keeps_nothing(ask: CoreClient) -> None:
    ask.twilio.change(null_sink=True, pace=0)
    operation = ask.send(*(f"+1202555{n:04}" for n in range(1000)))
    assert ask.stats(operation) == {"total": 1000, "recipients": 1000, "attempts": 1000, "delivered": 1000}
    assert ask.rows() == []
    assert ask.twilio.ledger.to_dict() == {
        "requests": 1,
        "messages": 1000,
        "distinct": 0,
        "twice": 0,
        "recipients": {},
    }
    assert ask("POST", "/comms/v1/Messages", message(tags={"a b": "c"})).status == 400
