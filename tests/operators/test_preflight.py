"""A preflight: the plan of a send as a task of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator
from tests.operators.runs import DE, GB, US, a_run, received, report

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres


class TestPreflight:
    def test_says_what_a_send_would_be(self, emulator: Running, postgres: Postgres) -> None:
        operator = TwilioPreflightOperator(
            task_id="preflight",
            sql="SELECT '+1202555010' || n AS phone, 'Ines' AS name FROM generate_series(1, 5) n",
            sql_conn_id="bookings",
            number_column="phone",
            content="Hello {{ name }}",
            sender="+15005550006",
            suppress=[US],
        )
        found = operator.execute(a_run())
        assert (found["recipients"], found["rejected"]) == (4, {"suppressed": 1})
        assert found["cost"]["high"] == "0.0496"
        assert received(emulator) == []
        assert "555010" not in json.dumps(found)

    def test_fails_where_the_send_would(self, emulator: Running) -> None:
        operator = TwilioPreflightOperator(
            task_id="preflight", recipients=[US, "12"], content="Hello", sender="+15005550006"
        )
        with pytest.raises(AirflowFailException, match="1 of 2 recipients are invalid"):
            operator.execute(a_run())

    def test_runs_in_a_backfill_too(self, emulator: Running) -> None:
        operator = TwilioPreflightOperator(
            task_id="preflight", recipients=[US], content="Hello", sender="+15005550006", max_age=1
        )
        assert operator.execute(a_run("backfill", age=1e6))["recipients"] == 1

    @pytest.mark.parametrize("given", [{}, {"recipients": [US], "sql": "SELECT 1", "sql_conn_id": "x"}])
    def test_needs_one_source(self, given: Any) -> None:
        with pytest.raises(InvalidInput, match="give them or sql"):
            TwilioPreflightOperator(task_id="preflight", content="Hello", **given)

    def test_reads_content_templates(self, emulator: Running) -> None:
        from airflow_provider_twilio_comms.api import content
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        made = TwilioHook().run(
            content.create(
                language="en", types={"twilio/text": {"body": "Hi {{1}}" + "." * 150}}, variables={"1": "Ada"}
            )
        )
        rows = [{"phone": US, "1": "Ines"}, {"phone": GB, "1": "Jörg-Michael"}, {"phone": DE}]
        found = report(rows, content={"content_sid": made.sid})
        assert found["segments"]["total"] == 4
        assert found["lacking"] == {"1": 1}

    @pytest.mark.parametrize(
        "content",
        [
            {"text": "Hi", "media": ["https://example.com/a.png"]},
            {"cards": [{"title": "Hi"}], "text": "Hi", "media": "https://example.com/a.png"},
        ],
        ids=str,
    )
    def test_warns_of_mms_outside_north_america(self, emulator: Running, content: Any) -> None:
        found = report([US, DE, GB], content=content)
        assert found["mms_elsewhere"] == 2
        assert "mms_elsewhere" not in report([US], content=content)
        assert "mms_elsewhere" not in report([DE], content="Hi")

    def test_a_file_that_goes_as_rcs_is_no_mms(self, emulator: Running) -> None:
        media = {"text": "Hi", "media": ["https://example.com/a.png"]}
        assert "mms_elsewhere" not in report([DE], content=media, sender="rcs:emulated_agent")
