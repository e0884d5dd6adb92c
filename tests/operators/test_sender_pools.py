"""Sender pools, made what an author declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.emulator.comms.inventory import (
    POOL_ID,
    RCS_SENDER_ID,
    SMS_SENDER_ID,
    WHATSAPP_SENDER_ID,
    Inventory,
)
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.operators.sender_pools import TwilioSenderPoolOperator
from tests.conftest import environment
from tests.fakes import context
from tests.operators.bulk_sends import bulk, people, texted

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

SPARE = "comms_sender_01h9krwprkeee8fzqspvwy6nq4"
FULL: dict[str, Any] = {"senders": ["rcs:emulated_agent", SMS_SENDER_ID], "tags": {"team": "a"}}


def declare(**kwargs: Any) -> dict[str, Any]:
    return TwilioSenderPoolOperator(task_id="pool", **{"name": "reminders", **kwargs}).execute(context())


def posts(emulator: Running) -> int:
    """Requests that change something: searching is a POST that reads."""
    counts = emulator.twilio.journal.counts
    return sum(
        count for route, count in counts.items() if not route.startswith("GET") and "Search" not in route
    )


def named(emulator: Running, name: str = "reminders") -> list[str]:
    return [pool.id for pool in emulator.twilio.part(Inventory).pools.values() if pool.name == name]


@pytest.mark.usefixtures("hurried")
class TestDeclared:
    def test_what_is_declared_is_made_and_made_once(self, emulator: Running, capsys: Any) -> None:
        made = declare(**FULL)
        assert f"{made['sender_pool_id']}: created; senders: 2 added, 0 removed" in capsys.readouterr().out
        assert made == {
            "sender_pool_id": named(emulator)[0],
            "status": "CHANGED",
            "created": True,
            "changed": [],
            "added": [RCS_SENDER_ID, SMS_SENDER_ID],
            "removed": [],
            "others": [],
        }
        before = posts(emulator)
        again = declare(**FULL)
        assert f"{made['sender_pool_id']}: nothing differs" in capsys.readouterr().out
        assert again == {**made, "status": "UNCHANGED", "created": False, "added": []}
        assert posts(emulator) == before

    def test_only_what_is_missing_is_added(self, emulator: Running) -> None:
        declare(**FULL)
        before = posts(emulator)
        changed = declare(senders=["whatsapp:+14155238886", "+15005550006", SPARE], tags={"team": "b"})
        assert (changed["added"], changed["changed"]) == ([WHATSAPP_SENDER_ID, SPARE], ["tags"])
        assert (changed["removed"], changed["others"]) == ([], [RCS_SENDER_ID])
        assert posts(emulator) - before == 2
        assert declare(senders=[SPARE])["status"] == "UNCHANGED"

    def test_an_add_is_waited_for(self, emulator: Running) -> None:
        declare(**FULL)
        declare(senders=[SPARE])
        members = emulator.twilio.part(Inventory).members
        with emulator.twilio.lock:
            pool = emulator.twilio.part(Inventory).pools[named(emulator)[0]]
            assert SPARE in [sender.id for sender in members(pool)]

    def test_others_are_removed_only_where_that_is_asked_for(self, emulator: Running) -> None:
        declare(**FULL)
        assert declare(senders=[SMS_SENDER_ID])["others"] == [RCS_SENDER_ID]
        removed = declare(senders=[SMS_SENDER_ID], remove_others=True)
        assert (removed["removed"], removed["others"]) == ([RCS_SENDER_ID], [])
        assert declare(senders=[SMS_SENDER_ID], remove_others=True)["status"] == "UNCHANGED"

    def test_a_pool_that_is_there_is_found(self, emulator: Running) -> None:
        found = declare(name="Everything")
        assert (found["sender_pool_id"], found["status"], found["created"]) == (POOL_ID, "UNCHANGED", False)

    def test_a_pool_that_is_named_by_its_id_can_be_renamed(self, emulator: Running) -> None:
        assert declare(sender_pool_id=POOL_ID, name="All")["changed"] == ["name"]
        assert declare(name="All")["sender_pool_id"] == POOL_ID

    def test_a_template_may_give_the_senders(self, emulator: Running) -> None:
        made = declare(senders=f"['{SMS_SENDER_ID}', 'rcs:emulated_agent']")  # the text of a list
        assert made["added"] == [SMS_SENDER_ID, RCS_SENDER_ID]

    def test_a_dry_run_tells_what_would_be_changed(self, emulator: Running) -> None:
        with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(dry_run=True)):
            told = declare(**FULL)
        assert (told["sender_pool_id"], told["status"], told["created"]) == (None, "DRY_RUN", True)
        assert told["added"] == [RCS_SENDER_ID, SMS_SENDER_ID]
        assert posts(emulator) == 0

    @pytest.mark.parametrize("kind", ["drop_after", "error_after", "error_before"])
    def test_a_broken_line_makes_no_second_pool(self, emulator: Running, kind: Any) -> None:
        emulator.twilio.faults.add(Fault(kind=kind, method="POST", path="/SenderPools$"))
        try:
            declare(**FULL)
        except TwilioError:
            declare(**FULL)
        assert len(named(emulator)) == 1
        assert declare(**FULL)["status"] == "UNCHANGED"

    @pytest.mark.parametrize("kind", ["drop_after", "error_after", "drop_before"])
    def test_a_broken_line_adds_no_sender_twice(self, emulator: Running, kind: Any) -> None:
        declare(**FULL)
        emulator.twilio.faults.add(Fault(kind=kind, method="POST", path="/Senders$"))
        assert declare(senders=[SPARE])["added"] == [SPARE]
        assert declare(senders=[SPARE])["status"] == "UNCHANGED"

    def test_a_pool_that_a_killed_try_asked_for_is_waited_for(self, emulator: Running) -> None:
        from airflow_provider_twilio_comms.api.comms import sender_pools
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        TwilioHook().run(sender_pools.create("reminders"))  # and nothing waited for it
        assert declare(**FULL)["created"] is False
        assert len(named(emulator)) == 1

    def test_what_the_reply_does_not_name_is_found_by_name(self, emulator: Running) -> None:
        """The preview answers with an empty 202."""
        emulator.twilio.change(accepted="header")
        with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(comms_version="preview")):
            made = declare(**FULL)
            assert made["sender_pool_id"] == named(emulator)[0]
            assert declare(**FULL)["status"] == "UNCHANGED"

    def test_a_change_that_takes_too_long_ends_the_try(self, emulator: Running) -> None:
        emulator.twilio.change(pace=3600)
        with pytest.raises(TwilioError, match=r"not completed. Running the task again goes on from there"):
            declare(timeout=30, **FULL)
        emulator.twilio.clock.advance(3600)
        assert declare(**FULL)["created"] is False

    def test_senders_that_twilio_does_not_add_are_told(self, emulator: Running) -> None:
        gone = "comms_sender_01h9krwprkeee8fzqspvwy6nqz"
        declare()
        with pytest.raises(TwilioError, match=r"1 of 1 senders were not added"):
            declare(senders=[gone])

    @pytest.mark.parametrize(
        ("field", "given"),
        [
            ("name", {"name": ""}),
            ("tags", {"tags": {"a b": "c"}}),
            ("row 2, senders", {"senders": [SPARE, "+12025550199"]}),
            ("row 1, senders", {"senders": ["+15005550007"]}),  # it is not active
            ("row 1, senders", {"senders": [POOL_ID]}),
            ("sender", {"senders": ["MG" + "0" * 32]}),
        ],
    )
    def test_bad_input_is_refused_with_the_field_named(
        self, emulator: Running, field: str, given: dict[str, Any]
    ) -> None:
        with pytest.raises(AirflowFailException, match=rf"\b{field}\b") as caught:
            declare(**given)
        assert "2025550199" not in str(caught.value)
        assert posts(emulator) == 0


def test_a_dag_declares_a_pool_and_sends_with_it(emulator: Running, run_dag: Callable[..., DagRun]) -> None:
    emulator.twilio.change(pace=0.2)
    with DAG("with_a_pool", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        pool = TwilioSenderPoolOperator(task_id="pool", name="dag", poll_interval=0.2, **FULL)
        sender = {"sender_pool_id": "{{ ti.xcom_pull('pool')['sender_pool_id'] }}", "channels": ["SMS"]}
        pool >> bulk(people(2), sender=sender)
    assert run_dag(dag).state == "success"
    assert texted(emulator) == [2, 1]
