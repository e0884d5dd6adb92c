"""Single messages: what is sent, how it is waited for, and what is shown of it."""

from __future__ import annotations

import datetime
import json
import re
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.xcom_keys import MARK
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.emulator.classic.outbox import Message, Messages
from airflow_provider_twilio_comms.exceptions import InvalidInput, WaitTimedOut
from airflow_provider_twilio_comms.operators.messaging_services import TwilioMessagingServiceOperator
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.single_sends import ADA, BODY, EVE, FROM, message, taken

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

UNREACHABLE = "+12025559003"  # fails with 30003, by the emulator's table


def outbox(emulator: Running) -> list[Message]:
    return list(emulator.twilio.part(Messages).by_sid.values())


def service(**kwargs: Any) -> str:
    declared = TwilioMessagingServiceOperator(task_id="service", friendly_name="orders", **kwargs)
    sid = declared.execute(context(MemoryStore()))["sid"]
    assert isinstance(sid, str)
    return sid


def test_one_message_is_sent_and_delivered(emulator: Running) -> None:
    emulator.twilio.change(pace=0.3)
    result = message(wait_for="delivered").execute(context(MemoryStore()))
    assert result == {
        "sids": [sent.sid for sent in outbox(emulator)],
        "status": "COMPLETED",
        "statuses": {"delivered": 1},
    }
    assert taken(emulator) == {ADA: 1}


def test_a_person_finds_it_at_twilio(emulator: Running) -> None:
    values = context(MemoryStore())
    (sid,) = message().execute(values)["sids"]
    assert values["ti"].xcoms[MARK] == f"{emulator.url}/?search={sid}"
    console = Config("AC" + "0" * 32, "AC" + "0" * 32, "secret").messages_page(sid)
    assert console == f"https://www.twilio.com/console/sms/logs/{sid}"


def test_a_few_get_one_each_and_nobody_waits(emulator: Running) -> None:
    result = message(to=[ADA, EVE, ADA, "(202) 555-0125"], default_region="US").execute(
        context(MemoryStore())
    )
    assert taken(emulator) == {ADA: 1, EVE: 1, "+12025550125": 1}
    assert (len(result["sids"]), result["status"], result["statuses"]) == (3, "ACCEPTED", {"queued": 3})


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"media_url": "https://example.com/a.png"}, {"media_count": 1}),
        ({"body": None, "media_url": ["https://example.com/a.png"] * 2}, {"media_count": 2, "body": ""}),
        ({"to": f"whatsapp:{ADA}", "from_": "whatsapp:+14155238886"}, {"to": f"whatsapp:{ADA}"}),
        ({"from_": None, "options": {"from_": "ORDERS"}}, {"from_": "ORDERS"}),
        ({"options": {"provide_feedback": True}}, {"provide_feedback": True}),
    ],
)
def test_what_a_message_may_be(emulator: Running, given: dict[str, Any], shown: dict[str, Any]) -> None:
    message(**given).execute(context(MemoryStore()))
    (sent,) = outbox(emulator)
    assert {name: getattr(sent, name) for name in shown} == shown


def test_rcs_with_a_fallback_takes_a_service(emulator: Running) -> None:
    sid = service(phone_numbers=[FROM], channel_senders=["XE" + "c3" * 16])
    message(from_=None, messaging_service_sid=sid, fallback_from=FROM).execute(context(MemoryStore()))
    assert outbox(emulator)[0].service_sid == sid
    with pytest.raises(AirflowFailException, match="fallback_from"):
        message(fallback_from=FROM).execute(context(MemoryStore()))


def test_the_connection_names_the_sender(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(default_sender=FROM)):
        message(from_=None).execute(context(MemoryStore()))
    assert outbox(emulator)[0].from_ == FROM


def test_a_dry_run_checks_and_sends_nothing(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(dry_run=True)):
        assert message().execute(context(MemoryStore()))["status"] == "DRY_RUN"
        with pytest.raises(AirflowFailException, match="body"):
            message(body="x" * 1601).execute(context(MemoryStore()))
    assert {route.partition(" ")[0] for route in emulator.twilio.journal.counts} <= {"GET"}


