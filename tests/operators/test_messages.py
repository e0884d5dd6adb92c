"""Changes to messages that were sent, made once however often they are tried."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from pyarrow import parquet

from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import ApiError, InvalidInput, ServerFailed
from airflow_provider_twilio_comms.operators.messages import (
    TwilioCancelMessageOperator,
    TwilioDeleteMessageOperator,
    TwilioListMessagesOperator,
    TwilioMessageFeedbackOperator,
    TwilioRedactMessageOperator,
)
from airflow_provider_twilio_comms.operators.messaging_services import TwilioMessagingServiceOperator
from tests.fakes import MemoryStore, context
from tests.operators.single_sends import ADA, BODY, EVE, FROM, message

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

pytestmark = pytest.mark.usefixtures("hurried")

GONE = "SM" + "0" * 32


def sent(**kwargs: Any) -> list[str]:
    sids = message(**kwargs).execute(context(MemoryStore()))["sids"]
    assert isinstance(sids, list)
    return sids


def scheduled(count: int = 1) -> list[str]:
    declared = TwilioMessagingServiceOperator(task_id="s", friendly_name="orders", phone_numbers=[FROM])
    sid = declared.execute(context())["sid"]
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    to = [f"+1202555{number:04d}" for number in range(count)]
    return sent(to=to, from_=None, messaging_service_sid=sid, send_at=at)


def test_canceling_twice_is_canceling_once(emulator: Running) -> None:
    sids = scheduled(2)
    cancel = TwilioCancelMessageOperator(task_id="cancel", sids=sids)
    assert cancel.execute(context()) == {"canceled": sids, "too_late": []}
    assert cancel.execute(context()) == {"canceled": sids, "too_late": []}


def test_what_is_sent_can_no_longer_be_canceled(emulator: Running) -> None:
    sids = [*scheduled(), *sent()]
    with pytest.raises(AirflowFailException, match=f"too late to cancel 1 of 2 messages: {sids[1]}"):
        TwilioCancelMessageOperator(task_id="cancel", sids=sids).execute(context())
    lenient = TwilioCancelMessageOperator(task_id="cancel", sids=sids, if_too_late="skip")
    assert lenient.execute(context()) == {"canceled": sids[:1], "too_late": sids[1:]}


def test_a_mistyped_choice_is_refused_when_the_dag_is_parsed() -> None:
    choice: Any = "Fail"
    with pytest.raises(InvalidInput, match="if_too_late: 'Fail' is unknown"):
        TwilioCancelMessageOperator(task_id="cancel", sids=GONE, if_too_late=choice)


def test_a_message_in_flight_is_waited_for_then_redacted_and_deleted(emulator: Running) -> None:
    emulator.twilio.change(pace=2.0)
    sids = sent(to=[ADA, EVE])
    text = "['" + "', '".join(sids) + "']"  # what a template makes of a list
    assert TwilioRedactMessageOperator(task_id="redact", sids=text).execute(context()) == {"redacted": 2}
    assert {each.body for each in emulator.twilio.part(Messages).by_sid.values()} == {""}
    delete = TwilioDeleteMessageOperator(task_id="delete", sids=sids)
    assert delete.execute(context()) == {"deleted": 2}
    assert not emulator.twilio.part(Messages).by_sid
    assert delete.execute(context()) == {"deleted": 2}


def test_patience_ends_and_leaves_the_rest_to_a_retry(emulator: Running) -> None:
    emulator.twilio.change(pace=60.0)
    with pytest.raises(ApiError, match="20009") as caught:
        TwilioDeleteMessageOperator(task_id="delete", sids=sent(), patience=0.5).execute(context())
    assert caught.value.verdict == "retry"


@pytest.mark.parametrize("kind", ["drop_after", "error_after"])
def test_a_delete_whose_reply_is_lost_is_made_again(emulator: Running, kind: Any) -> None:
    emulator.twilio.change(pace=0.0)
    sids = sent()
    emulator.twilio.faults.add(Fault(kind=kind, method="DELETE"))
    assert TwilioDeleteMessageOperator(task_id="delete", sids=sids).execute(context()) == {"deleted": 1}


def test_feedback_takes_a_message_that_asked_for_it(emulator: Running) -> None:
    sids = sent(options={"provide_feedback": True})
    assert TwilioMessageFeedbackOperator(task_id="f", sids=sids).execute(context()) == {"reported": 1}
    with pytest.raises(AirflowFailException, match="20001"):
        TwilioMessageFeedbackOperator(task_id="f", sids=sent(to=EVE), outcome="unconfirmed").execute(
            context()
        )


@pytest.mark.parametrize(
    ("field", "given"), [("sids", []), ("sids", ADA), ("row 2, sids", [GONE, "SM1"]), ("outcome", "maybe")]
)
def test_bad_input_is_refused_with_the_field_named(emulator: Running, field: str, given: Any) -> None:
    values = {"sids": given} if field != "outcome" else {"sids": GONE, "outcome": given}
    with pytest.raises(AirflowFailException, match=field) as caught:
        TwilioMessageFeedbackOperator(task_id="f", **values).execute(context())
    assert ADA not in str(caught.value)
    assert not emulator.twilio.journal.counts


def test_a_list_in_xcom_shows_no_numbers_and_no_texts(emulator: Running) -> None:
    sids = sent(to=[ADA, EVE])
    result = TwilioListMessagesOperator(task_id="list", to=ADA).execute(context())
    assert result["count"] == 1
    assert result["rows"][0]["sid"] == sids[0]
    assert not {ADA, FROM, BODY} & {str(value) for value in result["rows"][0].values()}
    asked = TwilioListMessagesOperator(task_id="list", fields=["sid", "to"]).execute(context())
    assert asked["rows"] == [{"sid": sids[1], "to": EVE}, {"sid": sids[0], "to": ADA}]


def test_a_long_list_needs_a_file(emulator: Running, tmp_path: Path) -> None:
    to = [f"+1202555{number:04d}" for number in range(120)]
    sent(to=to)
    with pytest.raises(AirflowFailException, match="output_path"):
        TwilioListMessagesOperator(task_id="list").execute(context())
    assert TwilioListMessagesOperator(task_id="list", limit=7).execute(context())["count"] == 7
    for name in ("all.jsonl", "deep/er/all.parquet"):
        path = str(tmp_path / name)
        result = TwilioListMessagesOperator(task_id="list", output_path=path, limit=110).execute(context())
        assert result == {"count": 110, "output_path": path}
    assert (tmp_path / "all.jsonl").read_text().count(ADA[:8]) == 110
    table = parquet.read_table(tmp_path / "deep/er/all.parquet")
    assert (table.num_rows, str(table.schema.field("num_segments").type)) == (110, "int64")
    assert "timestamp[us, tz=UTC]" in str(table.schema.field("date_created").type)


def test_an_empty_list_makes_an_empty_file(emulator: Running, tmp_path: Path) -> None:
    for ending in ("jsonl", "parquet"):
        path = tmp_path / f"none.{ending}"
        listing = TwilioListMessagesOperator(task_id="list", sent_on="2020-01-01", output_path=str(path))
        assert listing.execute(context())["count"] == 0
        assert path.exists()


def test_a_list_that_breaks_leaves_no_half_file(emulator: Running, tmp_path: Path) -> None:
    sent()
    emulator.twilio.faults.add(Fault(kind="error_before", method="GET", times=None))
    path = tmp_path / "all.jsonl"
    with pytest.raises(ServerFailed):
        TwilioListMessagesOperator(task_id="list", output_path=str(path)).execute(context())
    assert not path.exists()


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("to", {"to": "2025550123"}),
        ("sent_on", {"sent_on": "yesterday"}),
        ("fields", {"fields": ["colour"]}),
        ("output_path", {"output_path": "rows.xml"}),
    ],
)
def test_a_list_says_what_is_wrong_with_its_arguments(
    emulator: Running, field: str, given: dict[str, Any]
) -> None:
    sent()
    with pytest.raises(AirflowFailException, match=field):
        TwilioListMessagesOperator(task_id="list", **given).execute(context())
