"""Messaging services, made what an author declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.emulator.classic.services import Services
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.operators.messaging_services import (
    TwilioDeleteMessagingServiceOperator,
    TwilioListMessagingServicesOperator,
    TwilioMessagingServiceOperator,
)
from tests.conftest import environment
from tests.fakes import context

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

pytestmark = pytest.mark.usefixtures("hurried")

NUMBER, SECOND = "PN" + "06" * 16, "PN" + "10" * 16
FULL: dict[str, Any] = {
    "settings": {
        "status_callback": "https://example.com/status",
        "sticky_sender": False,
        "validity_period": 600,
    },
    "phone_numbers": [NUMBER, "+15005550010"],
    "short_codes": ["12345"],
    "alpha_senders": ["Orders"],
    "destination_alpha_senders": {"GB": "OrdersGB", "": "OrdersAny"},
    "channel_senders": ["XE" + "a3" * 16],
}


def declare(**kwargs: Any) -> dict[str, Any]:
    return TwilioMessagingServiceOperator(task_id="service", **{"friendly_name": "orders", **kwargs}).execute(
        context()
    )


def posts(emulator: Running) -> int:
    counts = emulator.twilio.journal.counts
    return sum(count for route, count in counts.items() if not route.startswith("GET"))


def test_what_is_declared_is_made_and_made_once(emulator: Running, capsys: Any) -> None:
    made = declare(**FULL)
    told = capsys.readouterr().out
    assert f"{made['sid']}: created; alpha_senders: 1 added, 0 removed; channel_senders: 1 added" in told
    assert "Changes(" not in told
    assert (made["status"], made["created"]) == ("CHANGED", True)
    assert made["added"]["phone_numbers"] == [NUMBER, SECOND]
    assert made["added"]["destination_alpha_senders"] == ["GB:OrdersGB", ":OrdersAny"]
    before = posts(emulator)
    again = declare(**FULL)
    assert f"{made['sid']}: nothing differs" in capsys.readouterr().out
    assert again == {**again, "sid": made["sid"], "status": "UNCHANGED", "created": False}
    assert (again["changed"], again["added"], again["removed"]) == ([], {}, {})
    assert posts(emulator) == before


def test_only_what_differs_is_changed(emulator: Running) -> None:
    sid = declare(**FULL)["sid"]
    before = posts(emulator)
    settings = {**FULL["settings"], "validity_period": 700}
    changed = declare(**{**FULL, "settings": settings, "phone_numbers": [SECOND], "alpha_senders": ["Shop"]})
    assert changed["sid"] == sid
    assert changed["changed"] == ["validity_period"]
    assert changed["added"] == {"alpha_senders": ["Shop"]}
    assert changed["removed"] == {"phone_numbers": [NUMBER], "alpha_senders": ["Orders"]}
    assert posts(emulator) - before == 4


def test_what_is_left_out_stays_and_what_is_empty_is_emptied(emulator: Running) -> None:
    declare(**FULL)
    assert declare()["status"] == "UNCHANGED"
    assert declare(short_codes=[])["removed"] == {"short_codes": ["SC" + "12" * 16]}
    cleared = declare(settings={"status_callback": ""})
    assert cleared["changed"] == ["status_callback"]
    assert declare(settings={"status_callback": ""})["status"] == "UNCHANGED"


def test_a_service_that_is_named_by_its_sid_can_be_renamed(emulator: Running) -> None:
    sid = declare()["sid"]
    assert declare(sid=sid, friendly_name="returns")["changed"] == ["friendly_name"]
    assert declare(friendly_name="returns")["sid"] == sid


def test_a_dry_run_tells_what_would_be_changed(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(dry_run=True)):
        told = declare(**FULL)
    assert (told["sid"], told["status"], told["created"]) == (None, "DRY_RUN", True)
    assert set(told["added"]) == set(FULL) - {"settings"}
    assert posts(emulator) == 0


@pytest.mark.parametrize("kind", ["drop_after", "error_after", "error_before"])
def test_a_broken_line_makes_no_second_service(emulator: Running, kind: Any) -> None:
    emulator.twilio.faults.add(Fault(kind=kind, method="POST", path="/Services$"))
    try:
        declare(**FULL)
    except Exception:
        declare(**FULL)
    assert len(emulator.twilio.part(Services).by_sid) == 1
    assert declare(**FULL)["status"] == "UNCHANGED"


@pytest.mark.parametrize("kind", ["drop_after", "error_after", "drop_before"])
def test_a_broken_line_adds_no_sender_twice(emulator: Running, kind: Any) -> None:
    emulator.twilio.faults.add(Fault(kind=kind, method="POST", path="/PhoneNumbers$"))
    assert declare(**FULL)["added"]["phone_numbers"] == [NUMBER, SECOND]
    assert declare(**FULL)["status"] == "UNCHANGED"


def test_a_name_that_two_services_have_names_none(emulator: Running) -> None:
    first = declare()["sid"]
    other = declare(friendly_name="other")["sid"]
    declare(sid=other, friendly_name="orders")
    with pytest.raises(AirflowFailException, match=f"2 services have this name.*{first}"):
        declare()


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("friendly_name", {"friendly_name": ""}),
        ("friendly_name", {"friendly_name": "x" * 65}),
        ("usecase", {"settings": {"usecase": "spam"}}),
        ("validity_period", {"settings": {"validity_period": 40_000}}),
        ("colour", {"settings": {"colour": "red"}}),
        ("sid", {"sid": "MG1"}),
        ("phone_numbers", {"phone_numbers": [NUMBER, "+12025550199"]}),
        ("phone_number_sid", {"phone_numbers": ["PN1"]}),
        ("alpha_sender", {"alpha_senders": ["12345"]}),
        ("iso_country_code", {"destination_alpha_senders": {"Britain": "Orders"}}),
        ("channel_sender_sid", {"channel_senders": ["whatsapp"]}),
    ],
)
def test_bad_input_is_refused_with_the_field_named(
    emulator: Running, field: str, given: dict[str, Any]
) -> None:
    with pytest.raises(AirflowFailException, match=rf"\b{field}\b"):
        declare(**given)
    assert posts(emulator) == 0


def test_services_are_listed_and_deleted_any_number_of_times(emulator: Running) -> None:
    sid = declare(**FULL)["sid"]
    listing = TwilioListMessagingServicesOperator(task_id="list", fields=["sid", "friendly_name"])
    assert listing.execute(context()) == {"count": 1, "rows": [{"sid": sid, "friendly_name": "orders"}]}
    for deleted in (True, False):
        delete = TwilioDeleteMessagingServiceOperator(task_id="delete", sid=sid)
        assert delete.execute(context()) == {"sid": sid, "deleted": deleted}
    assert listing.execute(context())["count"] == 0
