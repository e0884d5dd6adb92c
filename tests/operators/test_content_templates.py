"""Content templates: found or created by name and content, and submitted to WhatsApp once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_twilio_comms.emulator.classic.content import Contents
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError
from airflow_provider_twilio_comms.operators.content_templates import TwilioContentTemplateOperator
from airflow_provider_twilio_comms.sensors.template_approvals import TwilioTemplateApprovalSensor
from tests.conftest import environment
from tests.fakes import context
from tests.operators.bulk_sends import bulk, people, texted

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

LIST = {
    "twilio/list-picker": {
        "body": "When, {{1}}?",
        "button": "Choose",
        "items": [{"item": "Seven", "id": "7"}, {"item": "Nine", "id": "9"}],
    }
}
GIVEN: dict[str, Any] = {
    "friendly_name": "Table ready",
    "types": LIST,
    "variables": {"1": "Ines"},
    "language": "en",
}
SUBMITTED: dict[str, Any] = {**GIVEN, "whatsapp_category": "UTILITY"}


def operator(**kwargs: Any) -> TwilioContentTemplateOperator:
    return TwilioContentTemplateOperator(task_id="template", **{**SUBMITTED, **kwargs})


def declare(**kwargs: Any) -> dict[str, Any]:
    return operator(**kwargs).execute(context())


def posts(emulator: Running) -> int:
    counts = emulator.twilio.journal.counts
    return sum(count for route, count in counts.items() if not route.startswith("GET"))


def templates(emulator: Running) -> list[str]:
    return list(emulator.twilio.part(Contents).by_sid)


@pytest.mark.usefixtures("hurried")
class TestTemplates:
    def test_what_is_declared_is_made_and_submitted_once(self, emulator: Running) -> None:
        made = declare()
        (sid,) = templates(emulator)
        assert made == {
            "content_sid": sid,
            "friendly_name": made["friendly_name"],
            "status": "CHANGED",
            "created": True,
            "submitted": True,
            "approval": "received",
        }
        assert made["friendly_name"].startswith("Table ready_")
        before = posts(emulator)
        again = declare()
        assert again == {**made, "status": "UNCHANGED", "created": False, "submitted": False}
        assert posts(emulator) == before == 2

    def test_without_a_category_it_is_not_submitted(self, emulator: Running) -> None:
        made = declare(whatsapp_category=None)
        assert (made["submitted"], made["approval"]) == (False, None)
        assert posts(emulator) == 1
        later = declare()
        assert (later["content_sid"], later["created"], later["submitted"]) == (
            made["content_sid"],
            False,
            True,
        )

    @pytest.mark.parametrize(
        "changed",
        [
            {"types": {"twilio/text": {"body": "When, {{1}}?"}}},
            {"language": "pt"},
            {"variables": {"1": "Joe"}},
            {"friendly_name": "Other"},
        ],
        ids=str,
    )
    def test_another_content_is_another_template(self, emulator: Running, changed: dict[str, Any]) -> None:
        first = declare()
        second = declare(**changed)
        assert second["created"]
        assert second["content_sid"] != first["content_sid"]
        assert declare()["content_sid"] == first["content_sid"]

    def test_the_order_of_keys_is_no_other_content(self, emulator: Running) -> None:
        first = declare()
        turned = {"twilio/list-picker": dict(reversed(LIST["twilio/list-picker"].items()))}
        assert declare(types=turned)["content_sid"] == first["content_sid"]

    @pytest.mark.parametrize("kind", ["drop_after", "error_after", "error_before"])
    @pytest.mark.parametrize("path", ["/Content$", "/whatsapp$"])
    def test_a_broken_line_makes_no_second_one(self, emulator: Running, kind: Any, path: str) -> None:
        emulator.twilio.faults.add(Fault(kind=kind, method="POST", path=path))
        try:
            declare()
        except TwilioError:
            declare()
        assert len(templates(emulator)) == 1
        assert declare()["status"] == "UNCHANGED"

    def test_of_two_the_first_one_counts(self, emulator: Running) -> None:
        from airflow_provider_twilio_comms.api import content
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        made = declare(whatsapp_category=None)
        emulator.twilio.clock.advance(5)
        TwilioHook().run(content.create(LIST, language="en", friendly_name=made["friendly_name"]))
        assert declare()["content_sid"] == made["content_sid"]

    def test_a_dry_run_tells_what_would_be_done(self, emulator: Running) -> None:
        with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(dry_run=True)):
            told = declare()
        assert (told["content_sid"], told["status"], told["created"]) == (None, "DRY_RUN", True)
        assert told["submitted"] is True
        assert posts(emulator) == 0

    def test_a_rejected_one_is_told(self, emulator: Running) -> None:
        declare(whatsapp_name="reject_me")
        emulator.twilio.clock.advance(60)
        again = declare(whatsapp_name="reject_me")
        assert (again["approval"], again["status"]) == ("rejected", "UNCHANGED")


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("types", {"types": {}}),
        ("types", {"types": {"text": {"body": "x"}}}),
        ("language", {"language": "English"}),
        ("variables", {"variables": {"1": 2}}),
        ("category", {"whatsapp_category": "SPAM"}),
        ("name", {"whatsapp_name": "Table Ready"}),
    ],
)
def test_bad_input_is_refused_when_the_dag_is_parsed(field: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=rf"^{field}:"):
        operator(**given)


def test_a_dag_waits_for_approval_and_sends(emulator: Running, run_dag: Callable[..., DagRun]) -> None:
    emulator.twilio.change(pace=0.5)
    with DAG("with_a_template", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        template = TwilioContentTemplateOperator(task_id="template", **SUBMITTED)
        approved = TwilioTemplateApprovalSensor(
            task_id="approved",
            content_sids="{{ ti.xcom_pull('template')['content_sid'] }}",
            deferrable=True,
            initial_delay=0,
            poke_interval=0.2,
            timeout=60,
        )
        content = {"content_sid": "{{ ti.xcom_pull('template')['content_sid'] }}"}
        send = bulk(people(2), content=content, render_content=True)
        template >> approved >> send
    run = run_dag(dag)
    assert run.state == "success"
    (instance,) = [ti for ti in run.get_task_instances() if ti.task_id == "approved"]
    assert list(instance.xcom_pull(task_ids="approved")["approvals"].values()) == ["approved"]
    assert texted(emulator) == [2, 1]