def test_nobody_outside_the_allowed_gets_a_text(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(allowed_recipients="+1202555012*")):
        message().execute(context(MemoryStore()))
        with pytest.raises(AirflowFailException, match="1 of 2 recipients"):
            message(to=[EVE, "+12025559999"]).execute(context(MemoryStore()))
    assert taken(emulator) == {ADA: 1}


SOON = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("to", {"to": "not a number"}),
        ("to", {"to": []}),
        ("row 2, to", {"to": [ADA, ""]}),
        ("row 2, to", {"to": [ADA, 12025550124]}),
        ("to", {"to": "2025550123"}),
        ("from_", {"from_": None}),
        ("from_", {"from_": "much too long a name"}),
        ("messaging_service_sid", {"messaging_service_sid": "MG1"}),
        ("body", {"body": "x" * 1601}),
        ("body", {"body": None}),
        ("media_url", {"media_url": ["https://example.com/a.png"] * 11}),
        ("media_url", {"media_url": "ftp://example.com/a.png"}),
        ("content_sid", {"content_sid": "HX1"}),
        ("content_variables", {"content_variables": {"1": "Ada"}}),
        ("content_variables", {"content_sid": "HX" + "1" * 32, "content_variables": ["Ada"]}),
        ("send_at", {"send_at": "2030-01-01T09:00:00"}),
        ("send_at", {"send_at": "tomorrow"}),
        ("send_at", {"send_at": SOON}),
        ("send_at", {"send_at": SOON, "from_": None, "messaging_service_sid": "MG" + "1" * 32}),
        ("fallback_from", {"fallback_from": FROM}),
        ("shorten_urls", {"options": {"shorten_urls": True}}),
        ("validity_period", {"options": {"validity_period": 0}}),
        ("status_callback", {"options": {"status_callback": "https://my_host.example.com"}}),
        ("statuscallback", {"options": {"statuscallback": "https://example.com"}}),
        ("message_intent", {"options": {"message_intent": "spam"}}),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    emulator: Running, field: str, given: dict[str, Any]
) -> None:
    with pytest.raises((AirflowFailException, InvalidInput), match=rf"\b{re.escape(field)}\b") as caught:
        message(**given).execute(context(MemoryStore()))
    assert not emulator.twilio.journal.counts
    assert "5550123" not in str(caught.value)


