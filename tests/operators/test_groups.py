"""Sends to stored people and to groups of them: once, guarded, waited for, with receipts by profile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_twilio_comms.api.audiences import cohort_operations, cohort_snapshots, cohorts
from airflow_provider_twilio_comms.emulator.memory.seed import Seed, seed
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.operators.resend_failed import TwilioResendFailedOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import break_bulk, bulk, texted

if TYPE_CHECKING:
    from collections.abc import Iterator

LISBON = 'profile.trait.Contact.city == "Lisbon"'
HELLO = {"name": "${Twilio.Profile.Contact.firstName}"}


@pytest.fixture(autouse=True)
def _preview(emulator: Running) -> Iterator[None]:
    emulator.twilio.change(pace=0)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(comms_version="preview")):
        yield


@pytest.fixture
def store(emulator: Running) -> str:
    """50 people, 10 of whom are in Lisbon."""
    return seed(emulator.twilio, Seed(count=50)).id


@pytest.fixture
def cohort(store: str) -> str:
    created = TwilioHook().run(cohorts.create("lisbon", store, LISBON)).cohort
    assert created
    return created.id


def snapshot(**source: Any) -> str:
    hook = TwilioHook()
    operation = hook.run(cohort_snapshots.create(**source))
    found = hook.run(cohort_operations.fetch(operation.operation_id)).cohort_snapshot_id
    assert found
    return found


def send(recipients: Any, state: MemoryStore | None = None, **kwargs: Any) -> dict[str, Any]:
    values = {"wait_for": "delivered", **kwargs}
    result = bulk(recipients, **values).execute(context(state or MemoryStore()))
    assert result
    return result


def outbox(emulator: Running) -> list[str]:
    import requests

    return [row["text"] for row in requests.get(f"{emulator.url}/_emulator/outbox", timeout=5).json()["rows"]]


def test_groups_by_snapshot_are_texted_once_with_their_traits(emulator: Running, cohort: str) -> None:
    state, recipients = MemoryStore(), {"cohort_snapshot_id": snapshot(cohort_id=cohort), "variables": HELLO}
    result = send(recipients, state)
    assert (result["recipients"], result["stats"]["delivered"]) == (10, 10)
    assert texted(emulator) == [10, 1]
    assert "Hello Ada" in outbox(emulator)
    assert "Hello you" not in outbox(emulator)
    assert send(recipients, state)["operation_ids"] == result["operation_ids"]
    assert texted(emulator) == [10, 1]


def test_groups_by_cohort_are_those_of_the_moment(emulator: Running, cohort: str) -> None:
    result = send({"cohort_id": cohort})
    assert (result["recipients"], result["stats"]["delivered"]) == (10, 10)


def test_groups_go_in_requests_of_their_own(emulator: Running, store: str, cohort: str) -> None:
    porto = snapshot(store_id=store, criteria='profile.trait.Contact.city == "Porto"')
    lisbon = {"cohort_snapshot_id": snapshot(cohort_id=cohort)}
    result = send([lisbon, {"cohortSnapshotId": porto}, lisbon])
    assert len(result["operation_ids"]) == 2
    assert (result["recipients"], texted(emulator)) == (20, [20, 1])


@pytest.mark.parametrize("kind", ["drop_after", "error_after"])
@pytest.mark.parametrize("fixed", [True, False])
def test_groups_whose_reply_was_lost_are_found_again(
    emulator: Running, cohort: str, kind: str, fixed: bool
) -> None:
    break_bulk(emulator, kind)
    recipients = {"cohort_snapshot_id": snapshot(cohort_id=cohort)} if fixed else {"cohort_id": cohort}
    assert send(recipients)["stats"]["delivered"] == 10
    assert texted(emulator) == [10, 1]


def test_groups_are_not_taken_by_v1(emulator: Running, cohort: str) -> None:
    with (
        environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection),
        pytest.raises(AirflowFailException, match="v1 of the API does not take"),
    ):
        send({"cohort_id": cohort})


def test_groups_that_are_empty_are_nobody(emulator: Running, store: str) -> None:
    group = {"cohort_snapshot_id": snapshot(store_id=store, criteria='profile.trait.Contact.city == "Faro"')}
    with pytest.raises(AirflowFailException, match="hold nobody"):
        send(group)
    with pytest.raises(AirflowSkipException):
        send(group, on_empty="skip")


@pytest.mark.parametrize(
    "guard",
    [
        {"suppress": ["+12025600000"]},
        {"max_cost": 100},
        {"max_segments": 100},
        {"quiet_hours": "21:00-08:00"},
    ],
)
def test_groups_are_refused_where_a_guard_cannot_see(
    emulator: Running, store: str, cohort: str, guard: dict[str, Any]
) -> None:
    person = {"profile_id": _someone(emulator, store), "memory_store_id": store}
    for recipients in ({"cohort_id": cohort}, [person]):
        with pytest.raises(AirflowFailException, match=f"{next(iter(guard))} cannot see into them"):
            send(recipients, **guard)
    assert texted(emulator) == [0, 0]


def test_groups_are_sent_to_where_the_author_allows_it(emulator: Running, cohort: str) -> None:
    assert send({"cohort_id": cohort}, suppress=["+12025600000"], unseen="allow")["recipients"] == 10
    assert send({"cohort_id": cohort}, quiet_hours="00:00-00:01 UTC")["recipients"] == 10  # everybody's clock


def test_groups_are_counted_before_they_are_sent_to(emulator: Running, cohort: str) -> None:
    group = {"cohort_snapshot_id": snapshot(cohort_id=cohort)}
    with pytest.raises(AirflowFailException, match="10 profiles, and 9 is the limit"):
        send(group, max_recipients=9)
    with pytest.raises(AirflowFailException, match="nobody knows how many"):
        send({"cohort_id": cohort}, max_recipients=9)
    assert send(group, max_recipients=10)["recipients"] == 10
    assert send({"cohort_id": cohort}, max_recipients=9, unseen="allow")["recipients"] == 10


@pytest.mark.parametrize("where", ["connection", "operator"])
def test_groups_under_allowed_recipients_are_looked_at_one_by_one(
    emulator: Running, cohort: str, where: str
) -> None:
    group = {"cohort_snapshot_id": snapshot(cohort_id=cohort)}

    def send_allowing(recipients: Any, *patterns: str) -> dict[str, Any]:
        if where == "operator":
            return send(recipients, allowed_recipients=patterns, unseen="allow")
        connection = emulator.connection_json(comms_version="preview", allowed_recipients=list(patterns))
        with environment(AIRFLOW_CONN_TWILIO_DEFAULT=connection):
            return send(recipients, unseen="allow")

    with pytest.raises(AirflowFailException, match="9 of 10 profiles"):
        send_allowing(group, "+12025600000")
    with pytest.raises(AirflowFailException, match="allowed_recipients could not see them"):
        send_allowing({"cohort_id": cohort}, "+1202*")
    assert texted(emulator) == [0, 0]
    assert send_allowing(group, "+1202*")["recipients"] == 10


def test_groups_and_people_are_not_mixed(emulator: Running, cohort: str) -> None:
    with pytest.raises(AirflowFailException, match="mix groups and people"):
        send([{"cohort_id": cohort}, "+12025550100"])


def _someone(emulator: Running, store: str) -> str:
    from airflow_provider_twilio_comms.emulator.memory.store import Memory

    return next(iter(emulator.twilio.part(Memory).stores[store].people.profiles))


@pytest.mark.parametrize("version", ["v1", "preview"])
def test_stored_people_in_a_file_are_texted_by_profile(
    emulator: Running, store: str, tmp_path: Path, version: str
) -> None:
    path = tmp_path / "people.jsonl"
    row = {"profile_id": _someone(emulator, store), "memory_store_id": store, "name": HELLO["name"]}
    path.write_text(json.dumps(row) + "\n" + json.dumps({**row, "profile_id": "+12025550100"}) + "\n")
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(comms_version=version)):
        result = send(str(path), on_invalid_recipient="skip")
    assert (result["recipients"], result["rejected"]) == (1, 1)
    assert outbox(emulator) == ["Hello Ada"]


def test_groups_have_receipts_that_bear_the_profiles_and_are_texted_again_by_them(
    emulator: Running, cohort: str, store: str, tmp_path: Path
) -> None:
    emulator.twilio.change(outcomes=[{"match": "0000$", "status": "UNDELIVERED", "code": 30003}])
    sent = send({"cohort_snapshot_id": snapshot(cohort_id=cohort)}, wait_for="processed", max_failed=1)
    path = tmp_path / "receipts.jsonl"
    TwilioReceiptsOperator(
        task_id="receipts", operation_ids=sent["operation_ids"], output_path=str(path)
    ).execute(context(MemoryStore()))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {row["memory_store_id"] for row in rows} == {store}
    assert len({row["profile_id"] for row in rows}) == 10
    (failed,) = [row for row in rows if row["status"] == "UNDELIVERED"]
    emulator.twilio.change(outcomes=[])
    again = TwilioResendFailedOperator(
        task_id="again",
        receipts=str(path),
        content="Hello again",
        sender="+15005550006",
        wait_for="delivered",
        deferrable=False,
        poll_interval=0.1,
    ).execute(context(MemoryStore()))
    assert again
    assert (again["recipients"], again["stats"]["delivered"]) == (1, 1)
    assert failed["profile_id"] == _someone(emulator, store)
