"""Numbers: bought once, whatever breaks, changed where they differ, and given back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.emulator.classic.inventory import Inventory
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.operators.numbers import (
    TwilioBuyNumberOperator,
    TwilioListNumbersOperator,
    TwilioReleaseNumberOperator,
    TwilioSearchNumbersOperator,
    TwilioUpdateNumberOperator,
    TwilioUpdateShortCodeOperator,
)
from tests.conftest import environment
from tests.fakes import MemoryStore, context

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

NUMBER, CODE = "PN" + "06" * 16, "SC" + "12" * 16


class Died(BaseException):
    """The worker is gone."""


def buy(**kwargs: Any) -> TwilioBuyNumberOperator:
    return TwilioBuyNumberOperator(task_id="buy", **{"unknown_after": 1.0, **kwargs})


def bought(emulator: Running) -> int:
    return len(emulator.twilio.part(Inventory).numbers) - 2  # which are there from the start


def posts(emulator: Running) -> int:
    counts = emulator.twilio.journal.counts
    return sum(count for route, count in counts.items() if route.startswith("POST"))


def test_a_number_is_bought_once_and_found_ever_after(emulator: Running) -> None:
    store = MemoryStore()
    first = buy(criteria={"area_code": 415, "sms_enabled": True}, name="orders").execute(context(store))
    assert first["bought"] is True
    assert first["friendly_name"].startswith("orders [")
    again = buy(criteria={"area_code": 415}, name="orders").execute(context(store, try_number=2))
    assert again == {**first, "bought": False}
    cleared = buy(name="orders").execute(context(MemoryStore()))  # the ledger is lost, the label is not
    assert cleared["sid"] == first["sid"]
    assert bought(emulator) == 1


def test_another_purpose_buys_another_number(emulator: Running) -> None:
    sids = {buy(send_key=key).execute(context(MemoryStore()))["sid"] for key in ("one", "two", "one")}
    assert len(sids) == bought(emulator) == 2


def test_an_exact_number_is_bought_or_is_there(emulator: Running) -> None:
    number = TwilioSearchNumbersOperator(task_id="search", limit=1).execute(context())["rows"][0][
        "phone_number"
    ]
    first = buy(phone_number=number).execute(context(MemoryStore()))
    assert (first["phone_number"], first["bought"]) == (number, True)
    assert buy(phone_number=number, send_key="other").execute(context(MemoryStore()))["bought"] is False
    assert bought(emulator) == 1


@pytest.mark.parametrize("kind", ["drop_after", "error_after", "cut", "drop_before", "error_before"])
def test_a_broken_line_buys_no_second_number(emulator: Running, kind: Any) -> None:
    emulator.twilio.faults.add(Fault(kind=kind, method="POST"))
    result = buy().execute(context(MemoryStore()))
    assert result["sid"] in emulator.twilio.part(Inventory).numbers
    assert bought(emulator) == 1


@pytest.mark.parametrize("kind", ["drop_after", "error_after"])
def test_a_line_that_stays_broken_leaves_it_to_a_later_try(emulator: Running, kind: Any) -> None:
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind=kind, method="POST", times=None))
    emulator.twilio.faults.add(
        Fault(kind="error_before", method="GET", path="IncomingPhoneNumbers", skip=1, times=None)
    )
    with pytest.raises(TwilioError):
        buy().execute(context(store))
    emulator.twilio.faults.clear()
    assert buy().execute(context(store, try_number=2))["bought"] is False
    assert bought(emulator) == 1


@pytest.mark.parametrize("state", ["sending", "accepted"])
def test_a_worker_that_dies_between_is_made_good_by_the_next(emulator: Running, state: str) -> None:
    def refuse(key: str, value: Any) -> None:
        if value.get("state") == state:
            store.refuse = lambda key, value: None
            raise Died

    store = MemoryStore(refuse)
    with pytest.raises(Died):
        buy().execute(context(store))
    buy().execute(context(store, try_number=2))
    assert bought(emulator) == 1


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("phone_number", {"phone_number": "415"}),
        ("country_code", {"country_code": "usa"}),
        ("kind", {"kind": "gold"}),
        ("area_code", {"criteria": {"area_code": "many"}}),
        ("colour", {"criteria": {"colour": "red"}}),
        ("in_lata", {"criteria": {"in_rate_center": "OAKLAND"}}),
        ("sms_url", {"settings": {"sms_url": "nowhere"}}),
        ("criteria", {"criteria": {"contains": "0000000000"}}),
        ("21421", {"phone_number": "+15005550001"}),
        ("phone_number", {"phone_number": "+15005550000"}),
    ],
)
def test_bad_input_is_refused_with_the_field_named(
    emulator: Running, field: str, given: dict[str, Any]
) -> None:
    with pytest.raises(AirflowFailException, match=field):
        buy(**given).execute(context(MemoryStore()))
    assert bought(emulator) == 0


def test_a_dry_run_buys_nothing(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(dry_run=True)):
        result = buy().execute(context(MemoryStore()))
    assert (result["sid"], result["bought"], posts(emulator)) == (None, False, 0)


def test_what_differs_is_changed_once(emulator: Running) -> None:
    update = TwilioUpdateNumberOperator(
        task_id="update", sid=NUMBER, settings={"sms_url": "https://example.com/in", "voice_url": ""}
    )
    assert update.execute(context()) == {"sid": NUMBER, "changed": ["sms_url"]}
    assert update.execute(context()) == {"sid": NUMBER, "changed": []}
    code = TwilioUpdateShortCodeOperator(
        task_id="code", sid=CODE, settings={"sms_url": "https://example.com"}
    )
    assert code.execute(context()) == {"sid": CODE, "changed": ["sms_url"]}
    assert posts(emulator) == 2


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("sid", {"sid": "PN1", "settings": {}}),
        ("sms_method", {"sid": NUMBER, "settings": {"sms_method": "PUT"}}),
        ("colour", {"sid": NUMBER, "settings": {"colour": "red"}}),
        ("20404", {"sid": "PN" + "0" * 32, "settings": {"sms_url": ""}}),
    ],
)
def test_an_update_says_what_is_wrong(emulator: Running, field: str, given: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match=field):
        TwilioUpdateNumberOperator(task_id="update", **given).execute(context())


def test_a_number_is_given_back_any_number_of_times(emulator: Running) -> None:
    for released in (True, False):
        give = TwilioReleaseNumberOperator(task_id="release", sid=NUMBER)
        assert give.execute(context()) == {"sid": NUMBER, "released": released}
    assert bought(emulator) == -1


def test_a_number_that_was_released_is_bought_anew(emulator: Running) -> None:
    store = MemoryStore()
    first = buy().execute(context(store))
    TwilioReleaseNumberOperator(task_id="release", sid=first["sid"]).execute(context())
    again = buy().execute(context(store, try_number=2))
    assert again["bought"] is True
    assert again["sid"] != first["sid"]


def test_numbers_are_searched_and_listed(emulator: Running, tmp_path: Path) -> None:
    found = TwilioSearchNumbersOperator(task_id="s", kind="toll_free", limit=3).execute(context())
    assert found["count"] == 3
    with pytest.raises(AirflowFailException, match="20404"):
        TwilioSearchNumbersOperator(task_id="s", country_code="AQ").execute(context())
    path = str(tmp_path / "numbers.parquet")
    assert TwilioListNumbersOperator(task_id="l", output_path=path).execute(context())["count"] == 2
    only = TwilioListNumbersOperator(task_id="l", phone_number="+15005550006", fields=["sid", "capabilities"])
    assert only.execute(context())["rows"][0]["sid"] == NUMBER