@pytest.mark.parametrize("field", ["wait_for", "on_clear", "on_unknown"])
def test_a_wrong_choice_is_told_when_the_dag_is_read(field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        message(**{field: "maybe"})


@pytest.mark.parametrize("send_at", ["2030-01-01T09:00:00", datetime.datetime(2030, 1, 1), "tomorrow"])
def test_a_time_that_is_none_is_told_when_the_dag_is_read(send_at: Any) -> None:
    with pytest.raises(InvalidInput, match="send_at"):
        message(send_at=send_at)
    message(send_at="{{ data_interval_end }}")


@pytest.mark.parametrize("field", ["timeout", "poll_interval", "initial_delay", "unknown_after", "max_age"])
def test_a_negative_duration_is_told_when_the_dag_is_read(field: str) -> None:
    with pytest.raises(InvalidInput, match=f"{field}: -1 is not a duration"):
        message(**{field: -1})


def test_a_wait_says_that_it_waits_and_what_it_sees(
    emulator: Running, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.twilio.change(pace=0.5)
    message(wait_for="delivered").execute(context(MemoryStore()))
    told = [line for _, line in lines(caplog) if line.startswith("Waiting")]
    assert told
    assert all("Seen so far: " in line and "the next look is in" in line for line in told)
    assert len(set(told)) == len(told), "a look that shows nothing new is not told"


def test_what_did_not_arrive_fails_the_task_with_the_reason(emulator: Running) -> None:
    emulator.twilio.change(pace=0.2, outcomes=[{"match": EVE[1:], "status": "UNDELIVERED", "code": 30003}])
    with pytest.raises(AirflowFailException) as caught:
        message(to=[ADA, EVE], wait_for="delivered").execute(context(MemoryStore()))
    assert "1 of 2 messages" in str(caught.value)
    assert "30003 (handset unreachable" in str(caught.value)


SINGLE: dict[str, Any] = {"task_id": "send", "from_": FROM, "body": BODY, "deferrable": False}


def test_a_message_that_fails_is_red_where_the_author_says_nothing(
    emulator: Running, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.twilio.change(pace=0.2, outcomes=[{"match": EVE[1:], "status": "FAILED", "code": 30003}])
    with pytest.raises(AirflowFailException, match=r"without being sent.*30003 \(handset unreachable"):
        TwilioSendMessageOperator(to=EVE, poll_interval=0.1, **SINGLE).execute(context(MemoryStore()))
    (line,) = [each for each in caplog.records if each.getMessage().startswith("Sent ")]
    assert (line.levelname, line.getMessage()) == (
        "WARNING",
        "Sent 0 of 1 (0.0 %; asked for all). Failed 1: 1 x 30003 (handset unreachable or switched off; "
        "retry).",
    )


def test_a_message_that_the_carrier_has_is_enough_where_the_author_says_nothing(
    emulator: Running, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.twilio.change(pace=0)
    sent = TwilioSendMessageOperator(to=[ADA, EVE], **SINGLE)
    assert sent.execute(context(MemoryStore()))["status"] == "COMPLETED"
    assert ("INFO", "Sent 2 of 2 (100.0 %; asked for all).") in lines(caplog)


def test_a_send_that_does_not_wait_says_so(emulator: Running, caplog: pytest.LogCaptureFixture) -> None:
    message(to=[ADA, EVE]).execute(context(MemoryStore()))
    assert lines(caplog)[-1] == (
        "INFO",
        "Twilio has accepted 2 of 2 messages. With wait_for='queued' the task does not look at what becomes "
        "of them",
    )


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(each.levelname, each.getMessage()) for each in caplog.records]


def test_a_carrier_without_receipts_is_waited_for_until_time_is_up(emulator: Running) -> None:
    emulator.twilio.change(pace=0.2, outcomes=[{"match": "555", "status": "SENT"}])
    store = MemoryStore()
    with pytest.raises(WaitTimedOut, match="not delivered yet"):
        message(wait_for="delivered", timeout=0.6).execute(context(store))
    result = message(wait_for="sent", timeout=5).execute(context(store, try_number=2))
    assert result["statuses"] == {"sent": 1}
    assert taken(emulator) == {ADA: 1}


def test_scheduled_messages_are_canceled_when_the_task_is_killed(emulator: Running) -> None:
    given = {
        "from_": None,
        "messaging_service_sid": service(phone_numbers=[FROM]),
        "send_at": datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2),
        "cancel_on_kill": True,
    }
    store = MemoryStore()
    killed = message(**given)
    killed.execute(context(store))
    killed.on_kill()
    killed.on_kill()
    assert [sent.status(emulator.twilio.clock.now()) for sent in outbox(emulator)] == ["canceled"]
    again = message(**given).execute(context(store, try_number=2))
    assert [sent.sid for sent in outbox(emulator)][1:] == again["sids"]
    assert again["statuses"] == {"scheduled": 1}


def test_without_the_wish_a_kill_cancels_nothing(emulator: Running) -> None:
    sent = message()
    sent.execute(context(MemoryStore()))
    sent.on_kill()
    assert "canceled" not in emulator.twilio.journal.counts
    assert not [
        route for route in emulator.twilio.journal.counts if route.startswith("POST") and "{Sid}" in route
    ]


def test_numbers_and_texts_are_shown_nowhere(
    emulator: Running, run_dag: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    emulator.twilio.change(pace=0.5)
    with DAG("private", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:

        @task(show_return_value_in_logs=False)
        def on_call() -> list[str]:
            return [ADA]

        sent = message(
            task_id="tell",
            to=on_call(),
            body="Hello {{ 'Gra' ~ 'ce' }}",
            media_url="https://example.com/a.png?signature={{ 'se' ~ 'cret' }}",
            wait_for="delivered",
            deferrable=True,
            initial_delay=0,
        )
    run = run_dag(dag)
    assert run.state == "success"
    assert outbox(emulator)[0].body == "Hello Grace"
    ti = next(each for each in run.get_task_instances() if each.task_id == "tell")
    result = ti.xcom_pull(task_ids="tell")
    assert result["statuses"] == {"delivered": 1}
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.serialization.serialized_objects import DagSerialization

    rendered = RenderedTaskInstanceFields.get_templated_fields(ti) or {}
    assert rendered["to"] == rendered["body"] == rendered["media_url"] == "(hidden)"
    logged = "".join(capfd.readouterr()) + caplog.text
    assert "Twilio accepted message 1" in logged
    everything = json.dumps([result, rendered, DagSerialization.to_dict(dag), ti.next_kwargs], default=str)
    for private in (ADA, ADA[2:], FROM, "Hello", "secret"):
        assert private not in everything
        assert private not in logged
    assert sent.to.value is not None


def test_each_of_a_mapped_task_gets_its_own(emulator: Running, run_dag: Any) -> None:
    params = {"ada": "Ada"}  # Airflow renders what expand_kwargs is given
    with DAG("mapped", schedule=None, start_date=pendulum.datetime(2026, 1, 1), params=params) as dag:

        @task
        def people() -> list[dict[str, str]]:
            return [{"to": ADA, "body": "To {{ params.ada }}"}, {"to": EVE, "body": "To Eve"}]

        TwilioSendMessageOperator.partial(
            task_id="tell", from_=FROM, wait_for="queued", send_key="{{ run_id }} {{ ti.map_index }}"
        ).expand_kwargs(people())
    assert run_dag(dag).state == "success"
    assert {sent.to: sent.body for sent in outbox(emulator)} == {ADA: "To Ada", EVE: "To Eve"}


@pytest.mark.parametrize(
    ("given", "body"), [({}, "Run r1"), ({"render_content": False}, "Run {{ params.name }}")], ids=str
)
def test_the_body_is_a_template_unless_the_author_says_otherwise(
    emulator: Running, run_dag: Any, given: dict[str, Any], body: str
) -> None:
    with DAG(
        "rendered", schedule=None, start_date=pendulum.datetime(2026, 1, 1), params={"name": "r1"}
    ) as dag:
        message(to="{{ '" + ADA + "' }}", body="Run {{ params.name }}", **given)
    assert run_dag(dag).state == "success"
    assert [(sent.to, sent.body) for sent in outbox(emulator)] == [(ADA, body)]


def test_the_body_may_come_from_another_task(emulator: Running, run_dag: Any) -> None:
    with DAG("given", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:

        @task
        def text() -> str:
            return BODY + " {{ run_id }}"

        message(body=text())
    assert run_dag(dag).state == "success"
    assert [sent.body for sent in outbox(emulator)] == [BODY + " {{ run_id }}"]


@pytest.mark.parametrize("name", ["list_picker", "quick_reply", "apple_pay", "interactive_data"])
def test_an_old_parameter_is_told_its_place(emulator: Running, name: str) -> None:
    with pytest.raises(AirflowFailException, match=rf"{name}: there is no such argument.*content_sid"):
        message(options={name: {}}).execute(context(MemoryStore()))
    assert taken(emulator) == {}


def test_the_old_parameter_of_apple_pay_is_sent(emulator: Running) -> None:
    message(options={"persistent_action": ["pay:1"]}).execute(context(MemoryStore()))
    assert taken(emulator) == {ADA: 1}
