"""Senders by channel, no sender at all, and rich content, checked when the DAG is parsed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.emulator.comms.inventory import POOL_ID
from airflow_provider_twilio_comms.emulator.outbox import shown
from airflow_provider_twilio_comms.exceptions import InvalidInput
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people, texted
from tests.operators.runs import report

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

AGENT = "rcs:emulated_agent"
CARDS: dict[str, Any] = {
    "cards": [
        {"title": "Window, {{ name }}", "suggestions": [{"text": "Take it", "postback_data": "window"}]},
        {"title": "Garden", "description": "Under the tree", "media": "https://example.com/tree.png"},
    ],
    "text": "Window or garden?",
}


def rows(emulator: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shown(emulator.twilio, "", "", 0, 50)["rows"]
    return found


class TestSenders:
    @pytest.mark.parametrize(
        ("channels", "tried"),
        [
            (["RCS", "SMS"], {"RCS"}),
            (["sms", "rcs"], {"SMS"}),
            (["SMS"], {"SMS"}),
            ({"filter_in": ["RCS", "SMS"], "priority": {"SMS": 1, "RCS": 2}}, {"SMS"}),
            ({"filterIn": ["RCS"], "priority": [{"channel": "RCS", "priority": 0}]}, {"RCS"}),
            ({"priority": {"RCS": 1}}, {"RCS"}),
        ],
        ids=str,
    )
    def test_a_pools_channels_are_tried_in_this_order(
        self, emulator: Running, channels: Any, tried: set[str]
    ) -> None:
        bulk(people(3), sender={"sender_pool_id": POOL_ID, "channels": channels}).execute(
            context(MemoryStore())
        )
        assert {row["channel"] for row in rows(emulator)} == tried

    def test_channels_alone_are_those_of_the_connections_pool(self, emulator: Running) -> None:
        with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(default_sender=POOL_ID)):
            bulk(people(1), sender={"channels": ["SMS"]}).execute(context(MemoryStore()))
        assert [row["channel"] for row in rows(emulator)] == ["SMS"]

    def test_channels_without_any_pool_are_refused(self, emulator: Running) -> None:
        with pytest.raises(AirflowFailException, match=r"sender: has channels and no pool.*sender_pool_id"):
            bulk(people(1), sender={"channels": ["SMS"]}).execute(context(MemoryStore()))
        assert texted(emulator) == [0, 0]

    @pytest.mark.parametrize(
        ("sender", "field"),
        [
            ({"sender_pool_id": POOL_ID, "channels": ["EMAIL"]}, "sender.channels"),
            ({"sender_pool_id": POOL_ID, "channels": ["MMS"]}, "sender.channels"),
            ({"sender_pool_id": POOL_ID, "channels": ["SMS", "sms"]}, "sender.channels"),
            ({"sender_pool_id": POOL_ID, "channels": []}, "sender.channels"),
            ({"sender_pool_id": POOL_ID, "channels": {}}, "sender.channels"),
            ({"sender_pool_id": POOL_ID, "channels": "RCS"}, "sender.channels"),
            ({"sender_pool_id": POOL_ID, "channels": {"order": []}}, "sender.channels"),
            ({"sender_pool_id": POOL_ID, "channels": {"filter_in": ["PUSH"]}}, "sender.channels.filter_in"),
            ({"sender_pool_id": POOL_ID, "channels": {"filter_in": []}}, "sender.channels.filter_in"),
            ({"sender_pool_id": POOL_ID, "channels": {"priority": {"SMS": "1"}}}, "sender.channels.priority"),
            (
                {"sender_pool_id": POOL_ID, "channels": {"priority": {"SMS": True}}},
                "sender.channels.priority",
            ),
            ({"sender_pool_id": POOL_ID, "channels": {"priority": 5}}, "sender.channels.priority"),
            ({"sender_pool_id": POOL_ID, "channels": {"priority": [{}]}}, "sender.channels.priority"),
            ({"channels": ["EMAIL"]}, "sender.channels"),
            ({"address": "+15005550006", "channels": ["SMS"]}, "sender"),
            ({"sender_id": "comms_sender_01", "channels": ["SMS"]}, "sender"),
        ],
        ids=lambda value: str(value)[:90],
    )
    def test_a_bad_sender_is_refused_when_the_dag_is_parsed(self, sender: Any, field: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            bulk(people(1), sender=sender)
        assert caught.value.field == field

    def test_templates_are_left_to_the_run(self, emulator: Running, run_dag: Callable[..., DagRun]) -> None:
        params = {"first": "SMS"}
        with DAG(
            "sent_by_pool", schedule=None, start_date=pendulum.datetime(2026, 1, 1), params=params
        ) as dag:

            @task
            def pool() -> str:
                return POOL_ID

            sender = {"sender_pool_id": pool(), "channels": ["{{ params.first }}", "RCS"]}
            send = bulk(people(1), sender=sender)
        assert send.upstream_task_ids == {"pool"}
        assert run_dag(dag).state == "success"
        assert [row["channel"] for row in rows(emulator)] == ["SMS"]


class TestNoSender:
    def test_twilio_chooses_where_that_is_asked_for(self, emulator: Running) -> None:
        with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(default_sender=AGENT)):
            bulk(people(2), sender=None, twilio_chooses_sender=True).execute(context(MemoryStore()))
        assert {row["channel"] for row in rows(emulator)} == {"SMS"}

    def test_a_try_that_goes_on_texts_nobody_twice(self, emulator: Running) -> None:
        store = MemoryStore()
        for _ in range(2):
            bulk(people(2), sender=None, twilio_chooses_sender=True).execute(context(store))
        assert texted(emulator) == [2, 1]

    def test_without_asking_a_missing_sender_is_refused(self, emulator: Running) -> None:
        with pytest.raises(AirflowFailException, match=r"sender: is missing.*twilio_chooses_sender"):
            bulk(people(1), sender=None).execute(context(MemoryStore()))

    def test_a_sender_and_no_sender_exclude_each_other(self) -> None:
        with pytest.raises(InvalidInput, match="twilio_chooses_sender: goes without a sender"):
            bulk(people(1), twilio_chooses_sender=True)


class TestRichContent:
    def test_a_carousel_is_sent_once_and_shown(
        self, emulator: Running, run_dag: Callable[..., DagRun]
    ) -> None:
        with DAG("carousel", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
            neither = {"suggestions": [{"text": "Neither", "postback_data": "neither"}]}
            bulk(people(2), content={**CARDS, **neither}, sender=AGENT)
        assert run_dag(dag).state == "success"
        first = rows(emulator)[-1]
        assert first["channel"] == "RCS"
        assert first["cards"] == [
            {"title": "Window, Person 0", "description": "", "media": "", "suggestions": ["Take it"]},
            {
                "title": "Garden",
                "description": "Under the tree",
                "media": "https://example.com/tree.png",
                "suggestions": [],
            },
            {"title": "", "description": "", "media": "", "suggestions": ["Neither"]},
        ]
        assert texted(emulator) == [2, 1]

    def test_its_text_is_for_phones_without_rcs(self, emulator: Running) -> None:
        bulk(people(1), content=CARDS).execute(context(MemoryStore()))
        (row,) = rows(emulator)
        assert (row["channel"], row["text"], row["cards"]) == ("SMS", "Window or garden?", [])

    def test_it_is_checked_when_the_dag_is_parsed(self) -> None:
        with pytest.raises(InvalidInput, match=r"content\.cards\[0\]: not valid. There is no name there"):
            bulk(people(1), content={"cards": [{"name": "x"}]})

    def test_what_jinja_makes_of_it_is_checked_in_the_run(self, emulator: Running) -> None:
        content = {"cards": [{"title": "x"}, {"title": "y"}], "card_width": "{{ params.width }}"}
        bulk(people(1), content=content, render_content=True)
        with pytest.raises(InvalidInput, match=r"content\.card_width"):
            bulk(people(1), content=content)

    def test_variables_of_cards_are_looked_for(self, emulator: Running) -> None:
        named = {"phone": "+12025550102", "name": "Ada"}
        found = report([{"phone": "+12025550101"}, named], content=CARDS)
        assert found["lacking"] == {"name": 1}

    @pytest.mark.parametrize(
        "given",
        [
            {"content": CARDS},
            {"sender": {"sender_pool_id": POOL_ID, "channels": ["SMS", "RCS"]}},
            {"sender": {"sender_pool_id": POOL_ID, "channels": {"priority": {"RCS": 1}}}},
        ],
        ids=str,
    )
    def test_what_may_go_as_rcs_has_no_price_of_sms(self, emulator: Running, given: dict[str, Any]) -> None:
        found = report(people(1), **given)
        assert not any("segments" in country for country in found["countries"].values())
